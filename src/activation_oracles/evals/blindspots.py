"""Blind spots: what a probe finds in activations, beside what the oracle says of the same rows.

An oracle that does not say something may be blind to it, or it may not be there. A probe that finds
it tells the two apart. All numbers come from the answers that an evaluation keeps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import unit_of
from activation_oracles.evals.concepts import Cell, cells
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.grade import plain
from activation_oracles.evals.report.runs import readers
from activation_oracles.evals.report.slices import LAYERS
from activation_oracles.statistics import Estimate, clustered
from activation_oracles.types import Example

Verdict = Literal["read", "unread", "said without a linear trace", "absent"]

PROBE = "linear probe"
"""How the names of what decodes begin."""
CHANCE = "chance"
LEVEL = 0.95
NEGLIGIBLE = 0.1
"""A gain that is known to be smaller counts as none."""


@dataclass(frozen=True)
class Sight:
    """How well one answerer finds a concept under a condition."""

    who: str
    score: Estimate
    """The share that it answers right, with a 95 % interval."""
    chance: float
    """What always saying a task's most frequent answer would score; of a concept that is one
    answer, how often the answerer gives it where another is true."""
    gain: Estimate
    """Row by row, over chance or a control, whichever it gains least on for sure. The interval is
    wider than 95 % where the best of several answerers was taken, by so many."""
    over: str
    """What that is."""

    @property
    def is_seen(self) -> bool:
        """Whether it finds more than chance and every control."""
        return self.gain.low > 0


@dataclass(frozen=True)
class Spot:
    """One concept under one condition: the best probe and the best way of asking the oracle."""

    concept: str
    condition: str
    """What the rows have in common, as `layers 18`."""
    probe: Sight
    oracle: Sight
    gap: Estimate
    """What the probe gains over the oracle, row by row."""

    @property
    def verdict(self) -> Verdict:
        """What the two say together."""
        if self.oracle.is_seen:
            return "read" if self.probe.is_seen else "said without a linear trace"
        return "unread" if self.probe.is_seen else "absent"

    @property
    def is_settled(self) -> bool:
        """Whether the verdict rests on what was found, and not on too few rows to find it.

        Of the two that differ: the one is better than the other. Absent: neither gains as much as
        `NEGLIGIBLE`, to the upper end of both intervals.
        """
        if self.verdict == "absent":
            return max(self.probe.gain.high, self.oracle.gain.high) < NEGLIGIBLE
        if self.verdict == "unread":
            return self.gap.low > 0
        return self.verdict == "read" or self.gap.high < 0


@dataclass(frozen=True)
class BlindSpots:
    """The matrix, and what it could not say anything of."""

    spots: tuple[Spot, ...]
    left_out: tuple[str, ...]
    """Concepts and conditions without a verdict, each with the reason."""


def of_task(example: Example) -> str:
    """Take a task for one concept."""
    return example.task


def of_answer(example: Example) -> str:
    """Take each true answer of a task for a concept."""
    return f"{example.task}: {plain(example.answer)}"


CONCEPTS: dict[str, Callable[[Example], str]] = {"task": of_task, "answer": of_answer}


def blind_spots(
    records: Sequence[Record],
    *,
    concept: Callable[[Example], str] = of_task,
    by: Sequence[str] = (LAYERS,),
    probes: Sequence[str] | None = None,
    unit: Callable[[Example], str] = unit_of,
) -> BlindSpots:
    """Say of each concept under each condition whether it is read, unread, or not there.

    The oracle is whoever has controls of its own; the best of its ways of asking counts, and the
    best probe.

    Args:
        records: answers of probes, the oracle and its controls to the same rows.
        concept: what a row is about; by default its task.
        by: what makes conditions, of `slices.WAYS`: layers, and how many or which tokens are shown.
        probes: who decodes, by name; by default linear probes.
        unit: what of an example is independent of others, as in `table`.

    Raises:
        ConfigError: there is no such way to make conditions.
        DataError: no probe answered, or nobody who has controls of its own.
    """
    who = list(dict.fromkeys(one.who for one in records if one.control is None))
    check_probes(who, probes)
    sides = [one for one in who if _decodes(one, probes)], readers(records)
    if not sides[1]:
        raise DataError(f"Blind spots need an oracle with controls of its own, got {who}.")
    tasks = dict.fromkeys(one.example.task for one in records)
    probed = {one.example.task for one in records if one.who in sides[0]}
    spots: list[Spot] = []
    left_out = [f"{task}: no probe answered it" for task in tasks if task not in probed]
    rows_of = cells([one for one in records if one.example.task in probed], concept, by)
    for (name, condition), rows in rows_of.items():
        found = _spot(Cell(rows, name, concept, unit), condition, sides)
        if isinstance(found, Spot):
            spots.append(found)
        else:
            left_out.append(f"{name}, {condition}: {found}")
    return BlindSpots(tuple(spots), tuple(left_out))


def check_probes(who: Sequence[str], probes: Sequence[str] | None = None) -> None:
    """See that somebody decodes: without, what is unread cannot be told from what is absent.

    Raises:
        DataError: nobody of these names does.
    """
    if not any(_decodes(one, probes) for one in who):
        raise DataError(
            f"Blind spots need a probe's answers, got those of {', '.join(dict.fromkeys(who))}. "
            "Probes answer tasks with few answers, where training examples have the same layers "
            "and yes-or-no wordings."
        )


def _spot(cell: Cell, condition: str, sides: tuple[Sequence[str], Sequence[str]]) -> Spot | str:
    """Return the verdict's evidence, or why there is none."""
    if not cell.is_known:
        return "one answer is true of all rows, so nothing can be told apart"
    probes, oracles = (_sights(cell, names) for names in sides)
    if not probes or not oracles:
        return f"no {'probe' if not probes else 'oracle'} answered these rows"
    probe, oracle = (max(some, key=lambda one: one.gain.low) for some in (probes, oracles))
    gap = cell.gain(cell.values((probe.who, None)), cell.values((oracle.who, None)), LEVEL)
    if gap is None:
        return "no row was answered by both probe and oracle"
    return Spot(cell.name, condition, probe, oracle, gap)


def _sights(cell: Cell, names: Sequence[str]) -> list[Sight]:
    """Return what each answerer of a kind finds; the more of them, the wider their intervals."""
    here = [name for name in names if cell.scores((name, None))]
    level = 1 - (1 - LEVEL) / max(1, len(here))
    return [_sight(cell, name, level) for name in here]


def _sight(cell: Cell, who: str, level: float) -> Sight:
    scores, values = cell.scores((who, None)), cell.values((who, None))
    chance = cell.chance(values)
    floors = {CHANCE: chance} | {
        control if other == who else other: cell.values((other, control))
        for other, control in cell.floors(who)
        if control is not None
    }
    gains = {name: cell.gain(values, some, level) for name, some in floors.items()}
    known = {name: gain for name, gain in gains.items() if gain is not None}
    over = min(known, key=lambda name: known[name].low)
    return Sight(
        who=who,
        score=clustered(list(scores.values()), [cell.unit(one) for one in scores]),
        chance=cell.elsewhere((who, None))
        if cell.is_one_answer
        else sum(chance.values()) / len(chance),
        gain=known[over],
        over=over,
    )


def _decodes(who: str, probes: Sequence[str] | None) -> bool:
    return who.startswith(PROBE) if probes is None else who in probes
