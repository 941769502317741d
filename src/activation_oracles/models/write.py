"""Activations into a model: vectors written into the residual stream at known slots.

One writer for training, scoring and generation. It is out of place and differentiable with respect
to the vectors; whoever wants no gradient passes vectors that need none. It knows each slot by its
column in the padded batch, counted over the chunks of a cached prefill, and it counts: a slot that
was missed or written twice in one pass is an error, never a quietly weaker answer.
"""

import inspect
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from activation_oracles.errors import MismatchError
from activation_oracles.models.blocks import DecoderBlocks, residual, with_residual

Mode = Literal["add", "replace"]
"""How an oracle is shown vectors: by their direction, at the strength of what they stand at."""


@dataclass(frozen=True)
class Writing:
    """What is written where, in one batch."""

    rows: Int[Tensor, " slot"]
    columns: Int[Tensor, " slot"]
    """In the padded batch: a slot's column includes the padding on its left."""
    vectors: Float[Tensor, "slot d_model"]
    num_rows: int
    """Sequences in the batch; a pass over another number (beam search) is refused."""
    strength: float | Float[Tensor, " slot"] = 1.0
    """Of all vectors, or of each."""
    mode: Mode | Literal["overwrite"] = "add"
    """`overwrite` puts the vectors there as they are, without regard to strength."""
    finite: bool = False
    """Whether the vectors are known to be finite: looking makes a device wait."""
    before: int = 0
    """Columns that a cache holds already when the scope begins; no slot is there."""

    def __post_init__(self) -> None:
        places = set(zip(self.rows.tolist(), self.columns.tolist(), strict=True))
        if len(places) != self.vectors.shape[0]:
            raise MismatchError(
                f"{self.vectors.shape[0]} vectors need as many different slots, got {len(places)}."
            )
        if not self.finite and not self.vectors.detach().isfinite().all():
            raise MismatchError(
                "Vectors to write hold NaN or infinity. Check where they come from."
            )


def norm_matched(
    stream: Float[Tensor, "slot d_model"],
    vectors: Float[Tensor, "slot d_model"],
    *,
    strength: float | Float[Tensor, " slot"] = 1.0,
    mode: Mode = "add",
) -> Float[Tensor, "slot d_model"]:
    """Return h + s |h| v/|v| (add), or s |h| v/|v| (replace); a zero vector adds nothing.

    s is one number, or one for each slot, which brings back how strong a vector was: v/|v| has
    forgotten it.

    |h| is a constant to the gradient, as published: the oracle learns to read what was written,
    not to change how loudly (arXiv 2512.15674, A.5). Norms are taken in fp32: large entries of a
    half-precision stream overflow when squared.
    """
    times = strength.float()[:, None] if isinstance(strength, Tensor) else strength
    volume = stream.detach().float().norm(dim=-1, keepdim=True) * times
    written = (volume * nn.functional.normalize(vectors.float(), dim=-1)).to(stream.dtype)
    return stream + written if mode == "add" else written


@contextmanager
def injecting(blocks: DecoderBlocks, block: int, writing: Writing) -> Generator[None]:
    """Write into the output of `block` in every forward pass inside the scope.

    A pass starts at column 0, or behind what a cache held before the scope, and may go on in
    further forwards over a cache. Keep the scope open through `backward()`: gradient checkpointing
    runs the block again there.

    Raises:
        ConfigError: the model has no such block.
        MismatchError: at the end of a pass, a slot was not written exactly once.
    """
    blocks.check_layers([block])
    writer = _Writer(writing, inspect.signature(blocks.trunk.forward))
    handles = [
        blocks.trunk.register_forward_pre_hook(writer.enter, with_kwargs=True),
        blocks.trunk.register_forward_hook(writer.leave, always_call=True),
        blocks.stack[block].register_forward_hook(writer.write),
    ]
    try:
        yield
        writer.check()
    finally:
        for handle in handles:
            handle.remove()


def columns_before(
    signature: inspect.Signature, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[int, Tensor | None]:
    """Return how many columns a trunk's forward finds in its cache, and the mask it was given."""
    arguments = signature.bind_partial(*inputs, **named).arguments
    arguments = {**arguments, **arguments.get("kwargs", {})}
    cache = arguments.get("past_key_values")
    start = int(cache.get_seq_length()) if cache is not None else 0
    mask = arguments.get("attention_mask")
    return start, mask if isinstance(mask, Tensor) else None


class _Writer:
    """The state of one `injecting` scope: where the pass is, and which slots were written."""

    def __init__(self, writing: Writing, signature: inspect.Signature) -> None:
        self._writing = writing
        self._signature = signature
        self._columns = writing.columns.tolist()
        self._written: set[int] = set()
        self._num_columns = 0
        self._inside = False
        self._fresh = False
        self._start = 0
        self._started = False

    def enter(self, _trunk: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Note where the forward that begins stands: what the cache holds comes before it."""
        self._start, _ = columns_before(self._signature, inputs, named)
        if self._start == self._writing.before:
            if self._started:
                self.check()
            self._written.clear()
            self._num_columns = self._start
        elif self._start != self._num_columns:
            raise MismatchError(
                f"A forward pass continues at column {self._start}, but {self._num_columns} were "
                "seen: begin generation inside the injecting scope, with the cache that its "
                "writing names or an empty one."
            )
        self._inside, self._fresh, self._started = True, True, True

    def leave(self, _trunk: nn.Module, _inputs: tuple[Any, ...], _output: Any) -> None:
        """Note that the forward is over: a further run of the block is a recomputation."""
        self._inside = False

    def write(self, _block: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        """Write the slots that lie in this chunk."""
        stream = residual(output)
        if stream.shape[0] != self._writing.num_rows:
            raise MismatchError(
                f"Vectors were given for {self._writing.num_rows} sequences, the model runs "
                f"{stream.shape[0]}. Repeat prompts instead of using beams."
            )
        end = self._start + stream.shape[1]
        slots = [s for s, column in enumerate(self._columns) if self._start <= column < end]
        if self._inside:
            self._count(slots, end)
        if not slots:
            return output
        rows, columns, vectors = (
            _picked(one, slots).to(stream.device, non_blocking=True)
            for one in (self._writing.rows, self._writing.columns, self._writing.vectors)
        )
        columns = columns - self._start
        mode, strength = self._writing.mode, self._writing.strength
        if isinstance(strength, Tensor):
            strength = _picked(strength, slots).to(stream.device, non_blocking=True)
        written = (
            vectors.to(stream.dtype)
            if mode == "overwrite"
            else norm_matched(stream[rows, columns], vectors, strength=strength, mode=mode)
        )
        return with_residual(output, stream.index_put((rows, columns), written))

    def _count(self, slots: list[int], end: int) -> None:
        twice = self._written.intersection(slots)
        if twice or not self._fresh:
            raise MismatchError(
                f"Slots {sorted(twice)[:5]} would be written twice in one pass: the block ran "
                "again within one forward. Such a model cannot be written into."
            )
        self._fresh = False
        self._written.update(slots)
        self._num_columns = end

    def check(self) -> None:
        """Refuse a pass that left slots unwritten."""
        if not self._started:
            return
        missed = set(range(len(self._columns))) - self._written
        if missed:
            raise MismatchError(
                f"{len(missed)} of {len(self._columns)} slots were never written in this pass "
                f"(columns {sorted(self._columns[s] for s in missed)[:5]}; {self._num_columns} "
                "columns were seen): the answer would not come from the activations."
            )


def _picked(one: Tensor, slots: Sequence[int]) -> Tensor:
    """Return the entries of these slots; of all of them, as in training, without a copy."""
    if len(slots) == one.shape[0]:
        return one
    return one[torch.tensor(slots).to(one.device, non_blocking=True)]
