"""Fit a curve from stated to calibrated confidence, and see what it is worth on other rows.

Units (texts, words, persons) are parted in two halves by their hash. The curve and the threshold
are fitted on one and reported on the other: both are the best of many, and would flatter
themselves on the rows that they were chosen on.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from activation_oracles.errors import DataError
from activation_oracles.evals.calibration import Calibration, Point, calibration, threshold_for
from activation_oracles.evals.grade import Grade
from activation_oracles.types import Example

FEWEST_RIGHT = 20
"""Right answers on which a threshold for refusals may be chosen."""
Ask = Callable[[Sequence[Example]], Sequence[tuple[str, float | None]]]
"""Returns an answer and its confidence for each example; None where it has none."""


@runtime_checkable
class Curve(Protocol):
    """Anything that maps a stated confidence to a calibrated one."""

    def apply(self, confidence: float) -> float:
        """Return the calibrated confidence."""
        ...


Fit = Callable[[Sequence[float], Sequence[float]], Curve]
"""Fits a curve to stated confidences and to what was right."""


@runtime_checkable
class HasExample(Protocol):
    """Anything that is about an example."""

    @property
    def example(self) -> Example:
        """What it is about."""
        ...


_Row = TypeVar("_Row", bound=HasExample)


@dataclass(frozen=True)
class Judged:
    """One example, what was said, how surely, and whether it was right."""

    example: Example
    text: str
    confidence: float
    right: float


@dataclass(frozen=True)
class Fitted:
    """A curve and its threshold, with what they do on rows that neither has seen."""

    curve: Curve
    num_fitted: int
    """Answers it was fitted on."""
    before: Calibration
    """What was stated, on the other half."""
    after: Calibration
    """The same, calibrated."""
    threshold: float | None
    """Least confidence at which answers of the fitted half reach the precision; None where no
    threshold does."""
    kept: Point | None
    """What that threshold keeps of the other half, and how much of it is right; None where nothing
    is kept."""


def judge(examples: Sequence[Example], ask: Ask, grade: Grade) -> list[Judged]:
    """Ask examples and grade the answers; those that cannot be judged are left out.

    Raises:
        DataError: there are no examples.
    """
    if not examples:
        raise DataError("There are no examples to ask. Is this split empty?")
    found: list[Judged] = []
    for one, (text, confidence) in zip(examples, ask(examples), strict=True):
        right = grade(text, one.answer)
        if right is not None and confidence is not None:
            found.append(Judged(one, text, confidence, right))
    return found


def halves(rows: Sequence[_Row], unit: Callable[[Example], str]) -> tuple[list[_Row], list[_Row]]:
    """Part rows in two so that no unit is on both sides, whatever the order of the rows."""
    parts: tuple[list[_Row], list[_Row]] = ([], [])
    for row in rows:
        parts[hashlib.sha256(unit(row.example).encode()).digest()[0] % 2].append(row)
    return parts


def fitted(
    rows: Sequence[Judged],
    others: Sequence[Judged],
    fit: Fit,
    *,
    unit: Callable[[Example], str],
    precision: float,
) -> Fitted:
    """Fit on some rows and measure on others.

    Args:
        rows: what the curve and the threshold are fitted on.
        others: what they are measured on; other units, or other tasks altogether.
        fit: makes the curve.
        unit: the word, person or text that a row belongs to, over which the intervals are.
        precision: how often an answer that is given should be right.

    Raises:
        DataError: too few rows, on either side, to fit or to measure.
    """
    curve = fit([row.confidence for row in rows], [row.right for row in rows])
    own = [curve.apply(row.confidence) for row in rows]
    chosen = threshold_for(own, [row.right for row in rows], precision)
    stated, right = [row.confidence for row in others], [row.right for row in others]
    sure = [curve.apply(one) for one in stated]
    units = [unit(row.example) for row in others]
    return Fitted(
        curve=curve,
        num_fitted=len(rows),
        before=calibration(stated, right, units=units),
        after=calibration(sure, right, units=units),
        threshold=None if chosen is None else chosen.threshold,
        kept=None if chosen is None else _kept(sure, right, chosen.threshold),
    )


def hashed(examples: Sequence[Example]) -> str:
    """Return a hash of examples that were chosen on, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(repr, examples))).encode()).hexdigest()[:16]


def refusal_rule(
    scores: Mapping[float, Sequence[float]], right: Sequence[float | None], loss: float
) -> tuple[float, float]:
    """Return a weight and a threshold of scores, above which few right answers are refused.

    At each weight the threshold is the lowest that takes no more than it may; chosen is the weight
    that then refuses most of what has no answer, the smallest among equals.

    Args:
        scores: by weight, how much speaks for refusing each question.
        right: whether an oracle answers it rightly; None where there is no answer.
        loss: which share of right answers may be refused.

    Raises:
        DataError: too few right answers to choose on.
    """
    hits = [row for row, hit in enumerate(right) if hit is not None and hit > 0.5]
    if len(hits) < FEWEST_RIGHT:
        raise DataError(
            f"A rule for refusals needs {FEWEST_RIGHT} right answers or more, got {len(hits)} of "
            f"{len(right)}."
        )
    without = [row for row, hit in enumerate(right) if hit is None]
    found: list[tuple[float, float, float]] = []
    for weight, some in sorted(scores.items()):
        kept = sorted(some[row] for row in hits)
        threshold = kept[-1 - int(loss * len(kept))]
        refused = sum(some[row] > threshold for row in without) / max(1, len(without))
        found.append((refused, -weight, threshold))
    _, weight, threshold = max(found)
    return -weight, threshold


def _kept(sure: Sequence[float], right: Sequence[float], threshold: float) -> Point | None:
    hits = [hit for one, hit in zip(sure, right, strict=True) if one >= threshold]
    if not hits:
        return None
    return Point(threshold, len(hits) / len(sure), sum(hits) / len(hits))
