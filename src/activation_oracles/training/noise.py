"""Noise on what an oracle is shown in training, so that it reads a weak sign behind other things.

An oracle learns to read the bare model, and is asked about models that were tuned, whose streams it
has never seen. With random directions added to some readings, what is unlike them is no sign that
there is nothing to tell.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.tasks.task import random_for
from activation_oracles.training.config import TrainConfig
from activation_oracles.types import READING, Example

TINY = 1e-12
"""A drawn direction of length 0 stays one."""


def noised(
    config: TrainConfig,
    example: Example,
    vectors: Float[Tensor, "slot d_model"],
    *,
    index: int,
    window: int,
) -> Float[Tensor, "slot d_model"]:
    """Return an example's reading with its noise, if it draws any; what was handed in stays.

    Args:
        config: the run's settings.
        example: whose reading it is. What stands in for a reading stays as it is.
        vectors: the reading.
        index: the example's, in the run's data.
        window: where the window begins in which it is learned from, in batches: in another epoch
            noise is another.
    """
    how = config.noise
    if not how.share or example.shown != READING:
        return vectors
    numbers = random_for(config.seed, "noise", str(window), str(index))
    if numbers.random() >= how.share:
        return vectors
    strength = numbers.uniform(0, how.strength)
    # Drawn on the CPU, as all that decides a run is: the same on any device.
    generator = torch.Generator().manual_seed(numbers.getrandbits(63))
    drawn = torch.randn(vectors.shape, generator=generator).to(vectors.device)
    whole = vectors.float()
    lengths = whole.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True).clamp(min=TINY)
    return (whole + strength * lengths * drawn).to(vectors.dtype)
