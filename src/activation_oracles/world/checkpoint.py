"""Where the base model's training stands: weights, moments and position in one file, no pickle."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import Qwen3ForCausalLM

from activation_oracles.files import writing

CHECKPOINT = "checkpoint.safetensors"
WEIGHT = "weight"


def save(
    folder: Path,
    model: Qwen3ForCausalLM,
    optimizers: list[torch.optim.Optimizer],
    state: dict[str, int],
) -> None:
    """Write weights, moments and position into one file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for name, weight in model.named_parameters():
        tensors[f"{WEIGHT}/{name}"] = weight.detach()
        for optimizer in optimizers:
            for kind, value in optimizer.state.get(weight, {}).items():
                tensors[f"{kind}/{name}"] = value
    with writing(folder / CHECKPOINT) as part:
        save_file(tensors, part, {"state": json.dumps(state)})


def resume(
    folder: Path, model: Qwen3ForCausalLM, optimizers: list[torch.optim.Optimizer]
) -> dict[str, int]:
    """Put back what was saved, and return where the run stood; a new run stands at nothing."""
    path = folder / CHECKPOINT
    if not path.exists():
        return {"tokens": 0, "step": 0, "chunk": 0, "batch": 0, "chunk_start": 0}
    weights = dict(model.named_parameters())
    owners = {
        id(weight): optimizer
        for optimizer in optimizers
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    with safe_open(str(path), framework="pt") as file, torch.no_grad():
        for key in file.keys():  # noqa: SIM118 - not a dict
            kind, _, name = key.partition("/")
            tensor, weight = file.get_tensor(key), weights[name]
            if kind == WEIGHT:
                weight.copy_(tensor)
            else:
                owners[id(weight)].state[weight][kind] = tensor
        return json.loads(file.metadata()["state"])
