"""What is written is whole or not there, and a disk that is full is an error with a way out.

Written beside, flushed to the disk and renamed: whatever is killed at any moment, or a machine that
loses its power, leaves what was there before or what shall be there, never half of it.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from activation_oracles.errors import ConfigError, DataError

CONFIG = "config.json"
"""What a run's folder is about."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a disk says that takes no more."""
RECORD = "activation_oracles"
"""The metadata of saved vectors that holds what is known of them."""


@contextmanager
def writing(path: Path) -> Generator[Path]:
    """Yield a path to write a file or a folder to, which takes the place of `path` at the end.

    Where the scope is left by an error, `path` stays as it was and nothing is left beside it.

    Raises:
        DataError: it cannot be written.
    """
    part = path.with_name(f".{path.name}")
    _remove(part)
    with naming_what_fails(path):
        try:
            yield part
            for one in (*part.rglob("*"), part):
                _flush(one)
            part.replace(path)
            _flush(path.parent)
        finally:
            _remove(part)


@contextmanager
def naming_what_fails(path: Path) -> Generator[None]:
    """Turn the errors of a disk into one that names the path, and says what to do.

    Raises:
        DataError: something inside the scope cannot be written.
    """
    try:
        yield
    # safetensors reports a full disk as an error of its own.
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} cannot be written: {error}. What was there before is whole: make room, or "
            "mend the disk, and start again; a training run goes on with `resume`."
        ) from error


def folder_at(path: Path) -> Path:
    """Make a folder, where it is not there yet, and return it.

    Raises:
        DataError: it cannot be made.
    """
    with naming_what_fails(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def in_temporary_files() -> Generator[None]:
    """Turn a full disk under temporary files into an error that says how to name another.

    Raises:
        DataError: there is no room for them.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DataError(
            f"{tempfile.gettempdir()} has no room for temporary files: {error}. Texts and examples "
            "lie there while they are looked at: make room, or set TMPDIR to a folder with more."
        ) from error


def save_vectors(
    path: Path, vectors: Float[Tensor, "slot d_model"], record: Mapping[str, Any]
) -> None:
    """Write one safetensors file; the record goes into its metadata, as JSON."""
    metadata = {RECORD: json.dumps(record)}
    save_file({"vectors": vectors.detach().cpu().contiguous()}, str(path), metadata)


def load_vectors(path: Path) -> tuple[Float[Tensor, "slot d_model"], dict[str, Any]]:
    """Return the vectors and the record of a file that `save_vectors` wrote.

    Raises:
        DataError: the file is missing, or is not such a file.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            record = json.loads((file.metadata() or {})[RECORD])
            return file.get_tensor("vectors"), record
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(
            f"{path} is not a file of saved activations ({error}). Make one with Activations.save."
        ) from error


def claim(folder: Path, about: Mapping[str, Any]) -> None:
    """Write what a run is about into its folder, or see that the folder is about the same.

    Raises:
        ConfigError: the folder is about something else.
        DataError: what it says of itself is damaged.
    """
    path = folder / CONFIG
    about = json.loads(json.dumps(about))
    if path.exists():
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path} is damaged ({error}). Remove the folder.") from error
        changed = sorted(k for k in held.keys() | about.keys() if held.get(k) != about.get(k))
        if changed:
            raise ConfigError(
                f"{folder} holds another run: {', '.join(changed)} differ. Name another folder, or "
                "give what that run was given to go on with it."
            )
        return
    folder_at(folder)
    with writing(path) as part:
        part.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    # Elsewhere a folder, or a file that is open for reading, cannot be flushed.
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
