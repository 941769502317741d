"""The figures of a battery as files, PNG and SVG, for papers and slides (matplotlib, extra `eval`).

Drawn from the same numbers as the page. The same findings give the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activation_oracles.dreams.curves import dose_response, over_concepts
from activation_oracles.dreams.findings import Measured
from activation_oracles.dreams.summary import SIGNIFICANT, Rate, Summary
from activation_oracles.figures import GREY, Drawn, colour_of, dots, save, sheet
from activation_oracles.statistics import Estimate

_COLUMN = 2.1


def plots(found: Measured, summary: Summary, folder: Path) -> list[Path]:
    """Draw the headlines, how often each kind steers, its effects, and its dose response.

    Raises:
        ConfigError: matplotlib is not installed.
        DataError: the files cannot be written.
    """
    return save(_figures(found, summary), folder)


def _figures(found: Measured, summary: Summary) -> Iterator[Drawn]:
    yield "rates", _rates(summary)
    yield "effects", _effects(summary)
    yield "dose response", _doses(found, summary)


def _rates(summary: Summary) -> Any:
    headlines = {
        "believed, follows": summary.steering,
        "believed, does not follow": summary.fooled,
        "believed, stays as it is": summary.fooled_unmoved,
        "unseen, follows": summary.silent,
    }
    by_kind = {f"{one.name} steers": one.steers for one in summary.kinds}
    figure, (axes,) = sheet(1.2 + 0.26 * (len(headlines) + len(by_kind)))
    rates = {**headlines, **by_kind}
    colours = [colour_of(0)] * len(headlines) + [colour_of(1)] * len(by_kind)
    dots(axes, [(name, _estimate(one)) for name, one in rates.items()], colours)
    ends = [len(headlines) - 0.4, len(rates) - 0.6]
    axes.plot([SIGNIFICANT, SIGNIFICANT], ends, color=GREY, linestyle=":")
    title = f"share of concepts; dotted: what chance lets steer, {SIGNIFICANT:.2f}"
    axes.set(xlim=(-0.02, 1.02), title=title)
    return figure


def _estimate(rate: Rate) -> Estimate:
    return Estimate(rate.share, rate.low, rate.high, rate.of, rate.of)


def _effects(summary: Summary) -> Any:
    figure, (axes,) = sheet(1.0 + 0.26 * len(summary.kinds))
    rows = [(one.name, one.effect) for one in summary.kinds]
    dots(axes, rows, [colour_of(0)] * len(rows))
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set(title="effect: what vectors add to the probability of the reply")
    return figure


def _doses(found: Measured, summary: Summary) -> Any:
    names = [one.name for one in summary.kinds]
    figure, columns = sheet(2.8, len(names), 0.8 + _COLUMN * len(names))
    asked = over_concepts([one.chosen for one in found.instructed.values()]).score
    for axes, name in zip(columns, names, strict=True):
        held = dose_response(found, name)
        places = range(len(held))
        axes.fill_between(
            places,
            [one.reply.low for one in held],
            [one.reply.high for one in held],
            color=colour_of(0),
            alpha=0.2,
            linewidth=0,
        )
        axes.plot(places, [one.reply.score for one in held], "o-", color=colour_of(0), markersize=3)
        still = next(one.reply.score for one in held if one.strength == 0)
        axes.axhline(still, color=GREY, linestyle=":", label=f"as it is {still:.2f}")
        axes.axhline(asked, color=GREY, linestyle="--", label=f"asked in words {asked:.2f}")
        axes.set_xticks(places, [f"{one.strength:g}" for one in held], size=6)
        axes.set(ylim=(-0.02, 1.02), title=name, xlabel="strength")
    columns[0].set_ylabel("probability of the reply")
    columns[0].legend(frameon=False, fontsize=7)
    return figure
