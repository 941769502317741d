"""The examples of a run's mixture: made once, inside its folder, and only ever of that mixture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from torch import nn

from activation_oracles.errors import ConfigError
from activation_oracles.models.load import LanguageModel, read_shape
from activation_oracles.tasks import store
from activation_oracles.tasks.build import build
from activation_oracles.tasks.config import DataConfig
from activation_oracles.training import together
from activation_oracles.training.config import ALL, TrainConfig

IN_WORDS = ("expects", "origin")
"""Settings of a task that are said where a source is missing, and decide no example."""


def make_data(config: TrainConfig, model: LanguageModel | None) -> None:
    """Make the examples of a mixture, in the first of several processes, unless they are there.

    Raises:
        ConfigError: those that are there are of another mixture or depth, or a block that the
            settings name is not one of the model's.
        DataError: a source is missing, or makes too few examples.
    """
    if config.mixture and PartialState().is_main_process:
        shape = read_shape(config.model) if model is None else (model.tokenizer, model.num_layers)
        # Before the data, which may take an hour.
        check_blocks(config, shape[1])
        folder = Path(config.sources[0])
        if (folder / store.MANIFEST).exists():
            _check_made(config.mixture, folder, shape[1])
        else:
            build(config.mixture, folder, *shape, command=f"ao train --output {config.output}")
    together.wait()


def check_layers(config: TrainConfig, network: nn.Module) -> None:
    """Refuse names of layers to adapt that a model does not have: peft passes over one of several.

    Raises:
        ConfigError: which.
    """
    if config.lora.layers == ALL:
        return
    paths = [f".{path}" for path, _ in network.named_modules()]
    unknown = [
        one for one in config.lora.names if not any(path.endswith(f".{one}") for path in paths)
    ]
    if unknown:
        linear = {path for path, one in network.named_modules() if isinstance(one, nn.Linear)}
        raise ConfigError(
            f"lora.layers {unknown} are no layers of {config.model!r}. Its linear layers are "
            f"{', '.join(sorted({path.rpartition('.')[2] for path in linear}))}."
        )


def check_blocks(config: TrainConfig, num_layers: int) -> None:
    """Refuse blocks to write behind, or to adapt, that a model does not have.

    Raises:
        ConfigError: which.
    """
    named = {"injection_block": (config.injection_block,), "lora.blocks": config.lora.blocks or ()}
    for name, blocks in named.items():
        if not set(blocks) <= set(range(num_layers)):
            raise ConfigError(
                f"{name} {sorted(set(blocks))} lies outside the blocks of {config.model!r}, which "
                f"has 0 to {num_layers - 1}."
            )


def _check_made(mixture: DataConfig, folder: Path, num_layers: int) -> None:
    """Refuse examples that are left of another mixture: the run would say it learned from this."""
    held = dict(store.read_manifest(folder)["config"])
    was, now = held.pop("num_layers", num_layers), num_layers
    different = [] if was == now else [f"the model's blocks were {was}, are {now}"]
    before, wanted = _deciding(held), _deciding(mixture.model_dump(mode="json"))
    different += [
        "its tasks are others" if name == "tasks" else f"{name} was {value!r}, is {wanted[name]!r}"
        for name, value in before.items()
        if value != wanted[name]
    ]
    if different:
        raise ConfigError(
            f"{folder} holds the examples of another mixture: {'; '.join(different)}. Remove that "
            "folder to make them again, or name another `output`; to train on them as they are, "
            "name the folder as `data`."
        )


def _deciding(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a mixture that decide its examples."""
    # A setting that is newer than the examples was then as it is by default.
    found = DataConfig(**values).model_dump(mode="json")
    tasks = [
        {name: one for name, one in task.items() if name not in IN_WORDS} for task in found["tasks"]
    ]
    return {**found, "tasks": tasks}
