"""Examples by the million: they lie in a file, and are in memory only while they are looked at.

A sequence of examples here is a memory-mapped Arrow file that has no name any more, so nothing is
left behind, whatever ends the program. What stays in memory is eight bytes an example, its place in
the order.
"""

import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, overload

import numpy as np

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.files import in_temporary_files
from activation_oracles.types import READING, Example

LISTS = ("context", "positions", "layers")
WORDS = ("question", "answer", "task", "source", "shown")
ROWS_PER_CHUNK = 4096


class Rows(Sequence[Example]):
    """Examples in a file, in an order of their own."""

    def __init__(self, chunks: "Sequence[_Chunk]", order: Sequence[int] | None = None) -> None:
        """Take pieces of files; `order` gives the rows of all of them by number."""
        self.chunks = chunks
        self._ends = list(accumulate(len(chunk) for chunk in chunks))
        self.order = range(self._ends[-1] if chunks else 0) if order is None else order

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Example | Rows":
        if isinstance(index, slice):
            return Rows(self.chunks, self.order[index])
        place = self.order[index]
        number = bisect_right(self._ends, place)
        chunk = self.chunks[number]
        return chunk.example(place - (self._ends[number] - len(chunk)))

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def picked(self, order: Sequence[int]) -> "Rows":
        """Return the rows of these numbers, in this order."""
        return Rows(self.chunks, array("q", (self.order[index] for index in order)))


def spooled(examples: Iterable[Example]) -> Rows:
    """Write examples into a file that vanishes with the last use of it, and return them.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    arrow, _ = pyarrow()
    return _spooled(
        arrow.RecordBatch.from_pydict(columns(some), schema=schema()) for some in chunked(examples)
    )


def from_parquet(path: Path) -> Rows:
    """Return the examples of a parquet file.

    Raises:
        DataError: the file is damaged, or not one of examples.
    """
    arrow, parquet = pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            names = [*LISTS, *WORDS]
            batches = file.iter_batches(ROWS_PER_CHUNK, columns=names)
            return _spooled(_with_shown(batch).cast(schema()) for batch in batches)
    except (arrow.ArrowException, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a file of examples: {error}.") from error


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of any parquet file as plain values, whatever its columns are.

    Raises:
        DataError: the file is missing or damaged.
    """
    arrow, parquet = pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_PER_CHUNK):
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {error}.") from error


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several sequences, one behind the other."""
    chunks: list[_Chunk] = []
    order = array("q")
    for part in parts:
        start = sum(map(len, chunks))
        chunks += part.chunks
        order.extend(start + place for place in part.order)
    return Rows(chunks, order)


def columns(examples: Sequence[Example]) -> dict[str, list[Any]]:
    """Return examples column by column."""
    return {name: [getattr(one, name) for one in examples] for name in (*LISTS, *WORDS)}


def chunked(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """Cut examples into lists of bounded length."""
    left = iter(examples)
    while some := list(islice(left, ROWS_PER_CHUNK)):
        yield some


def schema() -> Any:
    """Return the columns' kinds."""
    arrow, _ = pyarrow()
    numbers = [(name, arrow.list_(arrow.int32())) for name in LISTS]
    return arrow.schema([*numbers, *((name, arrow.string()) for name in WORDS)])


def pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its parquet module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            "Examples on disk need pyarrow: pip install 'activation-oracles[train]'."
        ) from error
    return pyarrow, pyarrow.parquet


def _with_shown(batch: Any) -> Any:
    """Say of examples from before any showed something else that they show a reading."""
    if "shown" in batch.schema.names:
        return batch
    arrow, _ = pyarrow()
    return batch.append_column("shown", arrow.array([READING] * len(batch), arrow.string()))


def _spooled(batches: Iterable[Any]) -> Rows:
    arrow, _ = pyarrow()
    with (
        in_temporary_files(),
        tempfile.NamedTemporaryFile(prefix="examples-", suffix=".arrow") as file,
    ):
        with arrow.ipc.new_file(file, schema()) as writer:
            for batch in batches:
                writer.write_batch(batch)
        file.flush()
        # Mapped before the name goes: the file itself stays for as long as it is mapped.
        held = arrow.ipc.open_file(arrow.memory_map(file.name))
        return Rows([_Chunk(held.get_batch(index)) for index in range(held.num_record_batches)])


class _Chunk:
    """Some rows of a mapped file. Views of its buffers: ten times faster than pyarrow's scalars."""

    def __init__(self, batch: Any) -> None:
        self._size = len(batch)
        self._lists = [np.frombuffer(batch[name].buffers()[1], np.int32) for name in LISTS]
        self._values = [np.frombuffer(batch[name].values.buffers()[1], np.int32) for name in LISTS]
        self._ends = [np.frombuffer(batch[name].buffers()[1], np.int32) for name in WORDS]
        self._bytes = [memoryview(batch[name].buffers()[2] or b"") for name in WORDS]

    def __len__(self) -> int:
        return self._size

    def example(self, row: int) -> Example:
        context, positions, layers = (
            tuple(values[ends[row] : ends[row + 1]].tolist())
            for ends, values in zip(self._lists, self._values, strict=True)
        )
        words = [
            str(held[ends[row] : ends[row + 1]], "utf-8")
            for ends, held in zip(self._ends, self._bytes, strict=True)
        ]
        return Example(context, positions, layers, *words)
