"""A base too large for one device, shared out over processes: each holds a part of every block.

Before a block runs, all processes gather its weights, and let go of them behind it (FSDP2, torch's
`fully_shard`). Only the blocks' own weights are shared out: adapters, embeddings, the last norm
and the output layer stay whole in every process, so gradients, optimizer, checkpoints and the saved
oracle are those of any run.

As every block is a gathering, processes must run the same blocks in the same order. Training does
by itself; for readings, each process of its own texts, `in_step` sees to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Unpack

import torch
from accelerate import PartialState
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from activation_oracles.errors import ConfigError
from activation_oracles.models.blocks import decoder_blocks
from activation_oracles.models.load import How, LanguageModel, load

Context = tuple[int, ...]
Pass = tuple[Sequence[Context], Sequence[int]]
"""Contexts that are read together, and at which layers."""


def load_sharded(name: str, place: torch.device, **how: Unpack[How]) -> LanguageModel:
    """Load a model in all processes, each of which keeps its part.

    One process of a machine after another loads all of it into main memory, which must hold it
    once.

    Args:
        name: hub id or folder.
        place: this process's own device.
        how: as for `load`, without a device.

    Raises:
        ConfigError: there is one process, or weights that cannot be shared out.
        ModelError: as in `load`.
    """
    processes = PartialState()
    if processes.num_processes == 1:
        raise ConfigError(
            "Weights are shared out over several processes, and there is one. Start it with "
            "`torchrun --nproc-per-node N` or `accelerate launch`, or leave `shard` out."
        )
    if how.get("quantize") is not None:
        raise ConfigError(
            "Quantised weights cannot be shared out over processes: `fully_shard` would cut their "
            "packed form. Leave out `shard`, and each device holds all of them, or `quantize`."
        )
    # The name by which peft knows that a layer's part computes all of its output.
    mesh = init_device_mesh(place.type, (processes.num_processes,), mesh_dim_names=("fsdp",))
    model = None
    for turn in range(processes.num_processes):
        if turn == processes.local_process_index:
            model = load(name, **{**how, "device": "cpu"})
            _shard(model, mesh, place)
        processes.wait_for_everyone()
    assert model is not None
    # The first pass must enter through the whole network, which makes it the root of all blocks.
    decoder_blocks(model.network, blocks=model.blocks.path)
    return model


def is_sharded(model: LanguageModel) -> bool:
    """Say whether the model's blocks are shared out over processes."""
    return isinstance(model.network, FSDPModule)


def in_step(model: LanguageModel, passes: Iterable[Pass]) -> Iterator[Pass]:
    """Yield a process's passes so that all processes run the same blocks.

    Where weights are shared out, a pass goes down to the deepest layer that any process wants of
    its own, and a process that has none left runs a single token along. Elsewhere they are yielded
    as they are.

    Returns:
        Passes, at least at the layers that were asked for; a context that was not asked for is to
        be ignored.
    """
    if not is_sharded(model):
        yield from passes
        return
    own = iter(passes)
    while True:
        contexts, layers = next(own, ((), ()))
        deepest = _highest(max(layers, default=-1), model.device)
        if deepest < 0:
            return
        yield contexts or [(model.pad_id,)], sorted({*layers, deepest})


def _shard(
    model: LanguageModel, mesh: "torch.distributed.DeviceMesh", device: torch.device
) -> None:
    """Keep this process's part of a model that lies whole in main memory, on its device."""
    network, stack = model.network, model.blocks.stack
    model.let_go_of_weights()
    inside = {parameter for block in stack for parameter in block.parameters()}
    whole = {parameter for parameter in network.parameters() if parameter not in inside}
    for block in stack:
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    for parameter in whole:
        parameter.data = parameter.data.to(device)
    # A root without weights of its own: it lets the gathering of a block overlap with the one
    # before, and readings that stop early do not enter it.
    fully_shard(network, mesh=mesh, ignored_params=whole)
    assert all(isinstance(one, DTensor) for block in stack for one in block.parameters())


def _highest(number: int, device: torch.device) -> int:
    most = torch.tensor(number, device=device)
    torch.distributed.all_reduce(most, op=torch.distributed.ReduceOp.MAX)
    return int(most)
