"""Prompts and vectors to padded tensors: the only file that pads, the only one that knows -100.

Slots become columns of the padded batch here, after padding, and every one is checked to hold the
placeholder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from activation_oracles.errors import MismatchError
from activation_oracles.models.write import Mode, Writing
from activation_oracles.oracle.prompt import Prompt

IGNORED = -100
"""The label of a token that is not learned."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Prompts as the model takes them, with the place of every vector."""

    ids: Int[Tensor, "batch pos"]
    mask: Bool[Tensor, "batch pos"]
    labels: Int[Tensor, "batch pos"]
    """The token ids to learn, and -100 elsewhere."""
    rows: Int[Tensor, " slot"]
    columns: Int[Tensor, " slot"]
    vectors: Float[Tensor, "slot d_model"]
    """One per slot; rows that show nothing have no slots here."""

    @property
    def num_labels(self) -> int:
        """Tokens that are learned."""
        return int((self.labels != IGNORED).sum())

    def writing(self, *, strength: float, mode: Mode) -> Writing:
        """Return what is to be written where."""
        return Writing(
            self.rows, self.columns, self.vectors, self.ids.shape[0], strength=strength, mode=mode
        )


def collate(
    prompts: Sequence[Prompt],
    vectors: Sequence[Float[Tensor, "_ d_model"] | None],
    *,
    pad_id: int,
    placeholder_id: int,
    part: Literal["all", "prompt"] = "all",
) -> Batch:
    """Pad prompts into one batch: whole ones on the right, bare prompts (to generate) on the left.

    `vectors` holds one matrix a prompt, or None for a prompt that is shown nothing.

    Raises:
        MismatchError: a prompt has not as many slots as vectors.
    """
    sequences = [p.ids if part == "all" else p.ids[: p.answer_start] for p in prompts]
    width = max(map(len, sequences))
    ids = torch.full((len(prompts), width), pad_id)
    mask = torch.zeros((len(prompts), width), dtype=torch.bool)
    labels = torch.full_like(ids, IGNORED)
    rows: list[int] = []
    columns: list[int] = []
    for row, (prompt, sequence, shown) in enumerate(zip(prompts, sequences, vectors, strict=True)):
        shift = 0 if part == "all" else width - len(sequence)
        tokens = torch.tensor(sequence)
        ids[row, shift : shift + len(sequence)] = tokens
        mask[row, shift : shift + len(sequence)] = True
        if part == "all":
            labels[row, prompt.answer_start : len(sequence)] = tokens[prompt.answer_start :]
        if shown is None:
            continue
        if shown.shape[0] != len(prompt.slots):
            raise MismatchError(
                f"Prompt {row} has {len(prompt.slots)} slots for {shown.shape[0]} vectors."
            )
        rows += [row] * len(prompt.slots)
        columns += [slot + shift for slot in prompt.slots]
    index = (torch.tensor(rows, dtype=torch.long), torch.tensor(columns, dtype=torch.long))
    assert bool((ids[index] == placeholder_id).all()), "a slot does not hold the placeholder"
    given = [matrix for matrix in vectors if matrix is not None]
    stacked = torch.cat(given) if given else torch.zeros((0, 0))
    return Batch(ids, mask, labels, *index, stacked)
