"""Run a battery into a folder: vectors that were made stay, and a run that was stopped goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activation_oracles.dreams.attacks import Made, asked_of, make
from activation_oracles.dreams.battery import Battery, BatteryConfig, check_complete
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.effect import Neutral
from activation_oracles.dreams.findings import Measured
from activation_oracles.dreams.judging import Judge
from activation_oracles.dreams.looks import Look, look
from activation_oracles.dreams.store import (
    FOUND,
    GEOMETRY,
    keep,
    kept,
    read_found,
    read_looks,
    write_found,
    write_looks,
)
from activation_oracles.files import claim
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle

CHUNK = 16
"""Concepts that are attacked before what was made is written."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a battery is put to."""

    oracles: Mapping[str, Oracle]
    """By name; the first are attacked, the others only asked."""
    target: Target
    """Who is steered."""
    concepts: tuple[Concept, ...]
    neutral: Neutral
    config: BatteryConfig
    judges: Mapping[str, Judge]
    num_attacked: int = 1
    """How many oracles are attacked, all by the same vectors."""

    @property
    def attacked(self) -> dict[str, Oracle]:
        """The oracles that are attacked, by name."""
        return dict(list(self.oracles.items())[: self.num_attacked])


def attack(
    run: Run,
    folder: Path,
    *,
    about: Mapping[str, Any],
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Made]:
    """Make every vector that the folder lacks; return all.

    Args:
        run: who is attacked, on what.
        folder: where vectors are kept.
        about: what decides them: a folder that is about something else is refused.
        progress: called with how many concepts are done, of how many.

    Raises:
        ConfigError: the folder holds another run.
        DataError: it is damaged, or a concept has no texts for contrast.
    """
    claim(folder, about)
    made = kept(folder)
    done = {one.concept for one in made}
    left = [one for one in run.concepts if one.name not in done]
    prompts = asked_of(run.concepts)
    for at in range(0, len(left), CHUNK):
        progress(len(run.concepts) - len(left) + at, len(run.concepts))
        some: Sequence[Concept] = left[at : at + CHUNK]
        made += make(
            list(run.attacked.values()),
            run.target,
            some,
            run.neutral,
            run.config.attack,
            prompts=prompts,
        )
        keep(folder, made)
    progress(len(run.concepts), len(run.concepts))
    return made


def measure(run: Run, folder: Path, made: Sequence[Made]) -> Measured:
    """Measure all vectors, unless the folder says already what they do.

    Raises:
        DataError: what the folder says is damaged, or a concept lacks a vector.
    """
    if (folder / FOUND).exists():
        return read_found(folder)
    check_complete(made, run.concepts)
    battery = Battery(run.oracles, run.target, run.concepts, run.neutral, run.config)
    found = battery.measure(made, run.judges)
    write_found(folder, found)
    return found


def look_at(run: Run, folder: Path, made: Sequence[Made]) -> tuple[Look, ...]:
    """See what all vectors look like, unless the folder says it already.

    Raises:
        DataError: what the folder says is damaged.
    """
    if (folder / GEOMETRY).exists():
        return read_looks(folder)
    layers = run.config.layers
    found = look(made, run.concepts, run.neutral, run.target, run.oracles, layers)
    write_looks(folder, found)
    return found
