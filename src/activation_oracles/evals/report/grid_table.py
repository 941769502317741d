"""Grids of training runs, as HTML: each setting's figures side by side, task by task."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10
from typing import Any, Literal

from activation_oracles.evals.report.grids import Figure, Grid, Row
from activation_oracles.evals.report.report import Report
from activation_oracles.pages import Dot, Line, bar, chart

Metric = Literal["accuracy", "loss"]
METRICS: tuple[Metric, ...] = ("accuracy", "loss")
_NUMBER = ' class="number"'


def grids(report: Report) -> str:
    """Return each grid: what is missing of it, then task by task a table and its figures."""
    return "".join(map(_grid, report.grids))


def told(value: Any) -> str:
    """Return a setting's value in words."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def top_of(rows: Sequence[Row], metric: Metric) -> float:
    """Return a round number that no figure or interval lies above: 1 for shares."""
    figures = [one for row in rows if (one := getattr(row, metric)) is not None]
    highest = max((max(one.mean, one.high or 0) for one in figures), default=0)
    if metric == "accuracy" or highest <= 0:
        return 1.0
    step = 10.0 ** floor(log10(highest))
    return next(times * step for times in (1, 2, 4, 6, 8, 10) if highest <= times * step)


def others(row: Row, setting: str) -> str:
    """Return a row's settings but one, in words."""
    return ", ".join(f"{name} {told(one)}" for name, one in row.settings.items() if name != setting)


def _grid(grid: Grid) -> str:
    parts = [f"<h3>{escape(grid.name)} {_soft(f'ordered by {grid.table.order_by}')}</h3>"]
    parts += [
        f'<p class="warning">{escape(run.name)} failed: {escape(run.error)}</p>'
        for run in grid.table.runs
        if run.error is not None
    ]
    waiting = [one.name for one in grid.table.runs if one.held_out is None and one.error is None]
    if waiting:
        parts.append(f'<p class="warning">Not run yet: {escape(", ".join(waiting))}</p>')
    for number, task in enumerate(grid.tasks):
        rows = grid.rows(task)
        figures = "".join(
            _figure(grid, rows, setting, metric) for setting in grid.settings for metric in METRICS
        )
        parts.append(
            f"<details{'' if number else ' open'}><summary>{escape(task or 'mean over tasks')}"
            f'</summary>{_table(grid, rows)}<div class="figures">{figures}</div></details>'
        )
    return "".join(parts)


def _table(grid: Grid, rows: Sequence[Row]) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in grid.settings)
    numbers = "".join(
        f'<th scope="col"{_NUMBER}>{head}</th>' if head != "0 to 1" else f"<th>{head}</th>"
        for head in ("accuracy (95 %)", "0 to 1", "loss (95 %)", "runs")
    )
    body = "".join(_row(row) for row in rows)
    return (
        f'<div class="scroll"><table class="scores"><thead><tr>{heads}{numbers}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Row) -> str:
    settings = "".join(f'<th scope="row">{escape(told(one))}</th>' for one in row.settings.values())
    one, drawn = row.accuracy, ""
    if one is not None:
        drawn = bar(one.mean, *_ends(one), {})
    count = max((figure.num_runs for figure in (row.accuracy, row.loss) if figure), default=0)
    return (
        f"<tr>{settings}<td{_NUMBER}>{_cell(one)}</td><td>{drawn}</td>"
        f"<td{_NUMBER}>{_cell(row.loss)}</td><td{_NUMBER}>{count}</td></tr>"
    )


def _cell(one: Figure | None) -> str:
    if one is None:
        return "-"
    if one.low is None or one.high is None:
        return f"{one.mean:.3f}"
    over = ", over answers" if one.num_runs == 1 else ""
    return f"{one.mean:.3f} {_soft(f'({one.low:.2f} to {one.high:.2f}{over})')}"


def _figure(grid: Grid, rows: Sequence[Row], setting: str, metric: Metric) -> str:
    values, top = grid.values(setting), top_of(rows, metric)
    lines: dict[str, list[Dot]] = {}
    for place, value in enumerate(values):
        for row in rows:
            one: Figure | None = getattr(row, metric)
            if one is not None and _has(row.settings, setting, value):
                low, high = (end / top for end in _ends(one))
                said = f"{setting} {told(value)}: {one.mean:.3f}"
                dot = Dot((place + 0.5) / len(values), one.mean / top, max(0.0, low), high, said)
                lines.setdefault(others(row, setting), []).append(dot)
    if not lines:
        return ""
    # The best setting's line last, which lies uppermost.
    best = others(rows[0], setting)
    drawn = [
        Line(name or metric, "own" if name == best else "other", dots)
        for name, dots in sorted(lines.items(), key=lambda one: one[0] == best)
    ]
    ticks = [((place + 0.5) / len(values), told(value)) for place, value in enumerate(values)]
    caption = "accuracy" if metric == "accuracy" else "loss, in nats"
    picture = chart(drawn, ticks, setting, diagonal=False, top=top)
    return f"<figure><figcaption>{caption} by {escape(setting)}</figcaption>{picture}</figure>"


def _has(settings: Mapping[str, Any], setting: str, value: Any) -> bool:
    return setting in settings and settings[setting] == value


def _ends(one: Figure) -> tuple[float, float]:
    """Return a figure's interval; where it has none, itself."""
    low = one.mean if one.low is None else one.low
    return low, one.mean if one.high is None else one.high


def _soft(text: str) -> str:
    return f'<span class="soft">{escape(text)}</span>'
