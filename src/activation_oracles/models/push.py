"""What steers a model: one direction per sequence, how strong, and at which tokens it acts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.types import Activations

Unit = Literal["absolute", "residual"]
"""s v, or s |h| v/|v|: strengths in multiples of what a stream is long at each token."""
Where = Literal["all", "prompt", "generated"]
"""Tokens of a kind. The prompt's last token belongs to both kinds, as its output makes the first
new token: `generated` without it would begin one token late."""


@dataclass(frozen=True, eq=False)
class Push:
    """One direction per sequence, added to the stream after one block."""

    layer: int
    """The block, counted from 0, to whose output it is added."""
    vectors: Float[Tensor, "direction d_model"]
    """One row for every sequence of a batch, or one each. A zero vector adds nothing."""
    strengths: float | Float[Tensor, " strength"] = 1.0
    """One for all or one each; 0 leaves that sequence as it is, to the bit; below 0 pushes away."""
    unit: Unit = "residual"
    """`residual`: s |h| v/|v| at each token, |h| as the stream comes to this push and a constant to
    the gradient. `absolute`: s v."""
    where: Where | tuple[tuple[int, ...], ...] = "all"
    """At which tokens; or at chosen ones, listed once for all sequences or for each, counted from 0
    in the sequence and not in the padded batch."""

    def __post_init__(self) -> None:
        if self.unit not in ("absolute", "residual"):
            raise ConfigError(f"A push's unit is absolute or residual, got {self.unit!r}.")
        if isinstance(self.where, str) and self.where not in ("all", "prompt", "generated"):
            raise ConfigError(
                f"A push is at all, prompt or generated tokens, or at chosen ones: "
                f"((0, 1), (5,)); got {self.where!r}."
            )
        if any(place < 0 for row in self.chosen or () for place in row):
            raise ConfigError(f"Chosen tokens are counted from 0, got {self.where}.")
        if self.vectors.ndim != 2 or not len(self.vectors):
            raise MismatchError(
                "A push takes a [sequence, d_model] matrix with a row for all sequences or for "
                f"each, got shape {tuple(self.vectors.shape)}."
            )
        strengths = torch.as_tensor(self.strengths)
        if not self.vectors.detach().isfinite().all() or not strengths.isfinite().all():
            raise MismatchError(
                "A push's vectors or strengths hold NaN or infinity. Check where they come from."
            )
        if len(self._counts - {1}) > 1:
            raise MismatchError(
                f"A push has {len(self.vectors)} vectors, {strengths.numel()} strengths and "
                f"{len(self.chosen or (0,))} choices of tokens: of each, one, or one a sequence."
            )

    @property
    def num_rows(self) -> int:
        """Sequences that it is made for; 1 where it is the same for any."""
        return max(self._counts)

    @property
    def chosen(self) -> tuple[tuple[int, ...], ...] | None:
        """The chosen tokens, where tokens were chosen."""
        return None if isinstance(self.where, str) else self.where

    def rows(self, indices: Sequence[int]) -> "Push":
        """Return the push of some of its sequences, in this order."""
        picked: dict[str, Any] = {}
        if len(self.vectors) > 1:
            picked["vectors"] = self.vectors[list(indices)]
        if isinstance(self.strengths, Tensor) and self.strengths.numel() > 1:
            picked["strengths"] = self.strengths[list(indices)]
        if self.chosen and len(self.chosen) > 1:
            picked["where"] = tuple(self.chosen[index] for index in indices)
        return replace(self, **picked)

    def to(self, device: torch.device) -> "Push":
        """Return the push with what it holds on a device, so that no token waits for it."""
        strengths = self.strengths
        return replace(
            self,
            vectors=self.vectors.to(device),
            strengths=strengths.to(device) if isinstance(strengths, Tensor) else strengths,
        )

    @property
    def _counts(self) -> set[int]:
        strengths = self.strengths.numel() if isinstance(self.strengths, Tensor) else 1
        return {len(self.vectors), strengths, 1 if self.chosen is None else len(self.chosen)}


def pushes_of(
    activations: Activations,
    *,
    strength: float = 1.0,
    unit: Unit = "residual",
    where: Where = "all",
    layer: int | None = None,
) -> list[Push]:
    """Return a push for each slot of a reading, or of saved vectors: the same for any sequence.

    Args:
        activations: mostly one slot, a steering vector; several act at once.
        strength: of each.
        unit: of the strength.
        where: at which tokens.
        layer: after which block; by default each slot's own.
    """
    return [
        Push(
            layer=slot_layer if layer is None else layer,
            vectors=activations.vectors[slot][None],
            strengths=strength,
            unit=unit,
            where=where,
        )
        for slot, slot_layer in enumerate(activations.layers)
    ]
