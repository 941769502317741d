"""The table of a grid: each setting's held-out figures, over the seeds that share it, in order.

Runs that differ in nothing but their seed are one row: its mean, and how far the mean may lie from
that of all seeds. Rows are ordered by a figure over the tasks that every finished run has.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from activation_oracles.errors import ConfigError
from activation_oracles.files import folder_at, writing
from activation_oracles.training.evaluate import HeldOutScore
from activation_oracles.training.running import Outcome

SEED = "seed"
Metric = Literal["loss", "accuracy"]
Limits = tuple[float, float]
LIMITS: dict[Metric, Limits | None] = {"loss": None, "accuracy": (0.0, 1.0)}

Interval = Callable[[Sequence[float], Limits | None], tuple[float, float]]
"""Returns the 95 % interval of the mean of two or more values, within limits where there are."""


@dataclass(frozen=True)
class Figure:
    """A mean over runs."""

    mean: float
    low: float | None
    """Lower end of its 95 % interval; None where there is one run."""
    high: float | None
    num_runs: int


@dataclass(frozen=True)
class Row:
    """One setting's figures on one task."""

    settings: Mapping[str, Any]
    """What is varied, the seed aside, by dotted name."""
    task: str | None
    """None for the mean over the tasks that every finished run has."""
    loss: Figure | None
    """None where no run of these settings has it."""
    accuracy: Figure | None


@dataclass(frozen=True)
class Ranking:
    """A grid's rows, best settings first, and how each of its runs stands."""

    order_by: str
    rows: tuple[Row, ...]
    outcomes: tuple[Outcome, ...]

    def as_json(self) -> str:
        """Return all of it as JSON."""
        runs = [
            {
                "name": one.run.name,
                "settings": dict(one.run.varied),
                "folder": one.run.config.output,
                "error": one.error,
                "held_out": one.scores and {task: asdict(s) for task, s in one.scores.items()},
            }
            for one in self.outcomes
        ]
        held = {"order_by": self.order_by, "rows": [asdict(row) for row in self.rows], "runs": runs}
        return json.dumps(held, indent=1, default=str)

    def as_markdown(self) -> str:
        """Return a table for people, and below it what failed."""
        names = list(self.rows[0].settings) if self.rows else []
        head = [*names, "task", "loss", "95 %", "accuracy", "95 %", "runs"]
        lines = [_line(head), _line(["---"] * len(head))]
        for row in self.rows:
            count = max((one.num_runs for one in (row.loss, row.accuracy) if one), default=0)
            cells = [_told(row.settings[name]) for name in names]
            cells += [row.task or "(mean)", *_cells(row.loss), *_cells(row.accuracy), str(count)]
            lines.append(_line(cells))
        failed = [f"- {one.run.name} failed: {one.error}" for one in self.outcomes if one.error]
        waiting = [one for one in self.outcomes if one.scores is None and one.error is None]
        if waiting:
            failed.append(f"- not run yet: {', '.join(one.run.name for one in waiting)}")
        return "\n".join([*lines, *([""] if failed else []), *failed])


def rank(outcomes: Sequence[Outcome], order_by: str, interval: Interval) -> Ranking:
    """Return the table of a grid.

    Args:
        outcomes: how its runs stand.
        order_by: `loss` or `accuracy`, over all tasks that every finished run has, or of one task:
            `accuracy/TASK`.
        interval: how sure a mean over runs is.

    Raises:
        ConfigError: nothing can be ordered by that.
    """
    metric, task = _metric(order_by)
    groups = _groups(outcomes)
    finished = [one.scores for one in outcomes if one.scores is not None]
    tasks = sorted({name for scores in finished for name in scores})
    if task is not None and finished and task not in tasks:
        raise ConfigError(f"The grid cannot be ordered by {order_by!r}: its tasks are {tasks}.")
    shared = [name for name in tasks if all(name in scores for scores in finished)]
    rows: list[tuple[Row, ...]] = []
    for settings, some in groups:
        wanted = [(None, shared), *((name, [name]) for name in tasks)]
        rows.append(tuple(_row(settings, some, name, of, interval) for name, of in wanted))

    def place(group: tuple[Row, ...]) -> tuple[bool, float]:
        row = next((row for row in group if row.task == task), None)
        figure = row and getattr(row, metric)
        sign = -1 if metric == "accuracy" else 1
        return figure is None, 0.0 if figure is None else sign * figure.mean

    ordered = tuple(row for group in sorted(rows, key=place) for row in group)
    return Ranking(order_by, ordered, tuple(outcomes))


def save(ranking: Ranking, folder: Path) -> None:
    """Write a grid's table as `table.json` and `table.md`."""
    folder_at(folder)
    texts = {"table.json": ranking.as_json(), "table.md": ranking.as_markdown()}
    for name, text in texts.items():
        with writing(folder / name) as part:
            part.write_text(text + "\n", encoding="utf-8")


def check_order(order_by: str) -> None:
    """Refuse an order before anything runs.

    Raises:
        ConfigError: it names no figure.
    """
    _metric(order_by)


def _metric(order_by: str) -> tuple[Metric, str | None]:
    name, _, task = order_by.partition("/")
    for metric in get_args(Metric):
        if name == metric:
            return metric, task or None
    raise ConfigError(
        f"A grid is ordered by {' or '.join(get_args(Metric))}, or by one task's, as "
        f"accuracy/TASK; got {order_by!r}."
    )


def _groups(outcomes: Sequence[Outcome]) -> list[tuple[Mapping[str, Any], list[Outcome]]]:
    """Put runs together that differ in their seed alone."""
    groups: dict[str, tuple[Mapping[str, Any], list[Outcome]]] = {}
    for one in outcomes:
        settings = {name: value for name, value in one.run.varied.items() if name != SEED}
        key = json.dumps(settings, sort_keys=True, default=str)
        groups.setdefault(key, (settings, []))[1].append(one)
    return list(groups.values())


def _row(
    settings: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    task: str | None,
    tasks: Sequence[str],
    interval: Interval,
) -> Row:
    held = [one.scores for one in outcomes if one.scores is not None]
    some = [[scores[name] for name in tasks] for scores in held if all(n in scores for n in tasks)]
    figures = {metric: _figure(some, metric, interval) for metric in get_args(Metric)}
    return Row(settings, task, **figures)


def _figure(
    runs: Sequence[Sequence[HeldOutScore]], metric: Metric, interval: Interval
) -> Figure | None:
    """Return the mean over runs of their mean over tasks; None where no run has the figure."""
    values: list[float] = []
    for scores in runs:
        held = [value for one in scores if (value := getattr(one, metric)) is not None]
        if held:
            values.append(sum(held) / len(held))
    if not values:
        return None
    low, high = interval(values, LIMITS[metric]) if len(values) > 1 else (None, None)
    return Figure(sum(values) / len(values), low, high, len(values))


def _cells(figure: Figure | None) -> list[str]:
    if figure is None:
        return ["-", "-"]
    if figure.low is None or figure.high is None:
        return [f"{figure.mean:.3f}", "-"]
    return [f"{figure.mean:.3f}", f"{figure.low:.3f} to {figure.high:.3f}"]


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
