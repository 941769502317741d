"""Readings on disk: what a target was once seen to hold, it holds wherever it is asked again.

A vector is kept by what decides it: the target (weights, architecture, adapter, dtype, attention
kernel), the tokens up to its own, and its layer. What follows a token does not change it, so texts
that begin alike share vectors, and training, evaluations and probes share a folder.

The law: a vector that is held is handed out, to the bit, and never read again. One that is not is
read in the company of all that are asked for with it; in other company it would be padded
otherwise, and may differ in its last bit. So whatever is repeated over a store repeats to the bit.

Files are only ever added: each is its own index, is written beside, flushed and renamed. A process
that is killed leaves nothing half written, and several may write at once.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from activation_oracles.errors import DataError
from activation_oracles.models.keys import Index, Keys, distinct, keys_of
from activation_oracles.models.target import Target, check_readings
from activation_oracles.types import Example

ABOUT = "reader.json"
"""File in each target's folder that says, for people, whose readings these are."""
GIB = 2**30
PER_VECTOR = 24
"""Bytes beside a vector: its key of 16 and its check sum of 8."""
DAY = 24 * 3600
DECIDES_NO_READING = frozenset({"architectures", "dtype", "transformers_version", "use_cache"})
"""Entries of a model's config that other sessions may write otherwise; its dtype is kept apart."""


class ReadingStore:
    """What one target reads, kept in a folder that other targets may share."""

    def __init__(self, target: Target, folder: str | Path, *, max_gib: float | None = None) -> None:
        """Open a store, or begin one.

        Args:
            target: who reads what is not held.
            folder: where readings lie; each target has a folder of its own in it.
            max_gib: how large `folder` may grow, all targets together.

        Raises:
            DataError: the folder cannot be made, or a file in it is damaged.
        """
        self._target = target
        self._root, self._limit = Path(folder).expanduser(), max_gib
        self._reader = _reader(target)
        self._folder = self._root / blake2b(self._reader.encode(), digest_size=8).hexdigest()
        self._files: list[Path] = []
        self._index = Index()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            about = json.dumps({**asdict(target.provenance), "key": self._reader}, indent=1)
            (self._folder / ABOUT).write_text(about + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{self._folder} cannot hold readings: {error}.") from error
        self._remove_old_parts()
        self._look()

    @property
    def num_vectors(self) -> int:
        """Vectors of this target that are held, as far as this process has seen."""
        return len(self._index)

    def vectors(self, examples: Sequence[Example]) -> list[Float[Tensor, "_ d_model"]]:
        """Return what `Target.vectors` does: what is held from disk, the rest read and kept.

        Raises:
            DataError: as `Target.vectors`; or a file is damaged, cannot be written, or would
                exceed the limit.
        """
        check_readings(examples)
        if not examples:
            return []
        counts, keys = keys_of(examples)
        keys, first, rows = distinct(keys)
        places = self._places(keys)
        table = torch.empty(len(keys), self._target.model.width, dtype=self._dtype)
        self._load(table, keys, places)
        absent = np.flatnonzero(places < 0)
        if len(absent):
            fresh = self._read(examples, counts, first[absent])
            self._write(keys[absent], fresh)
            table[torch.from_numpy(absent)] = fresh
        shown = table[torch.from_numpy(rows)].to(self._target.model.device, non_blocking=True)
        return list(shown.split(counts))

    def expect(self, examples: Sequence[Example], *, times: float = 1.0) -> int:
        """Return how many bytes reading these would add, before a model runs for them.

        Args:
            examples: what will be read, or a sample of it.
            times: how often as much as the sample; what its texts share is then counted often.

        Raises:
            DataError: so much would exceed the limit, or the disk.
        """
        absent = 0
        if examples:
            keys, _, _ = distinct(keys_of(examples)[1])
            absent = int((self._places(keys) < 0).sum())
        size = int(absent * times * (self._target.model.width * self._dtype.itemsize + PER_VECTOR))
        self._check_room(size)
        return size

    @property
    def _dtype(self) -> torch.dtype:
        return self._target.model.network.dtype

    def _places(self, keys: Keys) -> NDArray[np.int64]:
        """Return where each vector lies, file and row in one number; below 0 where it is absent."""
        places = self._index.find(keys)
        if (places < 0).any() and self._look():
            places = self._index.find(keys)
        return places

    def _look(self) -> bool:
        """Take in the files that came since, from here or elsewhere; say whether any did."""
        known = set(self._files)
        found = [one for one in sorted(self._folder.glob("[!.]*.safetensors")) if one not in known]
        for path in found:
            try:
                with safe_open(str(path), framework="pt") as file:
                    if (file.metadata() or {}).get("reader") != self._reader:
                        raise _damaged(path, "it holds another target's readings")
                    self._add(path, file.get_tensor("keys").numpy().view(np.uint64))
            except (OSError, SafetensorError) as error:
                raise _damaged(path, str(error)) from error
        return bool(found)

    def _add(self, path: Path, keys: Keys) -> None:
        start = len(self._files) << 32
        self._files.append(path)
        self._index.add(keys, start + np.arange(len(keys), dtype=np.int64))

    def _load(self, table: Tensor, keys: Keys, places: NDArray[np.int64]) -> None:
        """Fill in the rows of the vectors that are held."""
        files = places >> 32
        for number in np.unique(files[places >= 0]).tolist():
            path, wanted = self._files[number], np.flatnonzero(files == number)
            rows = torch.from_numpy(places[wanted] & 0xFFFFFFFF)
            try:
                # Mapped, not loaded: of a file, only the rows that are wanted are touched.
                with safe_open(str(path), framework="pt") as file:
                    found, sums = file.get_tensor("vectors")[rows], file.get_tensor("sums")[rows]
            except (OSError, SafetensorError) as error:
                raise _damaged(path, str(error)) from error
            if not torch.equal(_sums(keys[wanted], found), sums):
                raise _damaged(path, "what it holds is not what was written")
            table[torch.from_numpy(wanted)] = found

    def _read(
        self, examples: Sequence[Example], counts: Sequence[int], first: NDArray[np.int64]
    ) -> Float[Tensor, "vector d_model"]:
        """Read the vectors that come first at these places among all that examples ask for."""
        ends = list(accumulate(counts))
        asking = sorted(set(np.searchsorted(ends, first, side="right").tolist()))
        found = torch.cat(self._target.vectors([examples[number] for number in asking]))
        assert found.dtype == self._dtype, f"{found.dtype} was read of a model in {self._dtype}"
        read = np.concatenate([np.arange(ends[n] - counts[n], ends[n]) for n in asking])
        return found[torch.from_numpy(np.searchsorted(read, first)).to(found.device)].cpu()

    def _write(self, keys: Keys, vectors: Float[Tensor, "vector d_model"]) -> None:
        self._check_room(vectors.nbytes + PER_VECTOR * len(keys))
        path = self._folder / f"{time.time_ns():020d}-{uuid4().hex[:8]}.safetensors"
        part = path.with_name(f".{path.name}")
        tensors = {
            "keys": torch.from_numpy(keys.view(np.int64)),
            "sums": _sums(keys, vectors),
            "vectors": vectors,
        }
        try:
            save_file(tensors, part, {"reader": self._reader})
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        # safetensors reports a full disk as an error of its own.
        except (OSError, SafetensorError) as error:
            raise DataError(
                f"Readings cannot be written to {path}: {error}. All that lie there are whole: "
                "make room and go on, or go on without a store."
            ) from error
        finally:
            part.unlink(missing_ok=True)
        self._add(path, keys)

    def _check_room(self, num_bytes: int) -> None:
        held = sum(map(_size, self._root.rglob("*.safetensors")))
        free = shutil.disk_usage(self._root).free
        more = f"{num_bytes / GIB:.3g} GiB of readings"
        if self._limit is not None and held + num_bytes > self._limit * GIB:
            raise DataError(
                f"{self._root} holds {held / GIB:.3g} GiB; {more} more would exceed its limit of "
                f"{self._limit:g} GiB. Raise the limit, remove what is not needed (each folder in "
                f"it is one target's, see its {ABOUT}), or go on without a store."
            )
        if num_bytes > free:
            raise DataError(
                f"{more} do not fit on the disk of {self._root}, which has {free / GIB:.3g} GiB "
                "left. Make room, name another folder, or go on without a store."
            )

    def _remove_old_parts(self) -> None:
        """Remove what killed processes left; a young one may still be in the writing."""
        for part in self._folder.glob(".*.safetensors"):
            if time.time() - part.stat().st_mtime > DAY:
                part.unlink(missing_ok=True)


def _reader(target: Target) -> str:
    """Return what decides a target's readings beside the text: one line of JSON."""
    origin, config = target.provenance, target.model.network.config
    # Weights alone do not say at which frequencies positions turn.
    shape = {
        name: value
        for name, value in config.get_text_config(decoder=True).to_dict().items()
        if name not in DECIDES_NO_READING and not name.startswith("_")
    }
    written = json.dumps(shape, sort_keys=True, default=str)
    record: dict[str, Any] = {
        "version": 1,
        "fingerprint": origin.fingerprint,
        "config": blake2b(written.encode(), digest_size=8).hexdigest(),
        "adapter": origin.adapter,
        "dtype": origin.dtype,
        "attention": origin.attention,
    }
    if origin.history:
        # What a target does to its stream while it is read, as one that is steered.
        record["history"] = origin.history
    return json.dumps(record)


def _sums(keys: Keys, vectors: Float[Tensor, "vector d_model"]) -> Tensor:
    """Return a check sum of each vector with its key."""
    rows = vectors.contiguous().view(torch.uint8).numpy()
    return torch.tensor([crc32(row, crc32(key)) for key, row in zip(keys, rows, strict=True)])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # Renamed or removed by another process since it was listed.
        return 0


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"The file of readings {path} is damaged: {why}. Delete it and go on: what it held is read "
        "again."
    )
