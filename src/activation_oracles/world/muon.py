"""Muon (Jordan et al. 2024) in float32: momentum made orthogonal, for weight matrices.

Not `torch.optim.Muon`, whose bfloat16 iteration takes longer than the whole training step on a CPU
without bfloat16 instructions. Matrices of one shape are iterated together.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal, with the step size of AdamW (0.2 RMS for each entry)."""

    def __init__(
        self, matrices: Iterable[nn.Parameter], *, rate: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(matrices, {"lr": rate, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move every matrix once along its orthogonal momentum."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for matrices in by_shape.values():
                self._move(matrices, group)

    def _move(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        directions = []
        for matrix in matrices:
            state = self.state[matrix]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(matrix)
            gradient = matrix.grad
            assert gradient is not None
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            directions.append(gradient.lerp(state["momentum"], group["momentum"]))
        scale = 0.2 * max(matrices[0].shape) ** 0.5
        for matrix, direction in zip(matrices, orthogonal(torch.stack(directions)), strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(direction, alpha=-group["lr"] * scale)


def orthogonal(
    matrices: Float[Tensor, "batch row column"], num_iterations: int = 5
) -> Float[Tensor, "batch row column"]:
    """Push all singular values towards 1 by the quintic Newton-Schulz iteration."""
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    moved = matrices.mT if is_tall else matrices
    moved = moved / (moved.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    first, third, fifth = _COEFFICIENTS
    for _ in range(num_iterations):
        gram = moved @ moved.mT
        moved = first * moved + (third * gram + fifth * gram @ gram) @ moved
    return moved.mT if is_tall else moved
