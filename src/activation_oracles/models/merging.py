"""An adapter's update added to the weights that it changes, for as long as a scope lasts.

Beside every large product, LoRA runs two small ones and two passes over what comes out. One product
with W + sBA gives the same to rounding, which only fp32 is fine enough for. The weights themselves
are never touched: layers run on sums that are kept beside them, and forgotten with the scope.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

NUM_TOKENS = 512
"""From so many on, a call saves more than the sums take to be made."""
MOST_BYTES = 2**30
"""Memory that the sums may take. Of a larger model, LoRA's share of the work is smaller, too."""


@contextmanager
def merging(network: PreTrainedModel, adapter: str, num_tokens: int) -> Generator[None]:
    """Run so many tokens without gradients under an adapter that is active, and the faster for it.

    Changes nothing where it would not be faster, or not the same: for few tokens, on a GPU, in half
    precision, for quantised or large weights. Whatever else is made active inside runs as always.
    """
    layers = _layers(network, adapter) if num_tokens >= NUM_TOKENS else []
    try:
        for layer, base in layers:
            layer.forward = _merged(layer, base, adapter)
        yield
    finally:
        for layer, _ in layers:
            vars(layer).pop("forward", None)


def _layers(network: PreTrainedModel, adapter: str) -> list[tuple[LoraLinear, nn.Linear]]:
    """Return the layers that an adapter changes, with those that it wraps; none, unless all can."""
    found: list[tuple[LoraLinear, nn.Linear]] = []
    for layer in network.modules():
        if not isinstance(layer, LoraLayer) or adapter not in layer.lora_B:
            continue
        base = layer.base_layer
        if not isinstance(layer, LoraLinear) or type(base) is not nn.Linear:
            return []
        if "forward" in vars(layer) or adapter in layer.lora_variant or layer.lora_bias[adapter]:
            return []
        weight = base.weight
        # Quantised weights, and those that processes share out, are of types of their own.
        if type(weight) is not nn.Parameter or weight.dtype != torch.float32:
            return []
        if weight.device.type != "cpu":
            return []
        found.append((layer, base))
    return found if sum(base.weight.nbytes for _, base in found) <= MOST_BYTES else []


def _merged(layer: LoraLinear, base: nn.Linear, adapter: str) -> Callable[..., Tensor]:
    """Return what runs in a layer's stead; the layer itself, when another adapter is active."""
    unmerged = layer.forward
    with torch.no_grad():
        weight = base.weight + layer.get_delta_weight(adapter)

    def forward(stream: Tensor, *inputs: Tensor, **named: Tensor) -> Tensor:
        if layer.disable_adapters or layer.active_adapters != [adapter]:
            return unmerged(stream, *inputs, **named)
        return nn.functional.linear(stream, weight, base.bias)

    return forward
