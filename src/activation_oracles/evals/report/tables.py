"""The tables of a report, as HTML: scores, what they gain over whom, and how sure they are.

Everything that is not a number is escaped.
"""

from collections.abc import Iterable
from html import escape

from activation_oracles.evals.evaluation import Comparison, Row
from activation_oracles.evals.report.measured import Measured
from activation_oracles.evals.report.report import Report, side_by_side
from activation_oracles.evals.report.runs import readers
from activation_oracles.pages import bar, gain_bar, table
from activation_oracles.statistics import Estimate

_SCORES = ("who", "control", "run", "#score (95 %)", "0 to 1", "#n / units", "#unscorable")
_ADVANTAGES = ("who", "over", "run", "#gain (95 %)", "\u22121 to 1", "#n / units")
_ASKING = ("who", "asked", "better", "#gain (95 %)", "\u22121 to 1", "#n / units")
_BETWEEN = ("who", "run", "over run", "#gain (95 %)", "\u22121 to 1", "#n / units")
_MEASURES = ("", "#answers", "#right", "#confidence", "#ECE (95 %)", "#Brier", "#AUROC")
"""Heads of columns; `#` marks numbers."""


def scores(report: Report) -> str:
    """Return the scoreboard: task by task, answerer by answerer, the runs below each other."""
    return table("scores", _SCORES, _score_rows(report))


def advantages(report: Report) -> str:
    """Return what each reader of activations gains over the best of its own controls."""
    found = [
        _gain((gain.task, gain.who, gain.other_control or "", run.name), gain.gain)
        for run, one in zip(report.runs, report.summaries, strict=True)
        for gain in one.advantages
    ]
    return table("gains", _ADVANTAGES, found)


def gains(report: Report) -> str:
    """Return what the first reader of each run gains over whoever is no control of a reader."""
    found = [
        _gain((gain.task, gain.who, _named(gain), run.name), gain.gain)
        for run, one in zip(report.runs, report.summaries, strict=True)
        for gain in one.gains
        if gain.other_control is None or gain.other not in readers(run.records)
    ]
    return table("gains", _ADVANTAGES, found)


def asking(report: Report) -> str:
    """Return, task by task, whether the oracle or asking in words is better."""
    found = [
        _gain((one.task, one.oracle, one.asked, f"{one.better} ({run.name})"), one.gain)
        for run, some in zip(report.runs, report.summaries, strict=True)
        for one in some.rivals
    ]
    return table("gains", _ASKING, found)


def between(report: Report) -> str:
    """Return what answerers gain from one run to another."""
    found = [
        _gain((one.comparison.task, one.who, one.comparison.who, one.comparison.other), gain)
        for one in report.between
        for gain in [one.comparison.gain]
    ]
    return table("gains", _BETWEEN, found)


def measures(one: Measured) -> str:
    """Return how far confidences can be trusted, as stated and calibrated."""
    return table("measures", _MEASURES, _measures(one))


def _score_rows(report: Report) -> Iterable[str]:
    for task, answerers in side_by_side(report).items():
        first = next(iter(answerers.values()))[0][1]
        yield _task(task, f"chance {first.chance:.2f}, majority {first.majority:.2f}", 7)
        for some in answerers.values():
            yield from (_score(run.name, row) for run, row in some)


def _task(task: str, said: str, num_columns: int) -> str:
    return (
        f'<tr class="task"><th scope="rowgroup" colspan="{num_columns}">{escape(task)} '
        f'<span class="soft">{escape(said)}</span></th></tr>'
    )


def _score(run: str, row: Row) -> str:
    own = ' class="own"' if row.control is None else ' class="control"'
    cells = '<td class="number">-</td><td></td><td class="number">0</td>'
    if row.estimate is not None:
        one = row.estimate
        marks = {"chance": row.chance, "majority": row.majority}
        cells = (
            f'<td class="number">{one.score:.3f} <span class="soft">({one.low:.2f} to '
            f"{one.high:.2f})</span></td><td>{bar(one.score, one.low, one.high, marks)}</td>"
            f'<td class="number">{one.num_answers} / {one.num_units}</td>'
        )
    return (
        f'<tr{own}><th scope="row">{escape(row.who)}</th><td>{escape(row.control or "")}</td>'
        f'<td>{escape(run)}</td>{cells}<td class="number">{row.num_unscorable}</td></tr>'
    )


def _named(gain: Comparison) -> str:
    return gain.other if gain.other_control is None else f"{gain.other} ({gain.other_control})"


def _gain(names: tuple[str, str, str, str], gain: Estimate) -> str:
    task, who, *others = names
    apart = "" if gain.low <= 0 <= gain.high else ' class="own"'
    cells = "".join(f"<td>{escape(one)}</td>" for one in others)
    return (
        f'<tr{apart}><th scope="row">{escape(who)}<div class="soft">{escape(task)}</div></th>'
        f'{cells}<td class="number">{gain.score:+.3f} <span class="soft">({gain.low:+.2f} to '
        f"{gain.high:+.2f})</span></td><td>{gain_bar(gain.score, gain.low, gain.high)}</td>"
        f'<td class="number">{gain.num_answers} / {gain.num_units}</td></tr>'
    )


def _measures(one: Measured) -> Iterable[str]:
    for name, held in (("as stated", one.before), ("calibrated", one.after)):
        auroc = "-" if held.auroc is None else f"{held.auroc:.3f}"
        within = "" if held.ece_within is None else " ({:.3f} to {:.3f})".format(*held.ece_within)
        right, sure, brier = (
            f"{one:.3f}" for one in (held.share_right, held.confidence, held.brier)
        )
        cells = (str(held.num_answers), right, sure, f"{held.ece:.3f}{within}", brier, auroc)
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        yield f'<tr><th scope="row">{name}</th>{numbers}</tr>'
