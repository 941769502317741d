"""A model pushed while it runs: directions added to its residual stream at many tokens.

What `write` does at the slots of a prompt, this does at every token of a kind, also at those that a
model decodes one by one over a cache. It is out of place and differentiable with respect to the
vectors. It counts: a push that changed nothing is an error, never a model that was not steered.
"""

import inspect
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from activation_oracles.errors import MismatchError
from activation_oracles.models.blocks import DecoderBlocks, residual, with_residual
from activation_oracles.models.push import Push, Unit, Where
from activation_oracles.models.write import columns_before

__all__ = ["Push", "Unit", "Where", "pushed", "steering"]


@contextmanager
def steering(
    blocks: DecoderBlocks,
    pushes: Sequence[Push],
    *,
    padding: Int[Tensor, " row"] | None = None,
    prompt: int | None = None,
) -> Generator[None]:
    """Push the stream in every forward pass inside the scope; where several meet, in their order.

    A pass starts at column 0 and may go on in further forwards over a cache. Keep the scope open
    through `backward()`: gradient checkpointing runs the blocks again there.

    Args:
        blocks: the model's decoder blocks.
        pushes: what is added where.
        padding: columns of padding on the left of each sequence; chosen tokens are counted behind
            them. Padding on the right, or none, needs no mention.
        prompt: columns of the prompt, padding included; by default those of a pass's first forward.
            Give it where a prompt goes through in chunks, or a model generates without a cache.

    Raises:
        ConfigError: the model has no such block.
        MismatchError: vectors of another width than the model's, a batch of another size than the
            push, padding that contradicts what was given; or, at the end of the scope, a push that
            was never made, and at the end of a pass a chosen token that did not come.
    """
    blocks.check_layers([push.layer for push in pushes] or [0])
    state = _Steering(pushes, padding, prompt, inspect.signature(blocks.trunk.forward))
    handles = [
        blocks.trunk.register_forward_pre_hook(state.enter, with_kwargs=True),
        blocks.trunk.register_forward_hook(state.leave, always_call=True),
        *(
            blocks.stack[push.layer].register_forward_hook(partial(state.push, index))
            for index, push in enumerate(pushes)
        ),
    ]
    try:
        yield
        state.check()
    finally:
        for handle in handles:
            handle.remove()


def pushed(
    stream: Float[Tensor, "batch pos d_model"],
    push: Push,
    places: Bool[Tensor, "row pos"] | None = None,
) -> Float[Tensor, "batch pos d_model"]:
    """Return the stream with one push added, at some tokens of each sequence or at all.

    Norms and products are taken in fp32: large entries of a half-precision stream overflow when
    squared.
    """
    if isinstance(push.strengths, float | int) and not push.strengths:
        return stream
    exact = torch.promote_types(stream.dtype, torch.float32)
    vectors = push.vectors.to(stream.device, exact)[:, None]
    strengths = torch.as_tensor(push.strengths).to(stream.device, exact).reshape(-1, 1, 1)
    if push.unit == "residual":
        volume = stream.detach().to(exact).norm(dim=-1, keepdim=True)
        added = strengths * volume * nn.functional.normalize(vectors, dim=-1)
    else:
        added = strengths * vectors
    result = stream + added.to(stream.dtype)
    if places is None and not isinstance(push.strengths, Tensor):
        return result
    # Not by adding 0: that turns -0 into 0, and infinity times 0 is not a number.
    moved = strengths[..., 0] != 0
    if places is not None:
        moved = moved & places.to(stream.device)
    return torch.where(moved[..., None], result, stream)


class _Steering:
    """The state of one `steering` scope: where the pass is, and which pushes were made."""

    def __init__(
        self,
        pushes: Sequence[Push],
        padding: Int[Tensor, " row"] | None,
        prompt: int | None,
        signature: inspect.Signature,
    ) -> None:
        self._pushes = pushes
        self._padding = None if padding is None else padding.tolist()
        self._given_prompt = prompt
        self._signature = signature
        self._num_fired = [0] * len(pushes)
        self._ran: set[int] = set()
        self._inside = False
        self._start = 0
        self._num_columns = 0
        self._first = 0

    def enter(self, _trunk: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Note where the forward that begins stands: what the cache holds comes before it."""
        self._start, mask = columns_before(self._signature, inputs, named)
        if self._start == 0:
            self._check_chosen()
            self._check_mask(mask)
            self._num_columns = 0
        elif self._start != self._num_columns:
            raise MismatchError(
                f"A forward pass continues at column {self._start}, but {self._num_columns} were "
                "seen: begin generation with an empty cache inside the steering scope."
            )
        self._inside = True
        self._ran.clear()

    def leave(self, _trunk: nn.Module, _inputs: tuple[Any, ...], _output: Any) -> None:
        """Note that the forward is over: a further run of a block is a recomputation."""
        self._inside = False

    def push(self, index: int, _block: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        """Make one push at its tokens in this chunk."""
        push, stream = self._pushes[index], residual(output)
        self._check_fit(push, stream)
        end = self._start + stream.shape[1]
        if self._start == 0 and self._inside:
            self._first = end
        if self._inside:
            self._count(index, end)
        prompt = self._prompt(push, stream.shape[1])
        places = self._places(push, stream.shape[1], prompt)
        if places is not None and not places.any():
            return output
        if self._inside:
            self._num_fired[index] += 1
        return with_residual(output, pushed(stream, push, places))

    def check(self) -> None:
        """Refuse a scope in which a push was never made, or a chosen token did not come."""
        self._check_chosen()
        for push, count in zip(self._pushes, self._num_fired, strict=True):
            if not count:
                raise MismatchError(
                    f"A push after block {push.layer} (at {push.where}) was never made: nothing "
                    "ran through that block inside the steering scope, or no such token came. "
                    "What came out is not steered by it."
                )

    def _prompt(self, push: Push, width: int) -> int:
        """Return how many columns the prompt has."""
        if self._given_prompt is not None:
            return self._given_prompt
        if self._start == 0:
            # Not the first forward of the latest pass: what is recomputed may be an earlier one.
            return width
        if width > 1 and push.where in ("prompt", "generated"):
            raise MismatchError(
                f"{width} tokens came at once behind a beginning of {self._first}: whether they "
                "are still the prompt's cannot be seen. Pass the prompt's columns as `prompt=`."
            )
        return self._first

    def _places(self, push: Push, width: int, prompt: int) -> Bool[Tensor, "row pos"] | None:
        """Return at which tokens of this chunk the push is made; None at all of them."""
        if push.where == "all":
            return None
        columns = torch.arange(self._start, self._start + width)
        if push.where == "prompt":
            return (columns < prompt)[None]
        if push.where == "generated":
            return (columns >= prompt - 1)[None]
        chosen = self._columns(push)
        places = torch.zeros((len(chosen), width), dtype=torch.bool)
        for row, wanted in enumerate(chosen):
            places[row] = torch.isin(columns, torch.tensor(wanted, dtype=torch.long))
        return places

    def _columns(self, push: Push) -> list[list[int]]:
        """Return a push's chosen tokens as columns of the padded batch."""
        chosen, padding = push.chosen or (), self._padding or [0]
        if len(chosen) == 1:
            chosen = chosen * len(padding)
        if len(padding) == 1:
            padding = padding * len(chosen)
        return [
            [place + before for place in row] for row, before in zip(chosen, padding, strict=True)
        ]

    def _count(self, index: int, end: int) -> None:
        if index in self._ran:
            raise MismatchError(
                f"Block {self._pushes[index].layer} ran twice within one forward and would be "
                "pushed twice. Such a model cannot be steered."
            )
        self._ran.add(index)
        self._num_columns = end

    def _check_fit(self, push: Push, stream: Float[Tensor, "batch pos d_model"]) -> None:
        rows, _, width = stream.shape
        if push.vectors.shape[1] != width:
            raise MismatchError(
                f"A push of width {push.vectors.shape[1]} is for another model: this one's stream "
                f"has width {width}."
            )
        counts = {push.num_rows, 1 if self._padding is None else len(self._padding)} - {1}
        if counts and counts != {rows}:
            raise MismatchError(
                f"Pushes or padding are for {sorted(counts)} sequences, the model runs {rows}. "
                "Give one for all, or one each; repeat prompts instead of using beams."
            )

    def _check_mask(self, mask: Tensor | None) -> None:
        """Refuse padding that would make a push miss its tokens; looking makes a device wait."""
        if mask is None or mask.ndim != 2:
            return
        wheres = [push.where for push in self._pushes]
        uncounted = self._padding is None and any(not isinstance(one, str) for one in wheres)
        if uncounted and not mask[:, 0].all():
            raise MismatchError(
                "The batch is padded on the left, and chosen tokens are counted behind that: pass "
                "the columns of padding as `padding=`."
            )
        # A first chunk may end within the padding on the left.
        if "generated" in wheres and (mask[:, 1:] < mask[:, :-1]).any():
            raise MismatchError(
                "The batch is padded on the right, so the last token of a prompt is not in its "
                "last column. Pad on the left, or choose tokens."
            )

    def _check_chosen(self) -> None:
        """Refuse a pass that ended before a chosen token came."""
        if not self._num_columns:
            return
        for push in (one for one in self._pushes if one.chosen is not None):
            missed = [
                place for row in self._columns(push) for place in row if place >= self._num_columns
            ]
            if missed:
                raise MismatchError(
                    f"Chosen tokens in columns {sorted(missed)[:5]} never came: the pass held "
                    f"{self._num_columns} columns. Tokens are counted from 0 in each sequence."
                )
