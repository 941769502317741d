"""A model's decoder blocks, found by structure and proved by a probe forward.

No table of architectures: the blocks are the one stack as long as the config says, and they are
believed only when a forward pass shows that each one's output is the next one's input and equals
what transformers itself reports as hidden states. A second pass, over a text that ends otherwise,
shows that what follows a token does not change it: texts are padded on the right without a mask,
and read where a longer one begins with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from activation_oracles.errors import ConfigError, ModelError
from activation_oracles.models.placing import input_device

PROBE_LENGTH = 4
"""Tokens in the probe forward: enough to tell positions apart, too few to cost anything."""


@dataclass(frozen=True)
class DecoderBlocks:
    """The stack of blocks between which the residual stream runs."""

    trunk: nn.Module
    """The text decoder that holds the stack: what one forward pass of the text enters."""
    stack: tuple[nn.Module, ...]
    """The blocks in order; block N's output is the residual stream `after block N`."""
    path: str
    """The stack's name inside the model, as `model.layers`."""

    def check_layers(self, layers: Sequence[int]) -> None:
        """Refuse layers that this model does not have.

        Raises:
            ConfigError: a layer is negative or too deep.
        """
        wrong = sorted({layer for layer in layers if not 0 <= layer < len(self.stack)})
        if wrong or not layers:
            raise ConfigError(
                f"Layers {wrong or '(none)'} cannot be read: this model has blocks 0 to "
                f"{len(self.stack) - 1}. Layer N is the residual stream after block N."
            )


def layer_at(num_layers: int, percent: float) -> int:
    """Return the block at a percentage of the depth, by the published formula (truncation)."""
    if not 0 <= percent < 100:
        raise ConfigError(f"A depth is a percentage from 0 to below 100, got {percent}.")
    return int(num_layers * (percent / 100))


def named_layers(layers: Sequence[int]) -> str:
    """Return layers as they are typed: `18`, or `9+18+27` for several that are shown together."""
    return "+".join(map(str, layers))


def residual(output: Any) -> Float[Tensor, "batch pos d_model"]:
    """Return the residual stream from a block's output, a tensor or a tuple that starts with it."""
    stream = output[0] if isinstance(output, tuple) else output
    assert isinstance(stream, Tensor), f"a block returned {type(stream).__name__}"
    return stream


def with_residual(output: Any, stream: Float[Tensor, "batch pos d_model"]) -> Any:
    """Return a block's output with another residual stream in it."""
    return (stream, *output[1:]) if isinstance(output, tuple) else stream


def decoder_blocks(network: PreTrainedModel, *, blocks: str | None = None) -> DecoderBlocks:
    """Find and prove the decoder blocks of `network`.

    Args:
        network: any causal language model of transformers.
        blocks: the name of the stack, where the structure leaves several candidates.

    Raises:
        ModelError: no stack, or several, fit; or the model has no single residual stream.
    """
    num_layers = network.config.get_text_config(decoder=True).num_hidden_layers
    trunk = network.get_decoder()
    stacks = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == num_layers
    }
    if blocks is None:
        inside = {name: stack for name, stack in stacks.items() if _holds(trunk, stack)}
        chosen = [name for name in inside if not any(name.startswith(f"{up}.") for up in inside)]
    else:
        chosen = [blocks] if blocks in stacks else []
    if len(chosen) != 1:
        raise ModelError(
            f"Expected one stack of {num_layers} decoder blocks in {type(network).__name__}, found "
            f"{len(chosen)} among {sorted(stacks)}. Pass the right one's name as `blocks=`."
        )
    found = DecoderBlocks(trunk, tuple(stacks[chosen[0]]), chosen[0])
    _prove(network, found)
    return found


def _holds(trunk: nn.Module, stack: nn.Module) -> bool:
    return any(module is stack for module in trunk.modules())


def _prove(network: PreTrainedModel, blocks: DecoderBlocks) -> None:
    """Run four tokens, and look at what every block returns; then again with another last one."""
    name = type(network).__name__
    ids = torch.arange(PROBE_LENGTH, device=input_device(network))[None]
    outputs, states = _probe(network, blocks, ids)
    _check_proof(name, blocks, outputs, states)
    others, _ = _probe(network, blocks, torch.cat([ids[:, :-1], ids[:, -1:] + 1], dim=1))
    _check_causal(name, outputs, others)


def _probe(
    network: PreTrainedModel, blocks: DecoderBlocks, ids: Int[Tensor, "1 pos"]
) -> tuple[list[tuple[int, Any]], Sequence[Tensor] | None]:
    """Return every block's output, in the order they ran, and what transformers reports."""
    outputs: list[tuple[int, Any]] = []
    handles = [
        block.register_forward_hook(
            lambda _module, _inputs, output, index=index: outputs.append((index, output))
        )
        for index, block in enumerate(blocks.stack)
    ]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            states = network(
                input_ids=ids, output_hidden_states=True, use_cache=False
            ).hidden_states
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return outputs, states


def _check_causal(
    name: str, outputs: Sequence[tuple[int, Any]], others: Sequence[tuple[int, Any]]
) -> None:
    """Refuse a model in which the last token changes those before it, beyond rounding."""
    for (index, output), (_, other) in zip(outputs, others, strict=True):
        stream, changed = (residual(one)[:, :-1].float() for one in (output, other))
        apart = ((stream - changed).norm(dim=-1) / stream.norm(dim=-1).clamp(min=1e-9)).max()
        # Experts may take other company, and in half precision another route.
        if apart > (1e-3 if residual(output).dtype == torch.float32 else 0.2):
            raise ModelError(
                f"In {name} what follows a token changes its activations (after block {index}, by "
                f"{float(apart):.0%} of their size). Only models that read from left to right can "
                "be read and written here."
            )


def _check_proof(
    name: str,
    blocks: DecoderBlocks,
    outputs: list[tuple[int, Any]],
    states: Sequence[Tensor] | None,
) -> None:
    depth = len(blocks.stack)
    problem = None
    if [index for index, _ in outputs] != list(range(depth)):
        problem = f"blocks ran in the order {[index for index, _ in outputs]}"
    elif states is None or len(states) != depth + 1:
        problem = f"it reports {len(states or ())} hidden states for {depth} blocks"
    else:
        for index, output in outputs:
            stream = output[0] if isinstance(output, tuple) else output
            if not isinstance(stream, Tensor) or stream.ndim != 3:
                problem = f"block {index} does not return one [batch, pos, d_model] stream"
                break
            # Not the last: transformers reports its stream after the final norm, the hook before.
            if index < depth - 1 and not torch.equal(stream, states[index + 1]):
                problem = f"the output of block {index} is not the model's hidden state"
                break
    if problem:
        raise ModelError(
            f"{name} has no single residual stream between the blocks of `{blocks.path}`: "
            f"{problem}. Activations of such a model cannot be read or written here."
        )
