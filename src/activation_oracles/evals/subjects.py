"""Several models under study, read as one: each example from its own, its base, or the difference.

A model under study, a subject, is a base with or without an adapter. All of them share one network.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from activation_oracles.errors import DataError
from activation_oracles.evals.answerers import Read, Vectors
from activation_oracles.evals.cases import subject_of
from activation_oracles.evals.evaluation import Answerer
from activation_oracles.types import Example

BASE = ""
"""The name of the model without an adapter, among subjects."""


class Subject(BaseModel):
    """A model under study, and what it is known to hide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    kind: str
    """What it was made to do, as `taboo`: evaluations take the subjects of their kind."""
    adapter: str
    """Folder or hub id of the adapter that makes it."""
    hides: Mapping[str, str] = Field(default_factory=dict)
    """What an oracle should find, by name, as `word: moon`."""

    def hidden(self, name: str) -> str:
        """Return what it hides under a name.

        Raises:
            DataError: nothing is known under that name.
        """
        if name not in self.hides:
            raise DataError(
                f"Subject {self.name!r} of kind {self.kind!r} has no {name!r} in `hides`, only "
                f"{sorted(self.hides)}: without it no answer can be judged."
            )
        return self.hides[name]


def load_subjects(path: str | Path) -> tuple[Subject, ...]:
    """Read subjects from a YAML or JSON file: a list of name, kind, adapter and hides.

    An adapter that is a folder beside the file may be named from there.

    Raises:
        DataError: the file is missing or malformed, or two subjects have one name.
    """
    path = Path(path)
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = TypeAdapter(tuple[Subject, ...]).validate_python(held)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise DataError(
            f"{path} is not a list of subjects ({error}). Each has a name, a kind (as taboo), an "
            "adapter, and what it hides, as `hides: {word: moon}`."
        ) from error
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path} has more than one subject named {twice}.")
    return tuple(
        one.model_copy(update={"adapter": str(path.parent / one.adapter)})
        if (path.parent / one.adapter).is_dir()
        else one
        for one in found
    )


@dataclass(frozen=True)
class Own:
    """Reads each example from its own subject, all of one subject together."""

    reads: Mapping[str, Read]
    """By subject's name."""

    def __call__(self, examples: Sequence[Example]) -> Vectors:
        """Return what each example shows.

        Raises:
            DataError: an example's subject is not among those that are read.
        """
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, one in enumerate(examples):
            rows[subject_of(one)].append(row)
        if missing := sorted(set(rows) - set(self.reads)):
            raise DataError(f"Subjects {missing} are not loaded, of {sorted(self.reads)}.")
        read = {
            row: vectors
            for name, own in rows.items()
            for row, vectors in zip(
                own, self.reads[name]([examples[row] for row in own]), strict=True
            )
        }
        return [read[row] for row in range(len(examples))]


@dataclass(frozen=True)
class Difference:
    """Reads what a subject adds to its base on the same tokens."""

    own: Read
    base: Read

    def __call__(self, examples: Sequence[Example]) -> Vectors:
        """Return each subject's vectors minus those of the base."""
        return [
            ours - theirs
            for ours, theirs in zip(self.own(examples), self.base(examples), strict=True)
        ]


@dataclass(frozen=True)
class EachAlone:
    """Answers the rows of each subject apart, for ways that look at all texts of one together."""

    name: str
    control: str | None
    make: Callable[[Sequence[Example]], Answerer]
    """Makes who answers the rows of one subject, of these rows."""

    def answer(self, examples: Sequence[Example]) -> list[str | None]:
        """Return one answer an example."""
        said: list[str | None] = [None] * len(examples)
        for name in dict.fromkeys(map(subject_of, examples)):
            rows = [row for row, one in enumerate(examples) if subject_of(one) == name]
            some = [examples[row] for row in rows]
            for row, text in zip(rows, self.make(some).answer(some), strict=True):
                said[row] = text
        return said
