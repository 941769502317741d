"""Activations out of a model: the residual stream after chosen blocks, from one forward pass.

The pass stops inside the deepest block asked for: the blocks above it, the final norm and the
logits are never computed.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedModel

from activation_oracles.models.blocks import DecoderBlocks, residual

Streams = dict[int, Float[Tensor, "batch pos d_model"]]


class _DeepestReached(Exception):  # noqa: N818 - control flow, not an error
    """Leaves the forward pass; caught where it was armed."""


@contextmanager
def recording(blocks: DecoderBlocks, layers: Sequence[int]) -> Generator[Streams]:
    """Record the stream after each of `layers` in the forward passes inside the scope.

    The pass that fills the deepest layer ends there: run it inside the scope, last, as the
    exception it leaves by is absorbed at the scope's end.
    """
    blocks.check_layers(layers)
    streams: Streams = {}
    deepest = max(layers)

    def keep(layer: int, output: object) -> None:
        streams[layer] = residual(output)
        if layer == deepest:
            raise _DeepestReached

    handles = [
        blocks.stack[layer].register_forward_hook(
            lambda _module, _inputs, output, layer=layer: keep(layer, output)
        )
        for layer in sorted(set(layers))
    ]
    try:
        yield streams
    except _DeepestReached:
        pass
    finally:
        for handle in handles:
            handle.remove()


def read(
    network: PreTrainedModel,
    blocks: DecoderBlocks,
    ids: Int[Tensor, "batch pos"],
    mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None,
    *,
    layers: Sequence[int],
) -> Streams:
    """Return the residual stream after each of `layers`, without gradients.

    Args:
        network: the model, with whatever adapter is active.
        blocks: its decoder blocks.
        ids: token ids, padded on either side.
        mask: 1 where a token is real. None where padding, if any, is on the right: attention is
            causal, so no token sees it, and the fastest kernels take no mask.
        layers: blocks, counted from 0.

    Raises:
        ConfigError: the model has no such layer.
    """
    arguments: dict[str, Tensor] = {}
    if mask is not None and not mask.all():
        # Padding on the left shifts learned position embeddings unless positions are counted here.
        positions = (mask.long().cumsum(dim=-1) - 1).clamp(min=0)
        arguments = {"attention_mask": mask.long(), "position_ids": positions}
    # Where blocks are shared out over processes, the network itself keeps count of a pass, and an
    # exception that leaves it would leave the count standing; each block's own is over by then.
    entered = blocks.trunk if isinstance(network, FSDPModule) else network
    with evaluating(network), torch.no_grad(), recording(blocks, layers) as streams:
        entered(input_ids=ids, use_cache=False, **arguments)
    return streams


@contextmanager
def evaluating(network: PreTrainedModel) -> Generator[None]:
    """Run the network without dropout inside the scope."""
    # Asked for first: to set the mode of every module of a deep model takes milliseconds.
    was_training = network.training
    if was_training:
        network.eval()
    try:
        yield
    finally:
        if was_training:
            network.train()


@contextmanager
def logits_only_at(
    network: PreTrainedModel, rows: Int[Tensor, " label"], columns: Int[Tensor, " label"]
) -> Generator[None]:
    """Make forward passes inside the scope return logits `[1, label, vocabulary]` at these places.

    Only the output layer's input is cut, so what a model does to its logits afterwards (scaling,
    soft capping) stays its own business. Full logits of a batch are most of a step's memory.
    """
    output_layer = network.get_output_embeddings()
    assert isinstance(output_layer, nn.Module)

    def cut(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        stream = inputs[0]
        return (stream[rows.to(stream.device), columns.to(stream.device)][None], *inputs[1:])

    handle = output_layer.register_forward_pre_hook(cut)
    try:
        yield
    finally:
        handle.remove()
