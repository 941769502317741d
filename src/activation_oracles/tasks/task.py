"""What a task is, how tasks are mixed, and on which side of a split a text falls.

The side is a property of the text's content, never of its index: adding, dropping or shuffling
rows moves nothing else, and every window of one text and every question about it stays on one side.
"""

import hashlib
import random
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, get_args, runtime_checkable

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks.rows import Rows, joined, spooled
from activation_oracles.types import Example

Split = Literal["train", "held_out"]
SPLITS: tuple[Split, ...] = get_args(Split)


@runtime_checkable
class Task(Protocol):
    """Anything that turns a source into examples: the same examples for the same seed."""

    @property
    def name(self) -> str:
        """What each example's `task` is, as `context_prediction`, or begins with."""
        ...

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield the examples of one side of the split, in an order that `seed` alone decides."""
        ...


def split_of(text: str, held_out_fraction: float, salt: str = "") -> Split:
    """Say on which side a text falls: by a hash of its content, case and spacing aside.

    Args:
        text: the whole text, before any cut.
        held_out_fraction: share of all texts that is held out, in [0, 1).
        salt: another salt gives another, independent split.

    Raises:
        ConfigError: the fraction is not in [0, 1).
    """
    if not 0 <= held_out_fraction < 1:
        raise ConfigError(f"held_out_fraction is a share in [0, 1), got {held_out_fraction}.")
    return "held_out" if share_of(text, salt) < held_out_fraction else "train"


def share_of(text: str, salt: str = "") -> float:
    """Return a text's place in [0, 1): below a share that is held out, it is."""
    content = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    digest = hashlib.blake2b(content.encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big") / 2**64


def random_for(seed: int, *names: str) -> random.Random:
    """Return random numbers of their own for one purpose, so that no draw disturbs another."""
    digest = hashlib.blake2b("\0".join((str(seed), *names)).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def mix(
    tasks: Sequence[Task],
    weights: Sequence[float] | None = None,
    *,
    split: Split,
    seed: int,
    num_examples: int | None = None,
) -> Rows:
    """Return examples of several tasks, shuffled together; they lie on disk, not in memory.

    Args:
        tasks: what to mix.
        weights: share of each task in the mixture; None takes all that each task yields, which is
            what was published.
        split: which side of the split.
        seed: decides the examples, which of them are taken, and their order.
        num_examples: how many in all; None takes as many as the weights allow.

    Raises:
        ConfigError: weights do not fit the tasks.
        DataError: a task yields nothing, or fewer examples than its share.
    """
    pools = [spooled(task.examples(split, seed=seed)) for task in tasks]
    sizes = _sizes([len(pool) for pool in pools], weights, num_examples)
    chosen: list[Rows] = []
    for task, pool, size in zip(tasks, pools, sizes, strict=True):
        if size > len(pool) or not (pool or split == "held_out"):
            raise DataError(
                f"Task {task.name!r} yields {len(pool)} {split} examples, {max(size, 1)} are "
                "wanted. Give it more text, or ask for fewer examples or another weight."
            )
        numbers = random_for(seed, "mix", split, task.name)
        chosen.append(pool.picked(numbers.sample(range(len(pool)), size)))
    order = array("q", range(sum(sizes)))
    random_for(seed, "mix", split).shuffle(order)
    return joined(chosen).picked(order)


def _sizes(
    available: Sequence[int], weights: Sequence[float] | None, num_examples: int | None
) -> list[int]:
    if weights is None:
        return list(available)
    if len(weights) != len(available) or min(weights, default=0) < 0 or sum(weights) <= 0:
        raise ConfigError(
            f"{len(available)} tasks need as many weights, none negative and not all zero, "
            f"got {list(weights)}."
        )
    shares = [weight / sum(weights) for weight in weights]
    if num_examples is None:
        num_examples = int(
            min(size / share for size, share in zip(available, shares, strict=True) if share)
        )
    return [round(share * num_examples) for share in shares]
