"""The figures of a report as files, PNG and SVG, for papers and slides (matplotlib, extra `eval`).

Drawn from the same numbers as the page. The same report gives the same bytes.
"""

from collections.abc import Iterator, Sequence
from math import nan
from pathlib import Path
from typing import Any

from activation_oracles.evals.evaluation import Row
from activation_oracles.evals.report.grid_table import METRICS, others
from activation_oracles.evals.report.grids import Grid
from activation_oracles.evals.report.heat import Heat
from activation_oracles.evals.report.measured import Measured, kept_of_surest
from activation_oracles.evals.report.report import Report, side_by_side
from activation_oracles.evals.report.runs import Run
from activation_oracles.evals.report.slices import Curve, Slices
from activation_oracles.figures import GREY, WIDTH, Drawn, colour_of, dots, save, sheet


def save_plots(report: Report, folder: Path) -> list[Path]:
    """Draw a report's figures into a folder and return their paths.

    Scores by task, advantages, scores by layers and tokens where the rows differ in them and gains
    by both at once, the settings of grids, and for each calibration a reliability diagram beside
    precision and coverage.

    Raises:
        ConfigError: matplotlib is not installed.
        DataError: the files cannot be written.
    """
    return save(_figures(report), folder)


def _figures(report: Report) -> Iterator[Drawn]:
    for task, answerers in side_by_side(report).items():
        yield (
            f"scores {task}",
            _scores(task, report, [row for some in answerers.values() for row in some]),
        )
    if any(one.advantages for one in report.summaries):
        yield "advantages", _advantages(report)
    for one in report.slices:
        yield f"{one.task} by {one.by}", _slices(one)
    for one in report.heats:
        yield f"{one.run} {one.who} {one.task} by layers and {one.by}", _heat(one)
    for grid in report.grids:
        for task in grid.tasks:
            yield f"grid {grid.name} {task or 'mean'}", _grid(grid, task)
    for name, measured in report.measured.items():
        yield f"confidence {name}", _confidence(name, measured)


def _scores(task: str, report: Report, rows: Sequence[tuple[Run, Row]]) -> Any:
    figure, (axes,) = sheet(1.2 + 0.24 * len(rows))
    places = {run.name: place for place, run in enumerate(report.runs)}
    dots(
        axes,
        [(_named(run, row, report), row.estimate) for run, row in rows],
        [colour_of(places[run.name]) if row.control is None else GREY for run, row in rows],
    )
    first = rows[0][1]
    axes.axvline(first.chance, color=GREY, linestyle=":", label=f"chance {first.chance:.2f}")
    majority = f"majority {first.majority:.2f}"
    axes.axvline(first.majority, color=GREY, linestyle="--", label=majority)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2, frameon=False)
    axes.set(xlim=(-0.02, 1.02), title=task)
    return figure


def _named(run: Run, row: Row, report: Report) -> str:
    who = row.who if row.control is None else f"{row.who}, {row.control}"
    return who if len(report.runs) == 1 else f"{run.name}: {who}"


def _advantages(report: Report) -> Any:
    rows = [
        (place, f"{run.name}: {one.who}, {one.task}", one.gain)
        for place, (run, summary) in enumerate(zip(report.runs, report.summaries, strict=True))
        for one in summary.advantages
    ]
    figure, (axes,) = sheet(1.0 + 0.26 * len(rows))
    dots(axes, [row[1:] for row in rows], [colour_of(place) for place, *_ in rows])
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set(xlim=(-1.02, 1.02), title="advantage over the best control")
    return figure


def _slices(one: Slices) -> Any:
    whos = list(dict.fromkeys(curve.who for curve in one.curves if curve.control is None))
    runs = list(dict.fromkeys(curve.run for curve in one.curves))
    figure, columns = sheet(4.0, len(whos), 3.6 * len(whos))
    for axes, who in zip(columns, whos, strict=True):
        for curve in one.curves:
            if curve.who == who:
                _curve(axes, curve, runs)
        axes.set(ylim=(-0.02, 1.02), title=who, xlabel=one.by)
        axes.set_xticks(range(len(one.groups)), one.groups)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=7
        )
    figure.suptitle(one.task)
    return figure


def _curve(axes: Any, curve: Curve, runs: Sequence[str]) -> None:
    held = [(place, one) for place, one in enumerate(curve.scores) if one is not None]
    places, scores = [place for place, _ in held], [one for _, one in held]
    colour = colour_of(runs.index(curve.run)) if curve.control is None else GREY
    axes.errorbar(
        places,
        [one.score for one in scores],
        # Rounding may put a mean a hair outside its interval.
        yerr=[
            [max(0.0, one.score - one.low) for one in scores],
            [max(0.0, one.high - one.score) for one in scores],
        ],
        color=colour,
        marker="o",
        markersize=4,
        linewidth=1.4 if curve.control is None else 0.8,
        linestyle="-" if curve.control is None else "--",
        label=f"{curve.run}{'' if curve.control is None else f', {curve.control}'}",
    )


def _heat(one: Heat) -> Any:
    num_columns, num_rows = len(one.layers), len(one.tokens)
    figure, (axes,) = sheet(1.6 + 0.3 * num_rows, width=max(WIDTH, 1.8 + 0.5 * num_columns))
    gains = [[nan if cell is None else cell.score for cell in row] for row in one.cells]
    # The middle of the colours is 0, wherever the gains lie.
    image = axes.imshow(gains, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for row, cells in enumerate(one.cells):
        for column, cell in enumerate(cells):
            if cell is not None:
                weight = "normal" if cell.low <= 0 <= cell.high else "bold"
                colour = "white" if abs(cell.score) > 0.7 else "black"
                said = f"{cell.score:+.2f}"
                axes.text(
                    column, row, said, ha="center", va="center", color=colour, weight=weight, size=7
                )
    axes.set_xticks(range(num_columns), one.layers)
    axes.set_yticks(range(num_rows), one.tokens)
    axes.set(xlabel="layers", ylabel=one.by, title=f"{one.task}: {one.who} over {one.control}")
    figure.colorbar(image, ax=axes, label="gain; bold: its interval does not hold 0")
    return figure


def _grid(grid: Grid, task: str | None) -> Any:
    """Draw a task's figures, a setting a line, the best uppermost."""
    rows = grid.rows(task)
    figure, columns = sheet(1.2 + 0.26 * len(rows), len(METRICS), 1.5 * WIDTH)
    for axes, metric in zip(columns, METRICS, strict=True):
        for place, row in enumerate(rows):
            one = getattr(row, metric)
            if one is not None and one.low is not None:
                axes.plot([one.low, one.high], [place, place], color=colour_of(0), alpha=0.5)
            if one is not None:
                axes.plot([one.mean], [place], "o", color=colour_of(0), markersize=5)
        axes.set_yticks(range(len(rows)), [others(row, "") for row in rows])
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=metric)
    columns[0].set_xlim(-0.02, 1.02)
    columns[1].set_yticklabels([])
    figure.suptitle(f"{grid.name}, {task or 'mean over tasks'}")
    return figure


def _confidence(name: str, one: Measured) -> Any:
    figure, (left, right) = sheet(3.4, 2, 2 * WIDTH / 1.8)
    left.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    for held, colour, said in (
        (one.before, GREY, "as stated"),
        (one.after, colour_of(0), "fitted"),
    ):
        sure, hits = ([bin.confidence for bin in held.bins], [bin.share_right for bin in held.bins])
        left.vlines(sure, [bin.low for bin in held.bins], [bin.high for bin in held.bins], colour)
        left.plot(sure, hits, "o-", color=colour, label=f"{said}, ECE {held.ece:.3f}")
    left.set(xlabel="confidence", ylabel="share right", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    left.legend(frameon=False)
    kept = kept_of_surest(one.after.bins)
    right.plot([share for share, _ in kept], [hits for _, hits in kept], "o-", color=colour_of(0))
    right.set(xlabel="coverage", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.suptitle(name)
    return figure
