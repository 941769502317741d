"""In which order examples are learned from: a pure function of their lengths, the seed and epoch.

Examples are shuffled, cut into windows of some batches, sorted by length inside a window so that
batches need little padding, and the batches of a window shuffled again: the reference runs them
from long to short, which makes the loss saw-toothed and couples length to the schedule.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from activation_oracles.tasks.task import random_for
from activation_oracles.types import Example

Batch = list[int]
"""Indices of the examples in one optimizer step."""


def windows(
    lengths: Sequence[int], *, batch_size: int, window: int, seed: int, epoch: int
) -> list[list[Batch]]:
    """Return an epoch's batches, in windows; every example once, but for an incomplete batch.

    Args:
        lengths: of each example, in any unit: only their order matters.
        batch_size: examples in a batch.
        window: batches in a window; the last window may hold fewer.
        seed: with `epoch`, decides the order.
        epoch: counted from 0.
    """
    numbers = random_for(seed, "order", str(epoch))
    order = list(range(len(lengths)))
    numbers.shuffle(order)
    order = order[: len(order) - len(order) % batch_size]
    found = []
    for start in range(0, len(order), batch_size * window):
        group = sorted(order[start : start + batch_size * window], key=lengths.__getitem__)
        batches = [group[at : at + batch_size] for at in range(0, len(group), batch_size)]
        numbers.shuffle(batches)
        found.append(batches)
    return found


def lengths_of(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return how long each example's oracle sequence is, up to a constant."""
    texts = list(dict.fromkeys(text for one in examples for text in (one.question, one.answer)))
    tokens = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    length = {text: len(ids) for text, ids in zip(texts, tokens, strict=True)}  # pyright: ignore
    return [
        length[one.question] + length[one.answer] + len(one.layers) * len(one.positions)
        for one in examples
    ]
