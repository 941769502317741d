"""Is an answer as often right as it was said to be? Measures of stated confidence.

A confidence is a probability that the answer is right. `ece` says how far it is from the share of
right answers, `auroc` whether right answers get more of it than wrong ones; the one can be perfect
while the other is useless, so no report holds only one of them.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from activation_oracles.errors import DataError
from activation_oracles.statistics import NUM_DRAWS, wilson

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
    ece_within: tuple[float, float] | None = None
    """The ECE's 95 % interval, over units; None where no units were given."""


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
    confidences: Sequence[float],
    right: Sequence[float],
    *,
    units: Sequence[Hashable] | None = None,
    num_bins: int = NUM_BINS,
) -> Calibration:
    """Measure stated confidences against what was right.

    Args:
        confidences: probabilities, one an answer.
        right: 1 or 0 for each; a score between counts as partly right.
        units: the word, person or text that each answer belongs to, for the interval of the ECE.
        num_bins: bins of equally many answers; equal confidences are never parted.

    Raises:
        DataError: no answers, not one confidence or unit for each, or numbers outside [0, 1].
    """
    stated, true = _checked(confidences, right)
    if units is not None and len(units) != len(stated):
        raise DataError(f"Each of {len(stated)} answers needs a unit, got {len(units)}.")
    order = np.argsort(stated, kind="stable")
    ranked, outcomes = stated[order], true[order]
    return Calibration(
        num_answers=len(stated),
        share_right=float(true.mean()),
        confidence=float(stated.mean()),
        ece=_ece(ranked, outcomes, np.ones(len(ranked)), num_bins),
        brier=float(((stated - true) ** 2).mean()),
        auroc=_auroc(stated, true),
        bins=tuple(_bins(ranked, outcomes, num_bins)),
        ece_within=None
        if units is None
        else _ece_within(ranked, outcomes, [units[at] for at in order], num_bins),
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


def _bins(ranked: NDArray[np.float64], outcomes: NDArray[np.float64], num_bins: int) -> list[Bin]:
    bins: list[Bin] = []
    ends = _ends(ranked, np.ones(len(ranked)), num_bins)
    for start, end in pairwise([0, *(ends + 1)]):
        part, hits = ranked[start:end], outcomes[start:end]
        low, high = wilson(round(float(hits.sum())), len(part))
        bins.append(Bin(float(part.mean()), float(hits.mean()), low, high, len(part)))
    return bins


def _ends(
    ranked: NDArray[np.float64], weights: NDArray[np.float64], num_bins: int
) -> NDArray[np.int64]:
    """Return where bins of equal weight end, as the places of their last answers."""
    reached = np.cumsum(weights)
    wanted = np.round(np.arange(1, num_bins + 1) * reached[-1] / num_bins)
    places = np.searchsorted(reached, wanted[wanted > 0])
    # What is equally sure belongs together, or the order of the rows would decide.
    return np.unique(np.searchsorted(ranked, ranked[places], side="right") - 1)


def _ece(
    ranked: NDArray[np.float64],
    outcomes: NDArray[np.float64],
    weights: NDArray[np.float64],
    num_bins: int,
) -> float:
    gaps = np.cumsum(weights * (ranked - outcomes))[_ends(ranked, weights, num_bins)]
    return float(np.abs(np.diff(gaps, prepend=0.0)).sum() / weights.sum())


def _ece_within(
    ranked: NDArray[np.float64],
    outcomes: NDArray[np.float64],
    units: Sequence[Hashable],
    num_bins: int,
) -> tuple[float, float]:
    """Return an interval of the ECE, from a bootstrap over units.

    Chance alone parts confidence from outcome in every bin, so the ECE of few answers is too high,
    and that of a draw from them higher still, for chance has struck twice: the draws' percentiles
    would never hold the 0 of what is calibrated. Gaps add up as squares do, so what chance adds to
    one is how far the draws' mean square lies above the square of the ECE. Twice that is taken off
    the lower end; the upper end stays the draws'.
    """
    index = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    places = np.array([index[unit] for unit in units])
    generator = np.random.default_rng(0)
    draws: list[float] = []
    for _ in range(NUM_DRAWS):
        times = np.bincount(generator.integers(len(index), size=len(index)), minlength=len(index))
        draws.append(_ece(ranked, outcomes, times[places].astype(np.float64), num_bins))
    found = _ece(ranked, outcomes, np.ones(len(ranked)), num_bins)
    low, high = np.quantile(draws, [0.025, 0.975])
    chance = float(np.mean(np.square(draws))) - found**2
    low = max(0.0, float(low) ** 2 - 2 * max(0.0, chance)) ** 0.5
    return min(found, low), max(found, float(high))


def _auroc(stated: NDArray[np.float64], true: NDArray[np.float64]) -> float | None:
    above, below = stated[true > 0.5], stated[true <= 0.5]
    if not len(above) or not len(below):
        return None
    ranked = np.sort(below)
    less = np.searchsorted(ranked, above, side="left")
    not_more = np.searchsorted(ranked, above, side="right")
    return float((less + not_more).sum() / (2 * len(above) * len(below)))
