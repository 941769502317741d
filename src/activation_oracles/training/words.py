"""Holding slots to words: what the oracle makes of vectors, beside what its base makes of the text.

A vector was read at a word. Where the adapter changes only the first blocks, it can turn a vector
into what that word would have left there, and the base's own later blocks go on from it as they do
in text. Answers alone teach this for what is asked: a yes or no says little of what is in a slot,
and an oracle that trains long forgets what no question asks. So some examples have a second aim:
the stream of the bare model that reads the same prompt with the words themselves in the slots.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from activation_oracles.models.blocks import residual
from activation_oracles.training.grounding import block_of, holds
from activation_oracles.training.parts import Part
from activation_oracles.training.prepare import Run
from activation_oracles.types import Example


@dataclass(frozen=True, eq=False)
class Aim:
    """What an example's prompt is held to."""

    first: int
    """The prompt's first slot."""
    stream: Float[Tensor, "token d_model"]
    """The bare model's, from there to the prompt's end, with words in the slots."""


Aims = Mapping[int, Aim]
"""By an example's index."""


def aims(run: Run, indices: Sequence[int]) -> Aims:
    """Read the prompts of those examples that are held, with words in their slots."""
    how = run.config.grounding
    if not how.weight:
        return {}
    held = [index for index in indices if holds(how, run.examples[index])]
    block = block_of(run.config, run.oracle.model.num_layers)
    prompts = run.oracle.prompts([run.examples[index] for index in held])
    told: list[Example] = []
    firsts: list[int] = []
    for index, prompt in zip(held, prompts, strict=True):
        one, first = run.examples[index], prompt.slots[0]
        words = [one.context[position] for position in one.positions]
        ids = (*prompt.ids[:first], *words, *prompt.ids[first + len(words) :])
        firsts.append(first)
        told.append(
            replace(one, context=ids, positions=tuple(range(first, len(ids))), layers=(block,))
        )
    streams = run.slots.target.vectors(told)
    return {
        index: Aim(first, stream)
        for index, first, stream in zip(held, firsts, streams, strict=True)
    }


@contextmanager
def holding(run: Run, part: Part, words: Aims) -> Generator[Callable[[], Tensor]]:
    """Watch a pass over a part; what is yielded then says what its slots' distance costs."""
    rows = [row for row, index in enumerate(part.indices) if index in words]
    if not rows:
        yield lambda: torch.zeros((), device=run.oracle.model.device)
        return
    streams: list[Tensor] = []

    def keep(_block: nn.Module, _inputs: Any, output: Any) -> None:
        streams.append(residual(output))

    block = run.oracle.model.blocks.stack[block_of(run.config, run.oracle.model.num_layers)]
    handle = block.register_forward_hook(keep)
    try:
        yield lambda: _cost(run, part, rows, words, streams[0])
    finally:
        handle.remove()


def _cost(run: Run, part: Part, rows: Sequence[int], words: Aims, stream: Tensor) -> Tensor:
    cost = torch.zeros((), device=stream.device)
    for row in rows:
        # Padding is on the right: a prompt's places are its columns.
        aim = words[part.indices[row]]
        wanted = aim.stream.float().to(stream.device)
        found = stream[row, aim.first : aim.first + len(wanted)].float()
        cost = cost + ((found - wanted).pow(2).sum(-1) / wanted.pow(2).sum(-1)).mean()
    cost = cost * (run.config.grounding.weight / run.config.batch_size)
    return cost.to(run.oracle.model.device)
