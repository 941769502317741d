"""An adapter as files, in a folder or on the hub: its settings, and what its weights are called.

On the hub the weights' header is read and not the weights, so that looking at an adapter of a
gigabyte costs a few kilobytes. Nothing here builds a model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    NotASafetensorsRepoError,
    SafetensorsParsingError,
)
from safetensors import SafetensorError, safe_open

from activation_oracles.errors import ModelError
from activation_oracles.oracle.card import FILE_NAME
from activation_oracles.oracle.hub_files import Hub, find_file, folder_of

SETTINGS = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter's files."""

    source: str
    """Folder or hub id."""
    settings: Mapping[str, Any]
    """What adapter_config.json holds."""
    shapes: Mapping[str, tuple[int, ...]]
    """Of every weight, by name."""
    dtypes: tuple[str, ...]
    """Of the weights, as F32; each once."""
    weights: Path | None
    """The weights; None on the hub, where only their header was read."""
    card_folder: Path | None
    """The folder that holds `ao_config.json`; None where the adapter has none."""

    def silent(self) -> list[str]:
        """Return the names of B matrices that are zero: layers that the adapter leaves as they are.

        Raises:
            ModelError: the weights are damaged.
        """
        assert self.weights is not None, "only the header was read"
        names = [name for name in self.shapes if "lora_B" in name]
        try:
            with safe_open(self.weights, framework="pt") as file:
                return [name for name in names if not file.get_tensor(name).any()]
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{self.weights} cannot be read: {error}.") from error


def adapter_files(source: str, *, hub: Hub | None = None) -> AdapterFiles:
    """Find an adapter's files.

    Args:
        source: folder or hub id.
        hub: what asks the hub; huggingface_hub's own client by default.

    Raises:
        ModelError: there is no adapter there, its weights are no safetensors, or the hub cannot
            be reached.
    """
    folder = folder_of(source)
    return _in_folder(source, folder) if folder else _on_hub(source, hub or HfApi())


def _in_folder(source: str, folder: Path) -> AdapterFiles:
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(
                _missing(source, name, pickled=(folder / "adapter_model.bin").exists())
            )
    settings, path = _settings(folder / SETTINGS), folder / WEIGHTS
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, None] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                piece = file.get_slice(name)
                shapes[name] = tuple(piece.get_shape())
                dtypes[piece.get_dtype()] = None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as safetensors: {error}.") from error
    return AdapterFiles(
        source=source,
        settings=settings,
        shapes=shapes,
        dtypes=tuple(dtypes),
        weights=path,
        card_folder=folder if (folder / FILE_NAME).is_file() else None,
    )


def _on_hub(source: str, hub: Hub) -> AdapterFiles:
    settings = find_file(source, SETTINGS, hub=hub)
    if settings is None:
        raise ModelError(_missing(source, SETTINGS, pickled=False))
    card = find_file(source, FILE_NAME, hub=hub)
    try:
        header = hub.parse_safetensors_file_metadata(source, WEIGHTS)
    except (EntryNotFoundError, NotASafetensorsRepoError) as error:
        raise ModelError(_missing(source, WEIGHTS, pickled=True)) from error
    except (OSError, HfHubHTTPError, SafetensorsParsingError) as error:
        raise ModelError(f"The weights of {source!r} cannot be read: {error}") from error
    return AdapterFiles(
        source=source,
        settings=_settings(settings),
        shapes={name: tuple(one.shape) for name, one in header.tensors.items()},
        dtypes=tuple(dict.fromkeys(one.dtype for one in header.tensors.values())),
        weights=None,
        card_folder=card.parent if card else None,
    )


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(found, dict) or found.get("peft_type") != "LORA":
        raise ModelError(f"{path} is not of a LoRA adapter: expected `peft_type` LORA.")
    return found


def _missing(source: str, name: str, *, pickled: bool) -> str:
    said = f"{source!r} holds no {name}."
    if name == WEIGHTS and pickled:
        return (
            f"{said} Weights are read from safetensors only, never from a pickle: load them with "
            "peft where you trust them, and save them again."
        )
    return f"{said} Expected the folder or hub id of a LoRA adapter, as `ao train` leaves one."
