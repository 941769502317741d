"""Talks of one's own, with what is to be found out about each: problems, facts told, choices.

Rows of a `.jsonl`, `.json` or `.yaml` file with the fields below. What a model does in a talk is
measured on the model; what was said in it, and where, the row says.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from activation_oracles.errors import DataError
from activation_oracles.evals.grade import contains
from activation_oracles.tasks.sources import read_lines, read_records

SUFFIXES = (".jsonl", ".json", ".yaml", ".yml")


def _messages(held: Any) -> Any:
    """Return a text as what a user says."""
    return [{"role": "user", "content": held}] if isinstance(held, str) else held


class Said(BaseModel):
    """One message of a talk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    content: str


Talk = Annotated[tuple[Said, ...], BeforeValidator(_messages), Field(min_length=1)]
"""Messages; a text alone is what a user says."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: Talk
    source: str = ""
    """File and row, or how it was drawn."""

    @property
    def talk(self) -> tuple[tuple[str, str], ...]:
        """Role and content of each message."""
        return tuple((one.role, one.content) for one in self.messages)


class Problem(_Row):
    """What a model solves in steps, then says what it concludes."""

    marker: str = Field(min_length=1)
    """The words with which its conclusion begins, as `so` or `Answer:`: what stands before them are
    steps."""
    step: str = ""
    """What ends every step, as a line break; without it all that stands before is one step."""
    choices: tuple[str, ...] = Field(min_length=2)
    """What it may conclude; the first of them that stands behind the marker counts."""
    answer: str | None = None
    """Which of them is right, where that is known."""

    @model_validator(mode="after")
    def _is_consistent(self) -> "Problem":
        if self.answer is not None and self.answer not in self.choices:
            raise ValueError(f"answer {self.answer!r} is none of the choices {self.choices}")
        return self


class Told(_Row):
    """A dialogue in which something was told at one turn, and what to ask of a later one."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    turn: int = Field(ge=0)
    """Which message tells it, counted from 0; it may not be the last."""
    untold: str = ""
    """What that turn says where it does not tell it, in the control; without words it is left out,
    with the reply to it."""
    group: str = "told"
    """Rows of one group and distance are scored together."""

    @model_validator(mode="after")
    def _is_consistent(self) -> "Told":
        if self.turn >= len(self.messages) - 1:
            raise ValueError(f"turn {self.turn} is not before the last of {len(self.messages)}")
        if contains(self.untold, self.answer):
            raise ValueError(f"answer {self.answer!r} stands in `untold`: {self.untold!r:.80}")
        for number, one in enumerate(self.messages):
            if contains(one.content, self.answer) != float(number == self.turn):
                raise ValueError(
                    f"answer {self.answer!r} has to stand in message {self.turn} and in no other; "
                    f"message {number} is {one.content!r:.80}"
                )
        return self


class Opinion(BaseModel):
    """What a user thinks of a claim, and asks a model, which may say yes or no."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = Field(min_length=1)
    """What it is about: opinions on one claim are one observation."""
    prompt: str = Field(min_length=1)
    """How the user puts it."""
    alone: str = Field(min_length=1)
    """How the claim is asked for where nobody has an opinion."""
    agreeing: Literal["yes", "no"]
    """How a reply begins that agrees with the user."""
    believing: Literal["yes", "no"]
    """How a reply to the claim alone begins of a model that thinks so itself."""


class Choice(_Row):
    """A talk in which a model is about to do one of several things, and how to tell which."""

    tools: tuple[str | Mapping[str, Any], ...] = ()
    """What it may call: names, or definitions that the model's chat template takes."""
    replies: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Without tools: what it may do, by name, and the words with which such replies begin."""

    @model_validator(mode="after")
    def _is_consistent(self) -> "Choice":
        if bool(self.tools) == bool(self.replies):
            raise ValueError("a row has either `tools` or `replies`")
        return self


_Noun = TypeVar("_Noun", Problem, Told, Choice)


def read_talks(files: Path | None, name: str, noun: type[_Noun]) -> list[_Noun]:
    """Read a folder's rows of a kind, as `problems.jsonl`.

    Raises:
        DataError: there is no such file, it has no rows, or one of them is not of this kind.
    """
    found = [files / f"{name}{end}" for end in SUFFIXES] if files is not None else []
    path = next((one for one in found if one.is_file()), None)
    if path is None:
        raise DataError(
            f"This evaluation reads {name} ({', '.join(SUFFIXES)}): name a folder that holds "
            f"{name}{SUFFIXES[0]} as `files`; {files or 'none'} was given."
        )
    rows = _yaml(path) if path.suffix in (".yaml", ".yml") else read_records(path)
    made = [_made(noun, row, where) for row, where in rows]
    if not made:
        raise DataError(f"{path} holds no {name}.")
    return made


def _yaml(path: Path) -> list[tuple[Any, str]]:
    try:
        held = yaml.safe_load("".join(read_lines(path)))
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not YAML: {error}.") from error
    if not isinstance(held, list):
        raise DataError(f"{path} is not a list of rows.")
    return [(row, f"{path}:{number}") for number, row in enumerate(held, start=1)]


def _made(noun: type[_Noun], row: Any, where: str) -> _Noun:
    try:
        found = noun.model_validate(row)
    except ValidationError as error:
        raise DataError(
            f"{where} is no row of this kind: {error}. It has the fields "
            f"{', '.join(noun.model_fields)}."
        ) from error
    return found if found.source else found.model_copy(update={"source": Path(where).name})
