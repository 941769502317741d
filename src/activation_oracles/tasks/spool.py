"""Records by the hundred thousand: they lie in a file, and each is made when it is looked at.

Texts, rows and questions are kept as the examples made of them are (`tasks.rows`). What stays in
memory is eight bytes a record, its place in a mapped file that has no name any more.
"""

import json
import mmap
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import fields
from random import Random
from typing import TypeVar, overload

from activation_oracles.files import in_temporary_files

Record = TypeVar("Record")


class Spool(Sequence[Record]):
    """Records of one kind, in the order they came."""

    def __init__(self, kind: type[Record], records: Iterable[Record]) -> None:
        """Write records out; `kind` is a dataclass of texts, numbers, and tuples of them."""
        self._kind = kind
        self._ends = array("q", [0])
        names = [one.name for one in fields(kind)]  # pyright: ignore[reportArgumentType]
        with in_temporary_files(), tempfile.TemporaryFile(prefix="records-") as file:
            for record in records:
                line = json.dumps([getattr(record, name) for name in names]).encode()
                file.write(line)
                self._ends.append(self._ends[-1] + len(line))
            file.flush()
            # An empty file cannot be mapped.
            self._held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if len(self) else b""

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        place = range(len(self))[index]
        if isinstance(place, range):
            return [self[at] for at in place]
        values = json.loads(self._held[self._ends[place] : self._ends[place + 1]])
        return self._kind(*(tuple(one) if isinstance(one, list) else one for one in values))


def drawn(
    kind: type[Record], records: Sequence[Record], size: int | None, numbers: Random
) -> Sequence[Record]:
    """Return so many records, drawn; all of them where there are no more, or no size is given."""
    if size is None or size >= len(records):
        return records
    places = numbers.sample(range(len(records)), size)
    return Spool(kind, (records[at] for at in places))
