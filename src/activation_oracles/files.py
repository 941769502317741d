"""What is written is whole or not there, and a disk that is full is an error with a way out.

Written beside, flushed to the disk and renamed: whatever is killed at any moment, or a machine that
loses its power, leaves what was there before or what shall be there, never half of it.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from activation_oracles.errors import DataError


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
