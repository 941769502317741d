"""Is an answer as often right as it was said to be? Measures of stated confidence.

A confidence is a probability that the answer is right. `ece` says how far it is from the share of
right answers, `auroc` whether right answers get more of it than wrong ones; the one can be perfect
while the other is useless, so no report holds only one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from activation_oracles.errors import DataError
from activation_oracles.statistics import wilson

NUM_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence."""

    confidence: float
    """Their mean."""
    share_right: float
    low: float
    """Lower end of its 95 % interval (Wilson)."""
    high: float
    """Upper end."""
    num_answers: int


@dataclass(frozen=True)
class Calibration:
    """How far to trust stated confidences."""

    num_answers: int
    share_right: float
    confidence: float
    """The mean."""
    ece: float
    """Expected calibration error: mean distance of confidence and share of right answers over bins
    of equally many answers (Naeini et al. 2015), weighted by their size."""
    brier: float
    """Mean squared distance of confidence and outcome (Brier 1950)."""
    auroc: float | None
    """Chance that a right answer was given more confidence than a wrong one, equal counting half;
    None where all are right or all wrong."""
    bins: tuple[Bin, ...]
    """The reliability diagram."""


@dataclass(frozen=True)
class Point:
    """What is kept, and how much of it is right, where less sure answers are withheld."""

    threshold: float
    """Answers of at least this confidence are kept."""
    coverage: float
    """Share of answers that are kept."""
    precision: float
    """Share of those that are right."""


def calibration(
    confidences: Sequence[float], right: Sequence[float], *, num_bins: int = NUM_BINS
) -> Calibration:
    """Measure stated confidences against what was right.

    Args:
        confidences: probabilities, one an answer.
        right: 1 or 0 for each; a score between counts as partly right.
        num_bins: bins of equally many answers; equal confidences are never parted.

    Raises:
        DataError: no answers, not one confidence for each, or numbers outside [0, 1].
    """
    stated, true = _checked(confidences, right)
    bins = _bins(stated, true, num_bins)
    gaps = [one.num_answers * abs(one.confidence - one.share_right) for one in bins]
    return Calibration(
        num_answers=len(stated),
        share_right=float(true.mean()),
        confidence=float(stated.mean()),
        ece=float(sum(gaps) / len(stated)),
        brier=float(((stated - true) ** 2).mean()),
        auroc=_auroc(stated, true),
        bins=tuple(bins),
    )


def coverage(confidences: Sequence[float], right: Sequence[float]) -> list[Point]:
    """Return precision and coverage at every threshold that parts the answers, highest first.

    Raises:
        DataError: as in `calibration`.
    """
    stated, true = _checked(confidences, right)
    order = np.argsort(-stated, kind="stable")
    ranked, hits = stated[order], np.cumsum(true[order])
    ends = [*np.flatnonzero(np.diff(ranked)), len(ranked) - 1]
    return [
        Point(float(ranked[end]), float((end + 1) / len(ranked)), float(hits[end] / (end + 1)))
        for end in ends
    ]


def threshold_for(
    confidences: Sequence[float], right: Sequence[float], precision: float
) -> Point | None:
    """Return the lowest threshold above which answers are right at least this often.

    The point of most coverage that reaches it; None where none does. Choose it on other rows than
    it is reported on: it is the best of many.

    Raises:
        DataError: as in `calibration`.
    """
    reached = [one for one in coverage(confidences, right) if one.precision >= precision]
    return max(reached, key=lambda one: one.coverage) if reached else None


def _checked(
    confidences: Sequence[float], right: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    stated = np.asarray(confidences, dtype=np.float64)
    true = np.asarray(right, dtype=np.float64)
    if stated.ndim != 1 or stated.shape != true.shape or not len(stated):
        raise DataError(
            f"Calibration needs answers with a confidence and an outcome each, got {len(stated)} "
            f"confidences and {len(true)} outcomes."
        )
    for name, values in (("Confidences", stated), ("Outcomes", true)):
        # Written so that not-a-number fails too.
        if not ((values >= 0) & (values <= 1)).all():
            raise DataError(f"{name} lie in [0, 1], got {values.min()} to {values.max()}.")
    return stated, true


def _bins(stated: NDArray[np.float64], true: NDArray[np.float64], num_bins: int) -> list[Bin]:
    order = np.argsort(stated, kind="stable")
    ranked, outcomes = stated[order], true[order]
    edges = [0]
    for number in range(1, num_bins + 1):
        edge = round(number * len(ranked) / num_bins)
        # What is equally sure belongs together, or the order of the rows would decide.
        edge = int(np.searchsorted(ranked, ranked[edge - 1], side="right")) if edge else 0
        if edge > edges[-1]:
            edges.append(edge)
    bins: list[Bin] = []
    for start, end in pairwise(edges):
        part, hits = ranked[start:end], outcomes[start:end]
        low, high = wilson(round(float(hits.sum())), len(part))
        bins.append(Bin(float(part.mean()), float(hits.mean()), low, high, len(part)))
    return bins


def _auroc(stated: NDArray[np.float64], true: NDArray[np.float64]) -> float | None:
    above, below = stated[true > 0.5], stated[true <= 0.5]
    if not len(above) or not len(below):
        return None
    ranked = np.sort(below)
    less = np.searchsorted(ranked, above, side="left")
    not_more = np.searchsorted(ranked, above, side="right")
    return float((less + not_more).sum() / (2 * len(above) * len(below)))
