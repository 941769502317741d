"""A report: what some runs found, and how they compare where they were asked the same rows.

Numbers are made from the answers themselves, not from the tables beside them, so that a report
and its rows cannot disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations

from activation_oracles.errors import DataError, MismatchError
from activation_oracles.evals.evaluation import Comparison, Record, Row, compare
from activation_oracles.evals.report.grids import Grid
from activation_oracles.evals.report.heat import Heat, heats
from activation_oracles.evals.report.measured import Measured
from activation_oracles.evals.report.runs import Run
from activation_oracles.evals.report.slices import Slices, sliced
from activation_oracles.evals.summary import Summary, summary
from activation_oracles.types import Example

Decode = Callable[[Sequence[int]], str]
"""Turns token ids back into words."""


@dataclass(frozen=True)
class Between:
    """One answerer in two runs, row by row."""

    who: str
    comparison: Comparison
    """Of runs: its `who` and `other` are their names."""


@dataclass(frozen=True)
class Report:
    """Some runs, their tables, and what tells them apart."""

    runs: tuple[Run, ...]
    summaries: tuple[Summary, ...]
    """One a run."""
    between: tuple[Between, ...]
    """Later runs against earlier ones, on the tasks that they share."""
    slices: tuple[Slices, ...]
    """Scores by layers and by tokens, of tasks whose rows differ in them."""
    heats: tuple[Heat, ...]
    """Gains by tokens and layers at once, of tasks whose rows differ in both."""
    measured: Mapping[str, Measured]
    """Calibrations, by name."""
    grids: tuple[Grid, ...] = ()
    """Training runs whose settings stand side by side."""
    decode: Decode | None = None
    """Turns what was read back into words, where they are wanted."""


def report(
    runs: Sequence[Run],
    measured: Mapping[str, Measured] | None = None,
    *,
    grids: Sequence[Grid] = (),
    decode: Decode | None = None,
) -> Report:
    """Sum up runs, and set those that share a task against each other.

    Args:
        runs: from `read_runs`, or made of records.
        measured: calibrations to show beside them, by name.
        grids: training runs to show beside them, or alone.
        decode: turns token ids back into words; without it, texts are shown only where rows hold
            what was said.

    Raises:
        DataError: there are neither runs nor grids, or two runs of one name.
        MismatchError: two runs were asked different rows of one task.
    """
    names = [run.name for run in runs]
    if not (runs or grids) or len(set(names)) < len(names):
        raise DataError(f"A report needs runs with a name of their own, got {names}.")
    for first, second in combinations(runs, 2):
        check_same_rows(first, second)
    summaries = tuple(summary(run.records, run.about) for run in runs)
    return Report(
        runs=tuple(runs),
        summaries=summaries,
        between=tuple(
            one for first, second in combinations(runs, 2) for one in _between(second, first)
        ),
        slices=tuple(sliced(runs)),
        heats=tuple(heats(runs, summaries)),
        measured=dict(measured or {}),
        grids=tuple(grids),
        decode=decode,
    )


def side_by_side(report: Report) -> dict[str, dict[tuple[str, str | None], list[tuple[Run, Row]]]]:
    """Return the scores by task, then by who answered under which control, then run by run."""
    found: dict[str, dict[tuple[str, str | None], list[tuple[Run, Row]]]] = {}
    for run, one in zip(report.runs, report.summaries, strict=True):
        for row in one.rows:
            found.setdefault(row.task, {}).setdefault((row.who, row.control), []).append((run, row))
    return found


def check_same_rows(first: Run, second: Run) -> None:
    """See that two runs can be compared row by row on every task that both have.

    Raises:
        MismatchError: some rows of a task were put to one of them alone.
    """
    ours, theirs = _rows(first), _rows(second)
    for task in [task for task in ours if task in theirs]:
        only_ours, only_theirs = ours[task] - theirs[task], theirs[task] - ours[task]
        if not only_ours and not only_theirs:
            continue
        raise MismatchError(
            f"{first.name} and {second.name} were asked different rows of task {task!r}: "
            f"{len(only_ours)} of {len(ours[task])} are in {first.name} alone, {len(only_theirs)} "
            f"of {len(theirs[task])} in {second.name}; they differ in "
            f"{_what_differs(only_ours, only_theirs)}. A paired test needs the same rows: evaluate "
            "both with the same data, layers, limit and seed, or report on each alone."
        )


def _rows(run: Run) -> dict[str, set[Example]]:
    found: dict[str, set[Example]] = {}
    for example in dict.fromkeys(record.example for record in run.records):
        found.setdefault(example.task, set()).add(example)
    return found


def _what_differs(ours: set[Example], theirs: set[Example]) -> str:
    if not ours or not theirs:
        return "how many there are"
    names = [one.name for one in fields(next(iter(ours)))]
    differ = [
        name
        for name in names
        if sorted(repr(getattr(one, name, None)) for one in ours)
        != sorted(repr(getattr(one, name, None)) for one in theirs)
    ]
    return ", ".join(differ) or "which belong together"


def _between(ours: Run, theirs: Run) -> list[Between]:
    """Compare every answerer, no control, that both runs have."""
    found: list[Between] = []
    for who in dict.fromkeys(one.who for one in ours.records if one.control is None):
        both = [*_renamed(ours, who), *_renamed(theirs, who)]
        if {one.who for one in both if one.score is not None} == {ours.name, theirs.name}:
            found += [Between(who, one) for one in compare(both, ours.name)]
    return found


def _renamed(run: Run, who: str) -> list[Record]:
    """Return what an answerer said in a run, as if the run had said it."""
    return [
        replace(one, who=run.name) for one in run.records if one.who == who and one.control is None
    ]
