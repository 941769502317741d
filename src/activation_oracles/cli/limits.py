"""What a number of examples may be, before any is read."""

from activation_oracles.errors import DataError


def check_limit(limit: int) -> None:
    """Refuse a number of examples below 0.

    Raises:
        DataError: it is.
    """
    if limit < 0:
        raise DataError(f"A limit is a number of examples, or 0 for all of them, got {limit}.")
