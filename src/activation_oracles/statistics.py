"""How sure a score is: intervals over the real unit, and paired differences.

Many answers about one word, person or text are one observation, not many. So intervals resample
units, never answers: twenty queries about one secret word count as one.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from activation_oracles.errors import DataError

NUM_DRAWS = 2000
_MOST_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, and what it was counted over."""

    score: float
    """The mean over answers (or of their differences)."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    num_answers: int
    """How many answers the mean is over."""
    num_units: int
    """How many independent units (words, persons, texts) they belong to."""


def wilson(num_right: int, num_answers: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share of independent right answers (Wilson 1927).

    Raises:
        DataError: there are no answers, or more right ones than answers.
    """
    if num_answers < 1 or not 0 <= num_right <= num_answers:
        raise DataError(
            f"A share needs 0 <= right <= answers and at least one answer, "
            f"got {num_right} of {num_answers}."
        )
    deviate = _deviate(level)
    share = num_right / num_answers
    centre = (share + deviate**2 / (2 * num_answers)) / (1 + deviate**2 / num_answers)
    spread = share * (1 - share) / num_answers + deviate**2 / (4 * num_answers**2)
    margin = deviate * spread**0.5 / (1 + deviate**2 / num_answers)
    # Rounding would put the ends of 0 of n and n of n a hair off 0 and 1.
    low = 0.0 if num_right == 0 else max(0.0, centre - margin)
    high = 1.0 if num_right == num_answers else min(1.0, centre + margin)
    return low, high


def clustered(
    scores: Sequence[float], units: Sequence[Hashable], *, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Estimate the mean of scores in [0, 1] whose rows belong to units.

    The interval is a percentile bootstrap over units. Where all units agree there is nothing to
    resample and a bootstrap would claim certainty; the interval then reaches as far as Wilson's
    does for none wrong in that many units.

    Raises:
        DataError: nothing to estimate from, or not one unit a score.
    """
    return _bootstrap(scores, units, (0.0, 1.0), level, seed)


def paired_difference(
    ours: Sequence[float],
    theirs: Sequence[float],
    units: Sequence[Hashable],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Estimate the mean of `ours - theirs`, two scores in [0, 1] of the same rows.

    An interval that excludes 0 says that the two differ beyond what drawing other units would do.

    Raises:
        DataError: the two do not score the same number of rows, or as in `clustered`.
    """
    if len(ours) != len(theirs):
        raise DataError(
            f"A paired difference needs both scores of every row, "
            f"got {len(ours)} and {len(theirs)}."
        )
    differences = [our - their for our, their in zip(ours, theirs, strict=True)]
    return _bootstrap(differences, units, (-1.0, 1.0), level, seed)


def over_runs(
    values: Sequence[float], limits: tuple[float, float] | None = None, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the mean of one figure of several runs that differ in their seed.

    Student's t: seeds are few, and a bootstrap over three would be far too narrow. Shares that are
    all equal leave nothing to judge by; their interval reaches as far as Wilson's does for none
    wrong in so many runs, as in `clustered`.

    Args:
        values: one a run.
        limits: within which the figure lies, as (0, 1) for a share; none for a loss.
        level: how often such intervals hold the mean of all seeds.

    Raises:
        DataError: fewer than two runs, which say nothing of others.
    """
    count = len(values)
    if count < 2:
        raise DataError(f"An interval over runs needs two or more of them, got {count}.")
    found = np.asarray(values, dtype=np.float64)
    mean = float(found.mean())
    if limits is not None and np.allclose(found, mean, rtol=0, atol=1e-12):
        margin = wilson(0, count, level=level)[1]
    else:
        margin = _student(count - 1, level) * float(found.std(ddof=1)) / count**0.5
    low, high = limits or (-np.inf, np.inf)
    return max(low, mean - margin), min(high, mean + margin)


def _student(degrees: int, level: float) -> float:
    """Return how many standard errors from its mean Student's t stays, at this level.

    With t = sqrt(n) tan(a), the density of the angle a is cos(a)^(n - 1), which is summed up.
    """
    _deviate(level)
    # More finely towards a right angle, where one degree of freedom has its quantile.
    angles = np.pi / 2 * (1 - np.linspace(1, 0, 200_001) ** 3)
    heights = np.cos(angles) ** (degrees - 1)
    parts = np.diff(angles) * (heights[1:] + heights[:-1]) / 2
    shares = np.concatenate([[0.0], np.cumsum(parts)]) / parts.sum()
    return float(degrees**0.5 * np.tan(np.interp(level, shares, angles)))


def _bootstrap(
    scores: Sequence[float],
    units: Sequence[Hashable],
    limits: tuple[float, float],
    level: float,
    seed: int,
) -> Estimate:
    if not scores or len(scores) != len(units):
        raise DataError(
            f"An estimate needs scores and a unit for each, got {len(scores)} scores "
            f"and {len(units)} units."
        )
    if not all(limits[0] <= score <= limits[1] for score in scores):
        raise DataError(f"Scores lie in {limits}, got {min(scores)} to {max(scores)}.")
    sums, counts = _by_unit(scores, units)
    mean = float(sums.sum() / counts.sum())
    means = sums / counts
    if np.allclose(means, means[0], rtol=0, atol=1e-12):
        margin = wilson(0, len(sums), level=level)[1]
        low, high = mean - margin, mean + margin
    else:
        low, high = _percentiles(sums, counts, level, seed)
    low, high = max(limits[0], low), min(limits[1], high)
    return Estimate(mean, low, high, len(scores), len(sums))


def _by_unit(
    scores: Sequence[float], units: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the count of every unit's scores, in order of first appearance."""
    index = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    places = np.array([index[unit] for unit in units])
    sums = np.bincount(places, weights=np.asarray(scores, dtype=np.float64), minlength=len(index))
    counts = np.bincount(places, minlength=len(index))
    return sums.astype(np.float64), counts.astype(np.float64)


def _percentiles(
    sums: NDArray[np.float64], counts: NDArray[np.float64], level: float, seed: int
) -> tuple[float, float]:
    generator = np.random.default_rng(seed)
    # In parts: all draws at once need draws x units numbers, gigabytes for a large table.
    num_at_once = max(1, min(NUM_DRAWS, _MOST_AT_ONCE // len(sums)))
    means: list[float] = []
    while len(means) < NUM_DRAWS:
        chosen = generator.integers(len(sums), size=(num_at_once, len(sums)))
        means.extend(sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1))
    tail = (1 - level) / 2
    low, high = np.quantile(means[:NUM_DRAWS], [tail, 1 - tail])
    return float(low), float(high)


def _deviate(level: float) -> float:
    if not 0 < level < 1:
        raise DataError(f"A level lies between 0 and 1, as 0.95; got {level}.")
    return NormalDist().inv_cdf(0.5 + level / 2)
