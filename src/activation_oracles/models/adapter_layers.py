"""Which layers of a network an adapter may change, and which are switched with it."""

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from activation_oracles.models.blocks import DecoderBlocks


def linear_layers(network: PreTrainedModel, blocks: DecoderBlocks) -> tuple[list[str], bool]:
    """Name the linear layers inside the blocks, by last part where that is unambiguous.

    Also say whether their weights are stored transposed, as GPT-2 has them.
    """
    prefix = f"{blocks.path}."
    linear = {
        path: module
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    inside = [path for path in linear if path.startswith(prefix)]
    outside = {path.rpartition(".")[2] for path in linear if not path.startswith(prefix)}
    leaves = {path.rpartition(".")[2] for path in inside}
    names = sorted(inside if leaves & outside else leaves)
    return names, any(isinstance(linear[path], Conv1D) for path in inside)


def switched_layers(network: PreTrainedModel) -> list[BaseTunerLayer]:
    """Return the layers that adapters change; none, where some adapter brings more than those."""
    if any(isinstance(module, AuxiliaryTrainingWrapper) for module in network.modules()):
        return []
    return [module for module in network.modules() if isinstance(module, BaseTunerLayer)]
