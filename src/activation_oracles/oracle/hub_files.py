"""A file of an adapter, in a folder or on the hub."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from huggingface_hub import _CACHED_NO_EXIST, HfApi, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
)

from activation_oracles.errors import ModelError


@runtime_checkable
class Hub(Protocol):
    """What is asked of the hub to look at an adapter; `HfApi` has it."""

    def hf_hub_download(self, repo_id: str, filename: str) -> str:
        """Return the path of a file, downloaded where it is not there yet."""
        ...

    def parse_safetensors_file_metadata(self, repo_id: str, filename: str) -> Any:
        """Return the header of a safetensors file, without the file."""
        ...


def folder_of(source: str) -> Path | None:
    """Return the folder that a source names; None where it is a hub id.

    Raises:
        ModelError: it is written as a path, and there is no such folder.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if source.startswith((".", "/", "~")):
        raise ModelError(f"{source!r} is no folder. Expected a folder or hub id of an adapter.")
    return None


def find_file(source: str, name: str, *, hub: Hub | None = None) -> Path | None:
    """Return a file of an adapter, downloaded where it must be; None where there is none.

    Args:
        source: folder or hub id.
        name: of the file.
        hub: what asks the hub; huggingface_hub's own client by default.

    Raises:
        ModelError: there is no such folder, or the hub cannot be reached.
    """
    folder = folder_of(source)
    if folder is not None:
        return folder / name if (folder / name).is_file() else None
    try:
        return Path((hub or HfApi()).hf_hub_download(source, name))
    # First, as it is also an EntryNotFoundError: not to be reached is not the same as not there.
    except LocalEntryNotFoundError as error:
        if try_to_load_from_cache(source, name) is _CACHED_NO_EXIST:
            return None
        raise ModelError(f"{name} of {source!r} cannot be reached on the hub: {error}") from error
    except EntryNotFoundError:
        return None
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise ModelError(
            f"{source!r} is neither a folder nor reachable on the hub: {error}"
        ) from error
