"""Concepts to dream of: what an oracle is asked, and how a target would show that it has one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, model_validator

from activation_oracles.errors import DataError
from activation_oracles.tasks.settings import Settings

GENERAL = Path(__file__).parent / "general.yaml"
"""Concepts for any chat model."""


class Concept(Settings):
    """Something a model may be made to think of."""

    name: str
    """Short and unique."""
    question: str
    """What the oracle is asked."""
    answer: str
    """What it should say."""
    prompts: Annotated[tuple[str, ...], Field(min_length=1)]
    """What the target is asked, where a reply could show the concept and need not."""
    reply: str
    """A reply to any of the prompts that shows it."""
    instead: Annotated[tuple[str, ...], Field(min_length=1)]
    """Replies as good that do not."""
    shown_by: Annotated[tuple[str, ...], Field(min_length=1)]
    """Words, any of which shows it in what the target says."""
    about: tuple[str, ...] = ()
    """Texts that have it, for contrast."""
    not_about: tuple[str, ...] = ()
    """Texts like these that have not, one for each."""
    instruction: str = ""
    """How one would simply ask the target for it. By default: `Talk about` the answer."""

    @model_validator(mode="after")
    def _pairs(self) -> "Concept":
        if len(self.about) != len(self.not_about):
            raise ValueError(
                f"{self.name}: {len(self.about)} texts about it need as many that are not, got "
                f"{len(self.not_about)}"
            )
        return self

    @property
    def asked_for(self) -> str:
        """How one would simply ask for it."""
        return self.instruction or f"Talk about {self.answer}."


def load_concepts(path: str | Path) -> tuple[Concept, ...]:
    """Read a YAML list of concepts.

    Raises:
        DataError: there is no such file, it is no list, or two concepts have one name.
        ConfigError: a concept lacks something, or has something unknown.
    """
    try:
        rows = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"No concepts could be read from {path}: {error}") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} should be a YAML list of concepts, each with a name, a question …")
    return checked([Concept(**row) for row in rows])


def checked(concepts: Sequence[Concept]) -> tuple[Concept, ...]:
    """Return concepts whose names tell them apart.

    Raises:
        DataError: two have one name.
    """
    names = [one.name for one in concepts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"Concepts need names of their own; {twice} stand for several.")
    return tuple(concepts)
