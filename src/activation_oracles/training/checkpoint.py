"""Checkpoints that continue a run to the same bit: weights, optimizer, random numbers, position.

Tensors are safetensors, everything else is JSON; nothing is pickled. A checkpoint is written into
a folder of another name and renamed when it is whole, so a run killed at any moment leaves the
previous one intact. Where the data stands needs no state: the order of examples is a pure function
of the seed and the epoch, so the number of steps says it all.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.training.randomness import random_state, set_random_state

FOLDER = "checkpoints"
WEIGHTS = "weights.safetensors"
MOMENTS = "optimizer.safetensors"
STATE = "state.json"

Parameters = Mapping[str, nn.Parameter]


def save(
    output: Path,
    step: int,
    parameters: Parameters,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
) -> Path:
    """Write a checkpoint after `step` optimizer steps, and remove the ones before it.

    Every process calls this; the first writes the tensors, each one its own random state.

    Args:
        output: the run's folder.
        step: optimizer steps done.
        parameters: what is trained, by name.
        optimizer: its state is kept for exactly these parameters.
        identity: what must be equal for a run to be continued, by name; plain JSON.
    """
    processes = PartialState()
    final = output / FOLDER / f"step-{step:09d}"
    part = output / FOLDER / f".step-{step:09d}"
    if processes.is_main_process:
        for stale in (part, final):
            shutil.rmtree(stale, ignore_errors=True)
        part.mkdir(parents=True)
        save_file(_copies(parameters), part / WEIGHTS)
        save_file(_moments(parameters, optimizer), part / MOMENTS)
        record = {"step": step, "identity": identity}
        (part / STATE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    processes.wait_for_everyone()
    own = part / f"random-{processes.process_index}.json"
    own.write_text(json.dumps(random_state()), encoding="utf-8")
    processes.wait_for_everyone()
    if processes.is_main_process:
        part.rename(final)
        for old in output.joinpath(FOLDER).glob("*step-*"):
            if old != final:
                shutil.rmtree(old)
    processes.wait_for_everyone()
    return final


def latest(output: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, None where there is none."""
    return max((output / FOLDER).glob("step-*"), default=None)


def restore(
    checkpoint: Path,
    parameters: Parameters,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
) -> int:
    """Put everything back as it was when `checkpoint` was saved; return the steps done.

    Raises:
        ConfigError: the run that would go on is not the one that was saved; the fields are named.
        DataError: the checkpoint is damaged.
    """
    try:
        record = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        weights = load_file(checkpoint / WEIGHTS)
        moments = load_file(checkpoint / MOMENTS)
        own = checkpoint / f"random-{PartialState().process_index}.json"
        numbers = json.loads(own.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"The checkpoint {checkpoint} cannot be read: {error}.") from error
    _check_same(record["identity"], json.loads(json.dumps(identity)))
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {
            kind: moments[f"{kind}/{name}"].to(parameter.device)
            for kind in sorted({key.partition("/")[0] for key in moments})
        }
    set_random_state(numbers)
    return int(record["step"])


def _check_same(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    different = [
        f"{name} was {saved.get(name)!r}, is {given.get(name)!r}"
        for name in sorted(set(saved) | set(given))
        if saved.get(name) != given.get(name)
    ]
    if different:
        raise ConfigError(
            f"The run cannot be resumed, it is another one: {'; '.join(different)}. Use the old "
            "settings, or start a new run in another `output`."
        )


def _copies(parameters: Parameters) -> dict[str, Tensor]:
    return {name: one.detach().cpu().contiguous() for name, one in parameters.items()}


def _moments(parameters: Parameters, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{kind}/{name}": value.detach().cpu().contiguous()
        for name, parameter in parameters.items()
        for kind, value in optimizer.state[parameter].items()
    }
