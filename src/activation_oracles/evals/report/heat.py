"""Gains over a control by tokens and layers at once: where in a text and how deep is read.

One control a map, the best of the reader's own over all rows of the task: a map whose cells were
set against different ones could not be read across.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from activation_oracles.evals.cases import unit_of
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.report.runs import Run
from activation_oracles.evals.report.slices import LAYERS, WAYS
from activation_oracles.evals.summary import Summary
from activation_oracles.statistics import Estimate, paired_difference
from activation_oracles.types import Example

Cell = Estimate | None
"""What is gained there, from -1 to 1, paired row by row; None where no row can be judged."""
_Place = tuple[str, str]


@dataclass(frozen=True)
class Heat:
    """What one reader of a run gains over a control on one task, by tokens and layers."""

    task: str
    run: str
    who: str
    control: str
    """The best of its own controls, over all tokens and layers."""
    by: str
    """What tokens are told apart by, as `number of tokens shown`."""
    tokens: tuple[str, ...]
    layers: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """For each of `tokens`, one a layer."""


def heats(runs: Sequence[Run], summaries: Sequence[Summary]) -> list[Heat]:
    """Return the maps of every task that was read at several layers and at several tokens.

    Args:
        runs: what was answered.
        summaries: one a run; which control is a reader's best is theirs to say.
    """
    by_task: dict[str, dict[Example, None]] = defaultdict(dict)
    for run in runs:
        for record in run.records:
            by_task[record.example.task][record.example] = None
    found: list[Heat] = []
    for task, examples in by_task.items():
        layer_of, layers = WAYS[LAYERS](list(examples))
        for by, grouped in WAYS.items():
            token_of, tokens = grouped(list(examples))
            if by == LAYERS or min(len(layers), len(tokens)) < 2:
                continue
            places = {one: (token_of[one], layer_of[one]) for one in token_of}
            for run, one in zip(runs, summaries, strict=True):
                for gain in [gain for gain in one.advantages if gain.task == task]:
                    names = run.name, gain.who, gain.other_control or ""
                    cells = _cells(run.records, names[1:], places)
                    rows = tuple(tuple(cells.get((at, deep)) for deep in layers) for at in tokens)
                    found.append(Heat(task, *names, by, tokens, layers, rows))
    return found


def _cells(
    records: Sequence[Record], names: tuple[str, str], places: Mapping[Example, _Place]
) -> dict[_Place, Estimate]:
    who, control = names
    scores: dict[str | None, dict[Example, float]] = {None: {}, control: {}}
    for one in records:
        if one.who == who and one.control in scores and one.score is not None:
            scores[one.control][one.example] = one.score
    both: dict[_Place, list[Example]] = defaultdict(list)
    for one in scores[None]:
        if one in scores[control] and one in places:
            both[places[one]].append(one)
    return {
        place: paired_difference(
            [scores[None][one] for one in some],
            [scores[control][one] for one in some],
            [unit_of(one) for one in some],
        )
        for place, some in both.items()
    }
