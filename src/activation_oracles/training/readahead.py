"""What the loop learns from: windows of batches, read together ahead of the optimizer.

A window's distinct texts run once through the bare target; its batches then come one by one, each
laid out beforehand.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, tee

import torch
from torch import Tensor

from activation_oracles.errors import MismatchError
from activation_oracles.training.ahead import Ahead
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.noise import noised
from activation_oracles.training.parts import Share, lay_out, share_of
from activation_oracles.training.prepare import Run
from activation_oracles.training.words import Aims, aims

Vectors = Mapping[int, Tensor | None]
"""What each example is shown, by its index; None for nothing."""


@dataclass(frozen=True, eq=False)
class Readings:
    """What the bare target was read for, ahead of some steps."""

    vectors: Vectors
    words: Aims
    """What slots are held to, where they are."""


AHEAD = 8
"""Batches that are laid out before they are needed."""


def depth(config: TrainConfig, device: torch.device) -> int:
    """Return how many batches a thread lays out ahead: as set, else none on a CPU."""
    if config.ahead is not None:
        return config.ahead
    return 0 if device.type == "cpu" else AHEAD


def shares(run: Run, done: int, ahead: Ahead) -> Generator[tuple[Share, Readings]]:
    """Yield this process's share of each batch after the first `done`, and what was read for it.

    A window that was begun before a resume is read whole again: texts read in other company are
    padded otherwise, and their vectors would differ in the last bit. While a window is learned from
    the adapter stays switched on: to switch it walks through all layers of a model.
    """
    here, before = tee(_windows(run, done))
    left = chain.from_iterable(window[skip:] for window, skip, _ in before)
    laid = ahead(partial(lay_out, run), islice(left, run.num_steps - done))
    for window, skip, start in here:
        indices = [index for batch in window for index in share_of(batch)]
        found = read(run, indices, window=start)
        with run.oracle.model.training(run.oracle.adapter):
            for share in islice(laid, len(window) - skip):
                yield share, found


def read(run: Run, indices: Sequence[int], *, window: int = 0) -> Readings:
    """Return what examples show, and what some of them are held to.

    Args:
        run: the run.
        indices: the examples.
        window: where the window begins that they belong to, in batches.

    Raises:
        MismatchError: some of it is not finite; asked here, once for many, as a device must wait.
    """
    examples = [run.examples[index] for index in indices]
    vectors = run.slots.vectors(examples)
    given = {number: shown for number, shown in enumerate(vectors) if shown is not None}
    sound = torch.stack([one.isfinite().all() for one in given.values()]).tolist() if given else []
    if not all(sound):
        wrong = examples[list(given)[sound.index(False)]]
        raise MismatchError(
            f"What the example of task {wrong.task!r} from {wrong.source} shows ({wrong.shown}) "
            "holds NaN or infinity. Check where it comes from: fp16 overflows, and own vectors are "
            "taken as they are."
        )
    shown: dict[int, Tensor | None] = {}
    for index, example, one in zip(indices, examples, vectors, strict=True):
        if one is not None:
            one = noised(run.config, example, one, index=index, window=window)
        shown[index] = one
    return Readings(shown, aims(run, indices))


def _windows(run: Run, done: int) -> Iterator[tuple[list[list[int]], int, int]]:
    """Yield the windows that are not all behind the first `done` batches, how many of their batches
    are, and how many batches come before them."""
    number = 0
    for epoch in range(run.config.epochs):
        for window in run.windows(epoch):
            start, number = number, number + len(window)
            if start < run.num_steps and number > done:
                yield window, max(0, done - start), start
