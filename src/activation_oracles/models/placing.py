"""Where a model's weights go: onto one device or over several; what stays in memory or on disk.

accelerate moves what flows between blocks from device to device. Weights that no device holds come
to one when they are used, and their parameters are empty in between: `present` brings them in.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import align_module_device
from torch import Tensor
from transformers import PreTrainedModel

from activation_oracles.errors import ConfigError
from activation_oracles.models.quantize import check_quantization, quantization

SPREADS = ("auto", "balanced", "balanced_low_0", "sequential")
DeviceMap = str | dict[str, Any]
"""One of `SPREADS`, or a device for each part by its name: `cpu` and `disk` offload it."""


@dataclass(frozen=True)
class Placement:
    """How weights get where they belong."""

    options: dict[str, Any]
    """For `from_pretrained`."""
    device: torch.device | None
    """Where the loaded model is moved; None where it is in its place already."""


def placement(device: str | None, device_map: DeviceMap | None, quantize: str | None) -> Placement:
    """Return how to load onto one device, or over several, whole or quantised.

    Raises:
        ConfigError: no such device or map, both of them, or weights that cannot be quantised there.
    """
    if device_map is None:
        place = find_device(device)
        if quantize is None:
            return Placement({}, place)
        check_quantization(quantize, place)
        # Quantised weights are made in their place, not moved.
        return Placement(
            {"quantization_config": quantization(quantize), "device_map": {"": place}}, None
        )
    if device is not None:
        raise ConfigError(
            f"device {device!r} is one device, device_map {device_map!r} several. Give one of the "
            "two."
        )
    if isinstance(device_map, str) and device_map not in SPREADS:
        raise ConfigError(
            f"device_map is one of {', '.join(SPREADS)}, or a device for each part by its name, "
            f"got {device_map!r}. For one device there is `device`."
        )
    options: dict[str, Any] = {"device_map": device_map}
    if quantize is not None:
        check_quantization(quantize, find_device(None))
        options["quantization_config"] = quantization(quantize)
    return Placement(options, None)


def find_device(device: str | None) -> torch.device:
    """Return a device by its name; by default the first GPU, where there is one.

    Raises:
        ConfigError: there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"{device!r} is no device: {error}") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"Device {device!r} was asked for, but torch sees no CUDA GPU here.")
    return place


def input_device(network: PreTrainedModel) -> torch.device:
    """Return where a network's inputs go: to the first weights that lie on a device."""
    return next((one.device for one in network.parameters() if not one.is_meta), network.device)


def offloaded(network: PreTrainedModel) -> list[str]:
    """Return the names of weights that lie in memory or on disk until they are used."""
    return [path for path, parameter in network.named_parameters() if parameter.is_meta]


@contextmanager
def present(network: PreTrainedModel, path: str) -> Generator[Tensor]:
    """Yield a weight with its values, brought in where it is offloaded."""
    place, _, name = path.rpartition(".")
    module = network.get_submodule(place)
    with align_module_device(module):
        yield getattr(module, name)
