"""Decoder blocks compiled for the passes that the oracle learns from; everything else runs as ever.

What is compiled is inside a block. Hooks on blocks stay outside, where they fire as before: the
vectors are written by one, which counts, so a pass that skipped it would raise. Texts are read and
questions answered by the blocks as they were, so readings keep their bits.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from activation_oracles.models.blocks import DecoderBlocks

CAPTURING = "transformers.utils.output_capturing"
"""Where transformers' hooks come from that look whether anybody asked for attention weights."""


@contextmanager
def compiling(blocks: DecoderBlocks, *, wanted: bool) -> Generator[None]:
    """Run blocks compiled in training passes inside the scope, for batches of any shape.

    Compilation comes with the first passes, and takes from seconds to minutes.
    """
    if not wanted:
        yield
        return
    inside = [one for block in blocks.stack for one in block.modules() if one is not block]
    hooks = [list(module._forward_hooks.items()) for module in inside]  # pyright: ignore
    before = [block.__dict__.get("forward") for block in blocks.stack]
    for module in inside:
        _drop_capturing(module)
    for block in blocks.stack:
        block.forward = _compiled(block, block.forward)
    try:
        yield
    finally:
        for block, forward in zip(blocks.stack, before, strict=True):
            del block.forward
            if forward is not None:
                block.forward = forward
        for module, some in zip(inside, hooks, strict=True):
            module._forward_hooks.update(some)  # pyright: ignore[reportPrivateUsage]


def _drop_capturing(module: nn.Module) -> None:
    """Take off hooks that cannot be traced: they cut each block in three, or stop its compilation.

    They only answer `output_attentions`, which no pass of training asks for.
    """
    hooks = module._forward_hooks  # pyright: ignore[reportPrivateUsage]
    for key in [key for key, hook in hooks.items() if hook.__module__ == CAPTURING]:
        del hooks[key]


def _compiled(block: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    fast = torch.compile(forward, dynamic=True)

    def run(*inputs: Any, **named: Any) -> Any:
        return (fast if block.training else forward)(*inputs, **named)

    return run
