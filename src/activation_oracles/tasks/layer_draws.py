"""Layers drawn anew for every example, in place of fixed ones.

An oracle that is trained at three depths is asked at others by extrapolation; one that has seen
blocks drawn from the whole depth is not. Drawn layers: ceselder/cot-oracle; neighbouring blocks, at
a fixed place: arXiv 2606.02609. A run of neighbours whose place is drawn joins the two.
"""

import random
from collections.abc import Sequence

from pydantic import Field, model_validator

from activation_oracles.errors import ConfigError
from activation_oracles.models.blocks import layer_at
from activation_oracles.tasks.settings import Settings


class DrawnLayers(Settings):
    """How many layers are drawn for an example, and from where."""

    count: int = Field(default=1, ge=1)
    """How many; a task's `layers` says whether an example is made for each of them, for one, or
    shows them together."""
    neighbours: bool = False
    """Draw blocks in a row, by the place of the first; otherwise any, each as likely as others."""
    between: tuple[float, float] = (0.0, 100.0)
    """Depths between which they are drawn, as percentages of the model's, both blocks included."""

    @model_validator(mode="after")
    def _in_order(self) -> "DrawnLayers":
        if not 0 <= self.between[0] <= self.between[1] <= 100:
            raise ValueError(f"`between` are two percentages, lower first, got {self.between}")
        return self

    def pool(self, num_layers: int) -> tuple[int, ...]:
        """Return the blocks of a model that may be drawn, by the published formula for a depth.

        Raises:
            ConfigError: they are fewer than are drawn.
        """
        first, last = (
            num_layers - 1 if percent == 100 else layer_at(num_layers, percent)
            for percent in self.between
        )
        blocks = tuple(range(first, last + 1))
        if len(blocks) < self.count:
            raise ConfigError(
                f"Between {self.between[0]:g} and {self.between[1]:g} % of {num_layers} layers lie "
                f"{len(blocks)} blocks; {self.count} cannot be drawn of them. Draw fewer, or "
                "widen `between`."
            )
        return blocks

    def draw(self, pool: Sequence[int], numbers: random.Random) -> tuple[int, ...]:
        """Draw from `pool`, shallow blocks first."""
        if self.neighbours:
            start = numbers.randrange(len(pool) - self.count + 1)
            return tuple(pool[start : start + self.count])
        return tuple(sorted(numbers.sample(pool, self.count)))
