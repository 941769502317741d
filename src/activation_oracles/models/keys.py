"""Which vector is which: a key for each, by the tokens up to its own and its layer.

What follows a token does not change its vector, so texts that begin alike share keys.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activation_oracles.types import Example

Keys = NDArray[np.uint64]
"""One row a vector: 128 bits, in two halves."""


def keys_of(examples: Sequence[Example]) -> tuple[list[int], Keys]:
    """Return how many vectors each example shows, and the keys of all of them, layer-major."""
    digests = [_digests(example) for example in examples]
    keys = np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2)
    return [len(some) // 16 for some in digests], keys


def _digests(example: Example) -> bytes:
    ids = np.array(example.context, dtype="<i8").tobytes()
    text, done = blake2b(digest_size=16), 0
    begun: dict[int, Any] = {}
    for position in sorted(set(example.positions)):
        text.update(ids[done : 8 * (position + 1)])
        done = 8 * (position + 1)
        begun[position] = text.copy()
    found = bytearray()
    for layer in example.layers:
        for position in example.positions:
            one = begun[position].copy()
            one.update(layer.to_bytes(8, "little"))
            found += one.digest()
    return bytes(found)


def distinct(keys: Keys) -> tuple[Keys, NDArray[np.int64], NDArray[np.int64]]:
    """Return keys once each, in the order they come, with where first; and each one's row there."""
    once, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.ascontiguousarray(once[order]), first[order], rank[inverse.reshape(-1)]


class Index:
    """Where each key lies: sorted runs in memory, 24 bytes a vector."""

    def __init__(self) -> None:
        self._runs: list[tuple[Keys, NDArray[np.int64]]] = []

    def __len__(self) -> int:
        return sum(len(places) for _, places in self._runs)

    def add(self, keys: Keys, places: NDArray[np.int64]) -> None:
        """Take in keys; one that is held already stays where it was found first."""
        # By columns, as each half is searched for itself.
        halves = np.ascontiguousarray(keys.T)
        # Each run at least twice the next: few to search, and a key is seldom moved.
        while self._runs and len(self._runs[-1][1]) < 2 * len(places):
            before, old = self._runs.pop()
            halves, places = np.hstack([before, halves]), np.hstack([old, places])
        order = np.argsort(halves[0], kind="stable")
        self._runs.append((np.ascontiguousarray(halves[:, order]), places[order]))

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Return where keys lie, -1 for those that are not held."""
        found = np.full(len(keys), -1, dtype=np.int64)
        for halves, places in self._runs:
            at = np.minimum(np.searchsorted(halves[0], keys[:, 0]), len(places) - 1)
            held = (found < 0) & (halves[0][at] == keys[:, 0]) & (halves[1][at] == keys[:, 1])
            found[held] = places[at[held]]
        return found
