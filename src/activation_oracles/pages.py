"""What pages share: their style, tables, and drawings, SVG that stands in the page itself.

A page is one file that needs nothing else, so all of it is text that is put together.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

STYLE = Path(__file__).with_suffix(".css")
_NUMBER = ' class="number"'
_WIDTH, _HEIGHT = 320, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 8, 36
_MOST_TICKS = 12


@dataclass(frozen=True)
class Dot:
    """One point of a line."""

    x: float
    """From 0 to 1."""
    y: float
    """From 0 to 1."""
    low: float
    """Lower end of its interval; its own height where it has none."""
    high: float
    said: str
    """What it is, in words."""


@dataclass(frozen=True)
class Line:
    """A line with its intervals."""

    name: str
    kind: Literal["own", "other", "control"]
    """`own` and `other` are drawn strongly, in two colours; a control in grey."""
    dots: Sequence[Dot]


def style() -> str:
    """Return the style that pages share."""
    return STYLE.read_text(encoding="utf-8")


def embedded(value: Any) -> str:
    """Return JSON that may stand in a script element, whatever texts are in it."""
    # Inside a script element only "<" could end it; JSON may write it as an escape.
    held = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return held.replace("<", "\\u003c")


def section(title: str, said: str, body: str) -> str:
    """Return a part of a page: its title, what is to be said of it, and HTML; empty without any."""
    if not body:
        return ""
    return f'<h2>{escape(title)}</h2><p class="soft">{escape(said)}</p>{body}'


def table(kind: str, heads: Sequence[str], rows: Iterable[str]) -> str:
    """Return a table, empty without rows.

    Args:
        kind: what the style calls it.
        heads: of the columns; `#` marks numbers.
        rows: their HTML.
    """
    body = "".join(rows)
    if not body:
        return ""
    written = "".join(
        f'<th scope="col"{_NUMBER if head.startswith("#") else ""}>'
        f"{escape(head.removeprefix('#'))}</th>"
        for head in heads
    )
    return (
        f'<div class="scroll"><table class="scores {kind}"><thead><tr>{written}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def bar(score: float, low: float, high: float, marks: Mapping[str, float]) -> str:
    """Draw a score from 0 to 1 with its interval.

    Args:
        score: the point.
        low: lower end of its interval.
        high: upper end.
        marks: lines to compare with, by what the style calls them: `chance`, `majority`.
    """
    lines = "".join(
        f'<line class="{escape(name)}" x1="{_percent(at)}" x2="{_percent(at)}" y1="0" y2="12"/>'
        for name, at in marks.items()
    )
    return (
        '<svg class="bar" viewBox="-1 0 102 12" preserveAspectRatio="none" aria-hidden="true">'
        f'<line x1="0" x2="100" y1="6" y2="6"/>{_range(low, high)}{lines}'
        f'<rect class="point" x="{_percent(score - 0.01)}" width="2" y="1" height="10"/></svg>'
    )


def gain_bar(gain: float, low: float, high: float) -> str:
    """Draw a difference from -1 to 1 with its interval, and where 0 is."""
    return bar((gain + 1) / 2, (low + 1) / 2, (high + 1) / 2, {"zero": 0.5})


def chart(
    lines: Sequence[Line],
    ticks: Sequence[tuple[float, str]],
    x_label: str,
    *,
    diagonal: bool,
    top: float = 1.0,
) -> str:
    """Draw lines over heights from 0 to `top`.

    Args:
        lines: what to draw; the last is uppermost.
        ticks: where the axis has a word, from 0 to 1, and which.
        x_label: what the axis is.
        diagonal: whether to draw where both are equal.
        top: what a dot's height of 1 stands for.
    """
    step = max(1, -(-len(ticks) // _MOST_TICKS))
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(x_label)}: {escape(", ".join(line.name for line in lines))}">',
        *(_height(share, top) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
    ]
    if diagonal:
        ends = f'x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"'
        parts.append(f'<line class="diagonal" {ends}/>')
    parts += [
        f'<text x="{_x(at)}" y="{_HEIGHT - 21}" text-anchor="middle">{escape(word)}</text>'
        for at, word in ticks[::step]
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_label)}</text>'
    )
    parts += [_drawn(line) for line in lines]
    return "".join([*parts, "</svg>"])


def _drawn(line: Line) -> str:
    points = " ".join(f"{_x(dot.x)},{_y(dot.y)}" for dot in line.dots)
    dots = "".join(
        f"<g><title>{escape(f'{line.name}, {dot.said}')}</title>"
        f'<line class="whisker" x1="{_x(dot.x)}" x2="{_x(dot.x)}" y1="{_y(dot.low)}" '
        f'y2="{_y(dot.high)}"/><circle cx="{_x(dot.x)}" cy="{_y(dot.y)}" r="3"/></g>'
        for dot in line.dots
    )
    return f'<g class="line {line.kind}"><polyline points="{points}"/>{dots}</g>'


def _height(share: float, top: float) -> str:
    at = _y(share)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>'
        f'<text x="{_LEFT - 4}" y="{at}" dy="3" text-anchor="end">{share * top:.3g}</text>'
    )


def _range(low: float, high: float) -> str:
    width = max(0.005, high - low)
    return f'<rect class="range" x="{_percent(low)}" width="{_percent(width)}" y="2" height="8"/>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _x(share: float) -> float:
    return round(_LEFT + 8 + share * (_WIDTH - _LEFT - _RIGHT - 16), 1)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)
