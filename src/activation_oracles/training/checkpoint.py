"""Checkpoints that continue a run to the same bit: weights, optimizer, random numbers, position.

Tensors are safetensors, everything else is JSON; nothing is pickled. A checkpoint is written into
a folder of another name and renamed when it is whole, so a run killed at any moment leaves the
previous one intact. That one is kept as well: if the last is damaged later, a run of days loses
some steps, which come to the same when they are done again. Where the data stands needs no state:
the order of examples is a pure function of the seed and the epoch, so the number of steps says it
all.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import set_seed
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.files import writing
from activation_oracles.tasks.task import random_for
from activation_oracles.training import together
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.metrics import diverged
from activation_oracles.training.randomness import random_state, set_random_state

KEPT = 2
"""Checkpoints that are kept."""
FOLDER = "checkpoints"
WEIGHTS = "weights.safetensors"
MOMENTS = "optimizer.safetensors"
STATE = "state.json"

Parameters = Mapping[str, nn.Parameter]
logger = logging.getLogger(__name__)


def save(
    output: Path,
    step: int,
    parameters: Parameters,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
) -> Path:
    """Write a checkpoint after `step` optimizer steps, and remove all but the one before it.

    Every process calls this; the first writes, the random numbers of all of them included.

    Args:
        output: the run's folder.
        step: optimizer steps done.
        parameters: what is trained, by name.
        optimizer: its state is kept for exactly these parameters.
        identity: what must be equal for a run to be continued, by name; plain JSON.

    Raises:
        ConfigError: the weights are no finite numbers any more.
        DataError: it cannot be written; the checkpoint before is untouched.
    """
    _check_finite(step, parameters, optimizer)
    final = output / FOLDER / f"step-{step:09d}"
    numbers = together.every(random_state())
    if PartialState().is_main_process:
        with writing(final) as part:
            part.mkdir(parents=True)
            save_file(_copies(parameters), part / WEIGHTS)
            save_file(_moments(parameters, optimizer), part / MOMENTS)
            for rank, state in enumerate(numbers):
                _write(part / _random(rank), state)
            # Last, as it holds what all others must hash to.
            files = {one.name: _hash(one) for one in sorted(part.iterdir())}
            record = {"step": step, "processes": len(numbers), "identity": identity, "files": files}
            _write(part / STATE, record)
        _remove_old(output)
    together.wait()
    return final


def latest(output: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, None where there is none."""
    return max((output / FOLDER).glob("step-*"), default=None)


def restore(
    checkpoint: Path,
    parameters: Parameters,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
    seed: int,
) -> int:
    """Put everything back as it was when `checkpoint` was saved; return the steps done.

    Another number of processes may go on. Those that were there draw random numbers from where they
    stood; one that is new draws its own, which the seed, the step and its rank decide.

    Raises:
        ConfigError: the run that would go on is not the one that was saved; the fields are named.
        DataError: the checkpoint is damaged; the file is named.
    """
    record = _read(checkpoint / STATE)
    given = json.loads(json.dumps(identity))
    # A setting that is newer than the run was then as it is by default.
    usual = {name: value for name, value in TrainConfig.usual().items() if name in given}
    _check_same(usual | record["identity"], given)
    _check_whole(checkpoint, record["files"])
    weights, moments = _read(checkpoint / WEIGHTS), _read(checkpoint / MOMENTS)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {
            kind: moments[f"{kind}/{name}"].to(parameter.device)
            for kind in sorted({key.partition("/")[0] for key in moments})
        }
    _go_on_drawing(checkpoint, record, seed)
    return int(record["step"])


def _go_on_drawing(checkpoint: Path, record: Mapping[str, Any], seed: int) -> None:
    """Put this process's random numbers where they stood, those of a new one at a place its own."""
    now, before, step = PartialState(), record["processes"], record["step"]
    if now.num_processes != before and now.is_main_process:
        logger.warning(
            "The run goes on with %d processes instead of %d: the same to rounding, except that "
            "dropout, if there is any, drops other parts.",
            now.num_processes,
            before,
        )
    # First, for whatever the saved state leaves out, as that of a device that was not there.
    set_seed(random_for(seed, "resume", str(step), str(now.process_index)).getrandbits(32))
    if now.process_index < before:
        set_random_state(_read(checkpoint / _random(now.process_index)))


def _random(rank: int) -> str:
    return f"random-{rank}.json"


def _remove_old(output: Path) -> None:
    """Remove what a killed run left half written, and all whole checkpoints but the last ones."""
    folder = output / FOLDER
    for old in (*folder.glob(".step-*"), *sorted(folder.glob("step-*"))[:-KEPT]):
        shutil.rmtree(old)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, str(error)) from error


def _check_whole(checkpoint: Path, files: Mapping[str, str]) -> None:
    for name, wanted in files.items():
        path = checkpoint / name
        if not path.exists():
            raise _damaged(path, "it is missing")
        if _hash(path) != wanted:
            raise _damaged(path, f"its {path.stat().st_size} bytes are not the ones written")


def _damaged(path: Path, why: str) -> DataError:
    checkpoint = path.parent
    older = max((one for one in checkpoint.parent.glob("step-*") if one < checkpoint), default=None)
    return DataError(
        f"The checkpoint's file {path} is damaged: {why}. Remove the folder {checkpoint} and "
        f"resume once more: the run goes on from {older.name if older else 'its start'}, to the "
        "same result."
    )


def _check_finite(step: int, parameters: Parameters, optimizer: torch.optim.Optimizer) -> None:
    moments = (
        one for parameter in parameters.values() for one in optimizer.state[parameter].values()
    )
    sound = [one.detach().isfinite().all().cpu() for one in (*parameters.values(), *moments)]
    if not torch.stack(sound).all():
        raise diverged(f"The weights after step {step} are not finite, and were not saved")


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
