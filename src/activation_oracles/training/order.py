"""In which order examples are learned from: a pure function of the data, the seed and the epoch.

Texts are shuffled, each with all that is asked of it, and cut into windows of some batches: a text
is then read once for all its questions. Inside a window examples are shuffled and sorted by length
so that batches need little padding, and the batches shuffled again: the reference runs them from
long to short, which makes the loss saw-toothed and couples length to the schedule.
"""

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from activation_oracles.tasks.task import random_for

Batch = list[int]
"""Indices of the examples in one optimizer step."""


def windows(
    lengths: Sequence[int],
    texts: Sequence[int],
    *,
    batch_size: int,
    window: int,
    seed: int,
    epoch: int,
) -> Iterator[list[Batch]]:
    """Yield an epoch's batches by window; every example comes once, but for an incomplete batch.

    Args:
        lengths: of each example, in any unit: only their order matters.
        texts: for each example a number that those of one text share.
        batch_size: examples in a batch.
        window: batches in a window; the last window may hold fewer.
        seed: with `epoch`, decides the order.
        epoch: counted from 0.
    """
    numbers = random_for(seed, "order", str(epoch))
    groups = _by_first(texts)
    # Every text's place among the texts, drawn.
    places = array("q", range(int(groups.max(initial=-1)) + 1))
    numbers.shuffle(places)
    ranks = np.argsort(np.frombuffer(places, np.int64)) if places else groups
    order = np.argsort(ranks[groups], kind="stable")
    order = order[: len(order) - len(order) % batch_size]
    for start in range(0, len(order), batch_size * window):
        group = order[start : start + batch_size * window].tolist()
        # Before sorting: among equal lengths, questions about one text shall not stand together.
        numbers.shuffle(group)
        group.sort(key=lengths.__getitem__)
        batches = [group[at : at + batch_size] for at in range(0, len(group), batch_size)]
        numbers.shuffle(batches)
        yield batches


def _by_first(texts: Sequence[int]) -> NDArray[np.int64]:
    """Return each example's text as a number; texts are counted as they first come."""
    _, first, inverse = np.unique(
        np.asarray(texts, np.int64), return_index=True, return_inverse=True
    )
    return np.argsort(np.argsort(first))[inverse]
