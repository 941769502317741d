"""In which order examples are learned from: a pure function of the data, the seed and the epoch.

Texts are shuffled, each with all that is asked of it, and cut into windows of some batches: a text
is then read once for all its questions. Inside a window examples are shuffled and sorted by length
so that batches need little padding, and the batches shuffled again: the reference runs them from
long to short, which makes the loss saw-toothed and couples length to the schedule.
"""

from collections.abc import Sequence
from itertools import chain

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
) -> list[list[Batch]]:
    """Return an epoch's batches, in windows; every example once, but for an incomplete batch.

    Args:
        lengths: of each example, in any unit: only their order matters.
        texts: for each example a number that those of one text share.
        batch_size: examples in a batch.
        window: batches in a window; the last window may hold fewer.
        seed: with `epoch`, decides the order.
        epoch: counted from 0.
    """
    numbers = random_for(seed, "order", str(epoch))
    by_text: dict[int, list[int]] = {}
    for index, text in enumerate(texts):
        by_text.setdefault(text, []).append(index)
    groups = list(by_text.values())
    numbers.shuffle(groups)
    order = list(chain.from_iterable(groups))
    order = order[: len(order) - len(order) % batch_size]
    found = []
    for start in range(0, len(order), batch_size * window):
        group = order[start : start + batch_size * window]
        # Before sorting: among equal lengths, questions about one text shall not stand together.
        numbers.shuffle(group)
        group.sort(key=lengths.__getitem__)
        batches = [group[at : at + batch_size] for at in range(0, len(group), batch_size)]
        numbers.shuffle(batches)
        found.append(batches)
    return found
