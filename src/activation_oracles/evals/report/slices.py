"""Scores by what rows differ in: the layers that are read, and the tokens.

Absolute positions say nothing across texts of different lengths, so tokens are told apart by how
many are shown, and by how far from the end of the text the last of them stands.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from activation_oracles.evals.cases import unit_of
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.report.runs import Run
from activation_oracles.models.blocks import named_layers
from activation_oracles.statistics import Estimate, clustered
from activation_oracles.types import READING, Example

LAYERS = "layers"
MOST_VALUES = 12
"""More different numbers than these are put in ranges, each twice as wide as the one before."""

_Answerer = tuple[str, str, str | None]


@dataclass(frozen=True)
class Curve:
    """How one answerer of a run did on the rows of each group; None where none can be judged."""

    run: str
    who: str
    control: str | None
    scores: tuple[Estimate | None, ...]
    """One a group."""


@dataclass(frozen=True)
class Slices:
    """One task's scores, group by group of what its rows differ in."""

    task: str
    by: str
    """What the groups are, as `layers`."""
    groups: tuple[str, ...]
    curves: tuple[Curve, ...]


def sliced(runs: Sequence[Run]) -> list[Slices]:
    """Return scores by layers and by tokens, for each task whose rows differ in them."""
    by_task: dict[str, list[tuple[str, Record]]] = defaultdict(list)
    for run in runs:
        for record in run.records:
            by_task[record.example.task].append((run.name, record))
    found: list[Slices] = []
    for task, some in by_task.items():
        examples = list(dict.fromkeys(record.example for _, record in some))
        for by, grouped in WAYS.items():
            group_of, groups = grouped(examples)
            if len(groups) > 1:
                found.append(Slices(task, by, groups, _curves(some, group_of, groups)))
    return found


def _curves(
    some: Sequence[tuple[str, Record]], group_of: Mapping[Example, str], groups: Sequence[str]
) -> tuple[Curve, ...]:
    held: dict[_Answerer, dict[str, list[Record]]] = {}
    for run, record in some:
        parts = held.setdefault((run, record.who, record.control), defaultdict(list))
        if record.score is not None and record.example in group_of:
            parts[group_of[record.example]].append(record)
    return tuple(
        Curve(*key, scores=tuple(_estimate(parts.get(group, [])) for group in groups))
        for key, parts in held.items()
    )


def _estimate(records: Sequence[Record]) -> Estimate | None:
    scores = [one.score for one in records if one.score is not None]
    units: list[Hashable] = [unit_of(one.example) for one in records]
    return clustered(scores, units) if scores else None


_Groups = tuple[dict[Example, str], tuple[str, ...]]


def _by_layers(examples: Sequence[Example]) -> _Groups:
    sets = sorted({one.layers for one in examples}, key=lambda one: (len(one), one))
    group_of = {one: named_layers(one.layers) for one in examples}
    return group_of, tuple(map(named_layers, sets))


def _by_number(value: Callable[[Example], int]) -> Callable[[Sequence[Example]], _Groups]:
    def grouped(examples: Sequence[Example]) -> _Groups:
        values = {one: value(one) for one in examples if one.shown == READING}
        label = _labels(sorted(set(values.values())))
        group_of = {one: label[number] for one, number in values.items()}
        return group_of, tuple(dict.fromkeys(label.values()))

    return grouped


def _labels(numbers: Sequence[int]) -> dict[int, str]:
    """Return a name for each of some ascending positive numbers: itself, or the range it is in."""
    if len(numbers) <= MOST_VALUES:
        return {number: str(number) for number in numbers}
    found: dict[int, str] = {}
    for number in numbers:
        first = 1 << (number - 1).bit_length() - 1 if number > 1 else 0
        found[number] = f"{first + 1}" if number <= 2 else f"{first + 1} to {2 * first}"
    return found


WAYS: dict[str, Callable[[Sequence[Example]], _Groups]] = {
    LAYERS: _by_layers,
    "number of tokens shown": _by_number(lambda one: len(one.positions)),
    "last token shown, from the end of the text": _by_number(
        lambda one: len(one.context) - max(one.positions)
    ),
}
