"""What `ao calibrate --json` printed, read again: how far stated confidences can be trusted."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from activation_oracles.errors import DataError
from activation_oracles.evals.calibration import Bin, Calibration, Point


class CurveKind(BaseModel):
    """Which family of curves was fitted to which method's confidences."""

    model_config = ConfigDict(frozen=True)

    method: str
    """As `choice` or `likelihood`."""
    curve: str
    """As `platt`."""


class Measured(BaseModel):
    """A curve's worth on rows that it has not seen."""

    model_config = ConfigDict(frozen=True)

    curve: CurveKind
    num_fitted: int
    """Answers it was fitted on."""
    before: Calibration
    """As stated."""
    after: Calibration
    """Calibrated."""
    threshold: float | None
    """Less sure answers become `cannot tell`."""
    kept: Point | None
    """What that keeps, and how much of it is right."""


def read_measured(path: Path) -> Measured:
    """Read what `ao calibrate --json` printed into a file.

    Raises:
        DataError: the file is missing, or is not such a result.
    """
    try:
        return Measured.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DataError(
            f"{path} is not a measured calibration ({why}). Make one with "
            "`ao calibrate ... --json > FILE`."
        ) from error


def kept_of_surest(bins: Sequence[Bin]) -> list[tuple[float, float]]:
    """Return coverage and precision where only the surest answers are given, bin by bin.

    Bins rise in confidence; answers of one are kept or withheld together.
    """
    total = sum(one.num_answers for one in bins)
    found: list[tuple[float, float]] = []
    num_kept, num_right = 0, 0.0
    for one in reversed(bins):
        num_kept += one.num_answers
        num_right += one.num_answers * one.share_right
        found.append((num_kept / total, num_right / num_kept))
    return found
