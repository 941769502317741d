"""A report as one HTML file that needs nothing else: no network, no other file.

What models and people wrote is escaped; the page says so itself with a content policy that forbids
loading anything.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from activation_oracles.evals.report import tables
from activation_oracles.evals.report.figures import by_group, confidences
from activation_oracles.evals.report.grid_table import grids
from activation_oracles.evals.report.heat_table import heats
from activation_oracles.evals.report.report import Report
from activation_oracles.evals.report.rows import rows
from activation_oracles.evals.report.runs import Run
from activation_oracles.pages import embedded, section, style


def page(report: Report) -> str:
    """Return the page's HTML."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    held = rows(report)
    return template.substitute(
        style=style(),
        title=escape(", ".join(one.name for one in (*report.runs, *report.grids))),
        lead=_lead(report, len(held["rows"])),
        warnings="".join(map(_unfinished, report.runs)),
        # What is about answers is left out where there are none.
        without_runs="" if report.runs else " hidden",
        grids=section("Settings side by side", _GRIDS, grids(report)),
        scores=tables.scores(report),
        advantages=section(
            "Advantage over the best control", _ADVANTAGES, tables.advantages(report)
        ),
        baselines=section("Over everyone else", _BASELINES, tables.gains(report)),
        asking=section("Oracle, or asking in words", _ASKING, tables.asking(report)),
        between=section("Runs against each other", _BETWEEN, tables.between(report)),
        slices=section("By layers and tokens", _SLICES, "".join(by_group(report))),
        heats=section("Over the control, token by token and layer by layer", _HEATS, heats(report)),
        measured=section("How sure, how right", _MEASURED, "".join(confidences(report.measured))),
        about="".join(map(_about, report.runs)),
        rows=embedded(held),
    )


_GRIDS = (
    "Held-out figures of training runs, the best setting first. Intervals are over runs that "
    "differ in their seed alone; where there is one run, over its held-out answers, which says "
    "nothing of other seeds. Lines are settings that differ in nothing but what the axis names; "
    "the best one's is blue."
)
_ADVANTAGES = (
    "Each reader of activations against the best of its own controls, paired row by row. Strong: "
    "the interval does not hold 0."
)
_BASELINES = (
    "The first reader of activations in each run against answerers that are not its controls: "
    "probes, prompts, other readings. Paired row by row."
)
_ASKING = (
    "For which questions is reading better than asking? The best way of asking the oracle against "
    "the best way of asking in words, paired row by row. The oracle counts as better only where it "
    "also beats every control of its own; neither: these rows do not tell."
)
_BETWEEN = (
    "One answerer in two runs, on the same rows, paired row by row. An interval without 0 is "
    "more than the draw of units explains; of twenty comparisons, one such is to be expected by "
    "chance."
)
_SLICES = (
    "Scores, parted by what is read. Dots are scores with their 95 % interval "
    "over units; grey lines are controls. Point at a dot for its numbers. Groups hold different "
    "rows, unless the same ones were asked at each."
)
_HEATS = (
    "Score minus the score of the best of the reader's own controls, paired row by row: blue above "
    "it, brown below, strong where the 95 % interval does not hold 0, which of twenty cells one "
    "does by chance. Point at a cell for its numbers. Cells hold different rows, unless the same "
    "ones were asked at each."
)
_MEASURED = (
    "On rows that the curve was not fitted on. Left: confidence against the share that is right, "
    "in bins of equally many answers; on the diagonal it is as often right as it says. Right: what "
    "share of the answers is right where only the surest are given."
)


def _lead(report: Report, num_rows: int) -> str:
    tasks = {row.task for one in report.summaries for row in one.rows}
    num_answers = sum(len(run.records) for run in report.runs)
    counts = (
        (len(report.grids), "grid"),
        (len(report.runs), "run"),
        (len(tasks), "task"),
        (num_rows, "row"),
        (num_answers, "answer"),
    )
    return escape(", ".join(_counted(*one) for one in counts if one[0]) + ".")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _unfinished(run: Run) -> str:
    if run.is_finished:
        return ""
    return (
        f'<p class="warning">{escape(run.name)} is not finished: what it has answered so far is '
        "here, and the rest is not.</p>"
    )


def _about(run: Run) -> str:
    facts = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(_value(value))}</dd>"
        for name, value in run.about.items()
    )
    return f"<h3>{escape(run.name)}</h3><dl>{facts}</dl>"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {one}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
