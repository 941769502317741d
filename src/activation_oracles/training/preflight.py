"""One step on the longest batch before the first: memory fails in the first minute.

It runs the whole way, reading, forward and backward, and leaves nothing behind: no weight changes,
no gradient stays, and no random number is drawn that training would have drawn.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

from activation_oracles.errors import ConfigError
from activation_oracles.training.randomness import random_numbers_kept


def longest(batches: Iterable[Sequence[int]], lengths: Sequence[int]) -> Sequence[int]:
    """Return the batch that takes most memory: the one with the longest example."""
    return max(batches, key=lambda batch: max(lengths[index] for index in batch))


def preflight(
    run_backward: Callable[[], object], parameters: Iterable[nn.Parameter], what: str
) -> None:
    """Run a step without its update, and leave no trace.

    Args:
        run_backward: reads, runs the oracle and calls backward.
        parameters: what is trained; their gradients are dropped again.
        what: names the batch, for the error.

    Raises:
        ConfigError: it does not fit into memory.
    """
    try:
        with random_numbers_kept():
            run_backward()
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            f"The longest batch ({what}) does not fit into memory: {error} Raise `accumulate` or "
            "lower `part_tokens`, turn on `gradient_checkpointing`, or lower `batch_size`."
        ) from error
    finally:
        for parameter in parameters:
            parameter.grad = None
