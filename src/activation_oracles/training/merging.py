"""Small models learn faster when a step computes W + s B A once, not B A x for each token.

The maths are the same, to rounding. Where the rank is near the width, as with rank 64 on the
models of a test machine, an adapter costs as much as the layer it adapts, and this saves a third of
the step; on large models it would cost more, so each layer is looked at for itself.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel


@contextmanager
def merging(network: PreTrainedModel, adapter: str) -> Generator[None]:
    """Merge an adapter's update into its layers' weights in training passes inside the scope.

    Layers where that is slower, or not the same (dropout, another dtype, a quantised base), or
    whose weights are shared out over processes, and all passes outside training run as ever.
    """
    layers = [
        module
        for module in network.modules()
        if isinstance(module, LoraLinear) and adapter in module.lora_A and _pays(module, adapter)
    ]
    for layer in layers:
        layer.forward = _merged(layer, adapter, layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _pays(layer: Any, adapter: str) -> bool:
    """Say whether merging is exact for a layer, and cheaper.

    Per token, apart: base forward and input gradient, and all three passes through A and B;
    merged: the three passes through W.
    """
    base = layer.get_base_layer()
    down = layer.lora_A[adapter].weight
    if type(base) is not nn.Linear or base.weight.dtype != down.dtype:
        return False
    # The merged weight is kept for the backward pass, whole.
    if isinstance(base.weight, DTensor):
        return False
    plain = isinstance(layer.lora_dropout[adapter], nn.Identity)
    plain = plain and adapter not in layer.lora_variant
    inner, outer = base.in_features, base.out_features
    apart = 2 * inner * outer + 3 * int(down.shape[0]) * (inner + outer)
    return plain and apart > 3 * inner * outer


def _merged(
    layer: LoraLinear, adapter: str, forward: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    base = layer.get_base_layer()
    assert isinstance(base, nn.Linear)

    def run(x: Tensor, *inputs: Any, **named: Any) -> Tensor:
        if layer.disable_adapters or not layer.training or layer.active_adapters != [adapter]:
            return forward(x, *inputs, **named)
        return nn.functional.linear(x, base.weight + layer.get_delta_weight(adapter), base.bias)

    return run
