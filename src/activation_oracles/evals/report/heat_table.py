"""Maps of gains by tokens and layers, as HTML tables coloured by the page's style."""

from collections.abc import Sequence
from html import escape

from activation_oracles.evals.report.heat import Cell, Heat
from activation_oracles.evals.report.report import Report

_DEEPEST = 55
"""Percent of its colour that a gain of 1 is painted with: the number on it must stay legible."""


def heats(report: Report) -> str:
    """Return a table for each map, tokens down and layers across, in folds by task."""
    parts: list[str] = []
    for task, by in dict.fromkeys((one.task, one.by) for one in report.heats):
        some = [one for one in report.heats if (one.task, one.by) == (task, by)]
        parts.append(
            f'<details open><summary>{escape(task)} <span class="soft">by layers and {escape(by)}'
            f"</span></summary>{''.join(map(_table, some))}</details>"
        )
    return "".join(parts)


def _table(one: Heat) -> str:
    head = "".join(f'<th scope="col">{escape(layer)}</th>' for layer in one.layers)
    body = "".join(
        _row(one, token, cells) for token, cells in zip(one.tokens, one.cells, strict=True)
    )
    return (
        f'<div class="scroll"><table class="heat"><caption>{escape(one.run)}: {escape(one.who)}, '
        f"over {escape(one.control)}</caption>"
        f"<thead><tr><th>tokens \\ layers</th>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(one: Heat, token: str, cells: Sequence[Cell]) -> str:
    drawn = "".join(
        _cell(cell, f"{one.by} {token}, layer {layer}")
        for cell, layer in zip(cells, one.layers, strict=True)
    )
    return f'<tr><th scope="row">{escape(token)}</th>{drawn}</tr>'


def _cell(gain: Cell, where: str) -> str:
    if gain is None:
        return f'<td title="{escape(where)}: no row that can be judged">-</td>'
    side = "above" if gain.score >= 0 else "below"
    apart = "" if gain.low <= 0 <= gain.high else " apart"
    told = (
        f"{where}: {gain.score:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}), n {gain.num_answers}, "
        f"units {gain.num_units}"
    )
    return (
        f'<td class="{side}{apart}" style="--share:{_DEEPEST * abs(gain.score):.0f}%" '
        f'title="{escape(told)}">{gain.score:+.2f}</td>'
    )
