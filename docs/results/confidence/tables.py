"""What oracles of the village said, as the tables of confidence.md."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from measure import PRECISION, Found, Said, platt

from activation_oracles.evals.calibration import Calibration, calibration, threshold_for
from activation_oracles.evals.grade import exact
from activation_oracles.oracle.calibrator import Calibrator
from activation_oracles.statistics import clustered

GROUPS = (
    *("answerable", "absent", "nothing", "random"),
    *("withheld groups", "organisms", "organisms, words alone"),
)


def tables(found: Mapping[str, Found]) -> str:
    """Return everything as markdown."""
    return (
        "\n\n".join(
            [
                _refusals(found),
                _given(found),
                _calibrations(found),
                _taboo(found),
                _agreement(found),
            ]
        )
        + "\n"
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([_line(heads), "|---" * len(heads) + "|", *map(_line, rows)])


def _share(said: Sequence[Said], value: Callable[[Said], float]) -> str:
    one = clustered([value(each) for each in said], [each.unit for each in said])
    return f"{one.score:.3f} ({one.low:.3f} to {one.high:.3f})"


def _given(found: Mapping[str, Found]) -> str:
    """Tell what is given, and how much of it is right, by the curve of development organisms."""
    rows: list[list[str]] = []
    for name, one in found.items():
        curve, right = _of_development(one), [each.right for each in one.development]
        sure = [curve.apply(each.confidence) for each in one.development]
        chosen = threshold_for(sure, right, PRECISION)
        if chosen is None:
            continue
        for group in GROUPS:
            said = [each for each in one.said if each.group == group]

            def is_given(
                each: Said, curve: Calibrator = curve, least: float = chosen.threshold
            ) -> bool:
                return not each.refused and curve.apply(each.confidence) >= least

            given = [each for each in said if is_given(each)]
            row = [name, group, str(len(said)), _share(said, lambda each: float(is_given(each)))]
            rows.append([*row, _share(given, lambda each: each.right) if given else "-"])
    return _table(["oracle", "asked", "n", "given", "right of these"], rows)


def _of_development(one: Found) -> Calibrator:
    said = one.development
    return platt([each.confidence for each in said], [each.right for each in said])


def _refusals(found: Mapping[str, Found]) -> str:
    """Tell how often it refuses by itself, and below the threshold, and what is right."""
    rows: list[list[str]] = []
    for name, one in found.items():
        for group in GROUPS:
            said = [each for each in one.said if each.group == group]

            def is_low(each: Said, one: Found = one) -> bool:
                return (
                    one.threshold is not None and one.curve.apply(each.confidence) < one.threshold
                )

            rows.append(
                [
                    name,
                    group,
                    str(len(said)),
                    _share(said, lambda each: each.right),
                    _share(said, lambda each: each.right * (not each.refused)),
                    _share(said, lambda each: float(each.refused)),
                    _share(said, lambda each: each.right * (not is_low(each))),
                    _share(said, lambda each: float(is_low(each))),
                ]
            )
    heads = ["oracle", "asked", "n", "guess right", "right, by itself", "refused, by itself"]
    return _table([*heads, "right, by threshold", "refused, by threshold"], rows)


def _calibrations(found: Mapping[str, Found]) -> str:
    """Tell how far confidences are from shares of right answers, by what a curve is fitted on."""
    rows: list[list[str]] = []
    for name, one in found.items():
        organisms = [each for each in one.said if each.group == "organisms"]
        withheld = [each for each in one.said if each.group == "withheld groups"]
        other = _of_development(one)
        for fitted_on, curve, measured_on, said in (
            ("half of the base's", one.curve, "the other half", one.other_half),
            ("half of the base's", one.curve, "withheld groups", withheld),
            ("half of the base's", one.curve, "organisms", organisms),
            ("development organisms", other, "organisms", organisms),
        ):
            right = [each.right for each in said]
            units = [each.unit for each in said]
            before = calibration([each.confidence for each in said], right, units=units)
            sure = [curve.apply(each.confidence) for each in said]
            after = calibration(sure, right, units=units)
            figures = [*_figures(before), *_figures(after)[:2]]
            rows.append([name, fitted_on, measured_on, str(len(said)), *figures])
    heads = ["oracle", "curve fitted on", "measured on", "n", "ECE, stated", "Brier, stated"]
    return _table([*heads, "AUROC", "ECE, fitted", "Brier, fitted"], rows)


def _figures(one: Calibration) -> list[str]:
    assert one.ece_within is not None
    low, high = one.ece_within
    auroc = "-" if one.auroc is None else f"{one.auroc:.3f}"
    return [f"{one.ece:.3f} ({low:.3f} to {high:.3f})", f"{one.brier:.3f}", auroc]


def _taboo(found: Mapping[str, Found]) -> str:
    """Tell what a threshold for a precision of .95, chosen on other words, keeps of taboo."""
    rows: list[list[str]] = []
    for name, one in found.items():
        others, taboo = (
            [
                each
                for each in said
                if each.group == "organisms" and each.example.task.startswith("taboo")
            ]
            for said in (one.development, one.said)
        )
        chosen = threshold_for(
            [each.confidence for each in others], [each.right for each in others], 0.95
        )
        kept = [each for each in taboo if chosen and each.confidence >= chosen.threshold]
        words = len({each.unit for each in taboo})
        row = [name, str(len(taboo)), str(words), _share(taboo, lambda each: each.right)]
        row += ["-" if chosen is None else f"{chosen.threshold:.3f}"]
        row += [f"{len(kept) / len(taboo):.3f}"]
        rows.append([*row, _share(kept, lambda each: each.right) if kept else "-"])
    heads = ["oracle", "n", "words", "guess right", "threshold", "coverage", "precision"]
    return _table(heads, rows)


def _agreement(found: Mapping[str, Found]) -> str:
    """Tell how often two wordings of one question about one reading get the same answer."""
    rows: list[list[str]] = []
    for name, one in found.items():
        groups: dict[tuple[object, ...], list[Said]] = defaultdict(list)
        for each in one.said:
            if each.group == "organisms":
                example = each.example
                groups[example.task, example.source, example.answer, example.context].append(each)
        pairs = [pair for some in groups.values() for pair in combinations(some, 2)]
        values = [exact(a.guess, b.guess) or 0.0 for a, b in pairs]
        alike = clustered(values, [a.unit for a, _ in pairs])
        told = f"{alike.score:.3f} ({alike.low:.3f} to {alike.high:.3f})"
        rows.append([name, str(len(pairs)), told])
    return _table(["oracle", "pairs of wordings", "same guess"], rows)
