"""Prompts and vectors to padded tensors: the only file that pads, the only one that knows -100.

Slots become columns of the padded batch here, after padding, and every one is checked to hold the
placeholder. Prompts can be laid out before there are vectors; nothing here waits for a device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from activation_oracles.errors import MismatchError
from activation_oracles.models.write import Mode, Writing
from activation_oracles.oracle.prompt import Prompt

IGNORED = -100
"""The label of a token that is not learned."""
Shows = Sequence[Float[Tensor, "_ d_model"] | None]
"""A matrix for each prompt; None where it shows nothing."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Prompts as the model takes them, with the place of every vector."""

    ids: Int[Tensor, "batch pos"]
    mask: Bool[Tensor, "batch pos"]
    labels: Int[Tensor, "batch pos"]
    """The token ids to learn, and -100 elsewhere."""
    rows: Int[Tensor, " slot"]
    columns: Int[Tensor, " slot"]
    label_rows: Int[Tensor, " label"]
    label_columns: Int[Tensor, " label"]
    """Where `labels` has token ids, row by row."""
    vectors: Float[Tensor, "slot d_model"] | None = None
    """One per slot; rows that show nothing have no slots here. None: not given yet."""
    finite: bool = False
    """Whether the vectors are known to be finite numbers: looking would make a device wait."""
    strengths: Float[Tensor, " slot"] | None = None
    """Times the oracle's own strength, one per slot; None writes all alike."""

    @property
    def num_labels(self) -> int:
        """Tokens that are learned."""
        return len(self.label_rows)

    def showing(self, vectors: Shows, *, finite: bool = False) -> "Batch":
        """Return the same prompts with these vectors to be written: a matrix for each that shows.

        Raises:
            MismatchError: a prompt has not as many slots as vectors.
        """
        slots = torch.bincount(self.rows, minlength=len(self.ids)).tolist()
        for row, (wanted, shown) in enumerate(zip(slots, vectors, strict=True)):
            given = 0 if shown is None else shown.shape[0]
            if given != wanted:
                raise MismatchError(f"Prompt {row} has {wanted} slots for {given} vectors.")
        matrices = [matrix for matrix in vectors if matrix is not None]
        stacked = torch.cat(matrices) if matrices else torch.zeros((0, 0))
        return replace(self, vectors=stacked, finite=finite)

    def weighed(self, strengths: Sequence[Float[Tensor, " _"] | None]) -> "Batch":
        """Return the same batch with slots written at these strengths, of each prompt that shows.

        None stands for a prompt at the oracle's own strength.
        """
        if all(one is None for one in strengths):
            return self
        found = torch.ones(len(self.rows))
        for row, some in enumerate(strengths):
            if some is not None:
                found[self.rows == row] = some
        return replace(self, strengths=found)

    def pinned(self) -> "Batch":
        """Return the same in memory from which a GPU copies while others work."""
        places = ("ids", "rows", "columns", "label_rows", "label_columns")
        return replace(self, **{name: getattr(self, name).pin_memory() for name in places})

    def writing(self, *, strength: float, mode: Mode, before: int = 0) -> Writing:
        """Return what is to be written where, with so many columns in a cache before the batch."""
        assert self.vectors is not None, "no vectors were given yet"
        return Writing(
            self.rows,
            self.columns + before,
            self.vectors,
            self.ids.shape[0],
            strength=strength if self.strengths is None else strength * self.strengths,
            mode=mode,
            finite=self.finite,
            before=before,
        )


def collate(
    prompts: Sequence[Prompt],
    shows: Sequence[bool],
    *,
    pad_id: int,
    placeholder_id: int,
    part: Literal["all", "prompt"] = "all",
) -> Batch:
    """Pad prompts into one batch: whole ones on the right, bare prompts (to generate) on the left.

    `shows` says of each prompt whether vectors are written over its slots, which `Batch.showing`
    then takes.
    """
    sequences = [p.ids if part == "all" else p.ids[: p.answer_start] for p in prompts]
    width = max(map(len, sequences))
    ids = torch.full((len(prompts), width), pad_id)
    mask = torch.zeros((len(prompts), width), dtype=torch.bool)
    labels = torch.full_like(ids, IGNORED)
    rows: list[int] = []
    columns: list[int] = []
    for row, (prompt, sequence, shown) in enumerate(zip(prompts, sequences, shows, strict=True)):
        shift = 0 if part == "all" else width - len(sequence)
        tokens = torch.tensor(sequence)
        ids[row, shift : shift + len(sequence)] = tokens
        mask[row, shift : shift + len(sequence)] = True
        if part == "all":
            labels[row, prompt.answer_start : len(sequence)] = tokens[prompt.answer_start :]
        if shown:
            rows += [row] * len(prompt.slots)
            columns += [slot + shift for slot in prompt.slots]
    index = (torch.tensor(rows, dtype=torch.long), torch.tensor(columns, dtype=torch.long))
    assert bool((ids[index] == placeholder_id).all()), "a slot does not hold the placeholder"
    label_rows, label_columns = (labels != IGNORED).nonzero(as_tuple=True)
    return Batch(ids, mask, labels, *index, label_rows, label_columns)
