"""From how sure an oracle sounds to how often it is right: one fitted curve, kept in its card.

What an oracle says of itself ranks answers and does not count them: its probabilities are far too
high. A calibrator is fitted on held-out answers and holds for the way of asking it was fitted on.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from activation_oracles.errors import DataError

Curve = Literal["temperature", "platt", "isotonic"]
CURVES: tuple[Curve, ...] = ("temperature", "platt", "isotonic")
Method = Literal["choice", "samples", "wordings", "likelihood"]
"""Where a confidence comes from: the probability of the choice that won, how many samples or
wordings agree, or the probability of the answer's own tokens."""
FEWEST = 20
_SURE = 1e-6


class Calibrator(BaseModel):
    """A curve from stated to calibrated confidence, and what it was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    """Whose confidences it maps."""
    curve: Curve
    """`temperature`: log-odds divided by one number (Guo et al. 2017); `platt`: times a number plus
    another (Platt 1999); `isotonic`: any rising steps (Zadrozny and Elkan 2002)."""
    stated: tuple[float, ...] = ()
    """Of an isotonic curve: its corners' stated confidences, rising."""
    calibrated: tuple[float, ...] = ()
    """And what they become, never falling. Between corners the curve is a line."""
    slope: float = 1.0
    """What log-odds are multiplied by."""
    offset: float = 0.0
    """What is added to them."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Below this calibrated confidence the oracle abstains; None never does."""
    precision: float | None = None
    """How often answers above it should be right."""
    data: str = ""
    """Hash of the answers it was fitted on."""
    num_answers: int = 0
    """How many they were."""

    @model_validator(mode="after")
    def _rises(self) -> "Calibrator":
        pairs = zip(self.stated, self.stated[1:], strict=False)
        heights = zip(self.calibrated, self.calibrated[1:], strict=False)
        if len(self.stated) != len(self.calibrated) or (self.curve == "isotonic") != bool(
            self.stated
        ):
            raise ValueError("an isotonic curve has corners, in pairs, and no other curve has")
        if any(a >= b for a, b in pairs) or any(a > b for a, b in heights) or self.slope < 0:
            raise ValueError("a curve that falls would trust the less sure answer more")
        return self

    def apply(self, confidence: float) -> float:
        """Return the calibrated confidence.

        Raises:
            DataError: it is no probability.
        """
        if not 0 <= confidence <= 1:
            raise DataError(f"A confidence lies in [0, 1], got {confidence}.")
        if self.curve == "isotonic":
            return float(np.interp(confidence, self.stated, self.calibrated))
        return 1 / (1 + math.exp(-(self.slope * log_odds(confidence) + self.offset)))


def fit(
    method: Method, curve: Curve, confidences: Sequence[float], right: Sequence[float]
) -> Calibrator:
    """Fit a curve to held-out answers, by maximum likelihood or, isotonic, by least squares.

    Args:
        method: where the confidences come from.
        curve: which family.
        confidences: as the oracle stated them, one an answer.
        right: 1 or 0 for each.

    Raises:
        DataError: too few answers, not one outcome for each, or all right or all wrong.
    """
    if len(confidences) != len(right) or len(right) < FEWEST or len({r > 0.5 for r in right}) < 2:
        raise DataError(
            f"A calibrator needs {FEWEST} answers or more, right ones and wrong ones among them; "
            f"got {len(confidences)} confidences and {len(right)} outcomes, "
            f"{sum(r > 0.5 for r in right)} of them right."
        )
    if curve == "isotonic":
        stated, calibrated = _isotonic(confidences, right)
        return Calibrator(
            method=method,
            curve=curve,
            stated=stated,
            calibrated=calibrated,
            num_answers=len(right),
        )
    slope, offset = _logistic(confidences, right, shifted=curve == "platt")
    return Calibrator(
        method=method, curve=curve, slope=slope, offset=offset, num_answers=len(right)
    )


def log_odds(confidence: float) -> float:
    """Return the log-odds of a probability; of 0 and 1, of one that is near them."""
    # A probability of exactly 0 or 1 is a rounding of one that is not.
    inside = min(max(confidence, _SURE), 1 - _SURE)
    return math.log(inside / (1 - inside))


def _isotonic(
    confidences: Sequence[float], right: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(y_min=0.0, y_max=1.0).fit(list(confidences), list(right))
    stated = [float(one) for one in found.X_thresholds_]
    return tuple(stated), tuple(float(one) for one in found.y_thresholds_)


def _logistic(
    confidences: Sequence[float], right: Sequence[float], *, shifted: bool
) -> tuple[float, float]:
    from scipy.optimize import minimize

    odds = np.array([log_odds(one) for one in confidences])
    hits = sum(right)
    # Platt's targets: certain outcomes would push the curve to certainty where it parts all.
    high, low = (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2)
    wanted = np.array([high if one > 0.5 else low for one in right])

    def loss(weights: np.ndarray) -> float:
        scores = math.e ** weights[0] * odds + (weights[1] if shifted else 0.0)
        return float((np.logaddexp(0, scores) - wanted * scores).mean())

    # The slope as a logarithm: it cannot turn negative, which would reverse the order.
    best = minimize(loss, np.zeros(1 + shifted), method="Nelder-Mead").x
    return float(math.e ** best[0]), float(best[1]) if shifted else 0.0
