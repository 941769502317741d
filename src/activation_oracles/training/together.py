"""What several processes do together: add up, agree, wait. One process does it alone, at no cost.

A process that dies leaves the others in one of these calls, which then fails: said here, once.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import Tensor

from activation_oracles.errors import OracleError


def total(share: Tensor) -> Tensor:
    """Return the sum of all processes' shares."""
    if PartialState().num_processes == 1:
        return share
    with _all_there():
        summed = reduce(share, reduction="sum")
    assert isinstance(summed, Tensor)
    return summed


def highest(number: int, device: torch.device) -> int:
    """Return the highest of all processes' numbers, so that all of them decide the same."""
    state = PartialState()
    if state.num_processes == 1:
        return number
    numbers = torch.zeros(state.num_processes, dtype=torch.long, device=device)
    numbers[state.process_index] = number
    return int(total(numbers).max())


def every(one: Any) -> list[Any]:
    """Return what each process gives, in order of rank."""
    with _all_there():
        return gather_object([one])


def wait() -> None:
    """Go on when every process has come here."""
    with _all_there():
        PartialState().wait_for_everyone()


@contextmanager
def _all_there() -> Generator[None]:
    try:
        yield
    # torch has no narrower one: gloo's, NCCL's and the store's errors are all RuntimeErrors.
    except RuntimeError as error:
        raise OracleError(
            f"Process {PartialState().process_index} lost touch with the others, one of which has "
            f"died or failed: {error}. What was saved is whole: see what the other one said, and "
            "go on with `resume`, on as many processes or on another number."
        ) from error
