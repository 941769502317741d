"""The figures of a report, as HTML: scores by layers and tokens, and confidence beside truth."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from activation_oracles.evals.calibration import Calibration
from activation_oracles.evals.report.measured import Measured, kept_of_surest
from activation_oracles.evals.report.report import Report
from activation_oracles.evals.report.slices import LAYERS, Curve, Slices
from activation_oracles.evals.report.tables import measures
from activation_oracles.pages import Dot, Line, chart
from activation_oracles.statistics import Estimate

_TICKS = ((0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1.0, "1"))


def by_group(report: Report) -> Iterable[str]:
    """Yield figures, one for each task, way of parting its rows, and reader, with its controls."""
    for one in report.slices:
        readers = dict.fromkeys(curve.who for curve in one.curves if curve.control is None)
        drawn = "".join(_figure(one, who) for who in readers)
        is_open = " open" if one.by == LAYERS else ""
        yield (
            f'<details{is_open}><summary>{escape(one.task)} <span class="soft">by {escape(one.by)}'
            f'</span></summary><div class="figures">{drawn}</div></details>'
        )


def confidences(measured: Mapping[str, Measured]) -> Iterable[str]:
    """Yield a reliability diagram and a precision-coverage curve for each calibration."""
    for name, one in measured.items():
        said = f"confidence by {one.curve.method}, {one.curve.curve} curve, {one.num_fitted} fitted"
        kept = ""
        if one.kept is not None:
            kept = (
                f'<p class="soft">Answers of {one.kept.threshold:.3f} and more: '
                f"{one.kept.coverage:.3f} of all, {one.kept.precision:.3f} of them right.</p>"
            )
        figures = f"<figure>{_reliability(one)}</figure><figure>{_coverage(one)}</figure>"
        yield (
            f'<h3>{escape(name)} <span class="soft">{escape(said)}</span></h3>'
            f'{measures(one)}{kept}<div class="figures">{figures}</div>'
        )


def _figure(slices: Slices, who: str) -> str:
    places = [(at + 0.5) / len(slices.groups) for at in range(len(slices.groups))]
    curves = [one for one in slices.curves if one.who == who]
    # Controls first: what is drawn last lies uppermost.
    curves.sort(key=lambda one: one.control is None)
    first = slices.curves[0].run
    lines = [_line(one, slices.groups, places, first) for one in curves]
    ticks = list(zip(places, slices.groups, strict=True))
    drawn = chart([one for one in lines if one.dots], ticks, slices.by, diagonal=False)
    return f"<figure><figcaption>{escape(who)}</figcaption>{drawn}</figure>"


def _line(curve: Curve, groups: Sequence[str], places: Sequence[float], first: str) -> Line:
    dots = [
        Dot(place, one.score, one.low, one.high, f"{group}: {_told(one)}")
        for place, group, one in zip(places, groups, curve.scores, strict=True)
        if one is not None
    ]
    name = curve.who if curve.control is None else f"{curve.who}, {curve.control}"
    if curve.control is not None:
        return Line(f"{curve.run}: {name}", "control", dots)
    return Line(f"{curve.run}: {name}", "own" if curve.run == first else "other", dots)


def _told(one: Estimate) -> str:
    return f"{one.score:.3f} ({one.low:.3f} to {one.high:.3f}), n {one.num_answers}"


def _reliability(one: Measured) -> str:
    lines = [
        Line("as stated", "control", _binned(one.before)),
        Line("calibrated", "own", _binned(one.after)),
    ]
    return chart(lines, _TICKS, "confidence, and the share that is right", diagonal=True)


def _binned(held: Calibration) -> list[Dot]:
    return [
        Dot(one.confidence, one.share_right, one.low, one.high, f"{one.num_answers} answers")
        for one in held.bins
    ]


def _coverage(one: Measured) -> str:
    dots = [
        Dot(kept, right, right, right, f"{kept:.2f} of all given, {right:.3f} of them right")
        for kept, right in kept_of_surest(one.after.bins)
    ]
    line = Line("calibrated", "own", dots)
    return chart(
        [line], _TICKS, "share given, and the share of those that is right", diagonal=False
    )
