"""How a run shows itself: a bar on stderr, with examples a second and the time that is left."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from accelerate import PartialState
from tqdm import tqdm


@dataclass(frozen=True)
class Step:
    """What a run reports after each optimizer step."""

    done: int
    """Steps done, those before a resume included."""
    num_steps: int
    """Steps in the whole run."""
    batch_size: int
    loss: float | None
    """Mean since it was last reported; None in between, as looking makes a device wait."""


def bar(steps: Iterable[Step]) -> Iterator[Step]:
    """Pass steps on and draw them; on the first of several processes alone."""
    drawn: tqdm | None = None
    try:
        for step in steps:
            if drawn is None:
                drawn = tqdm(
                    total=step.num_steps * step.batch_size,
                    initial=(step.done - 1) * step.batch_size,
                    unit=" examples",
                    disable=not PartialState().is_main_process,
                )
            drawn.update(step.batch_size)
            if step.loss is not None:
                drawn.set_postfix(step=f"{step.done}/{step.num_steps}", loss=f"{step.loss:.3f}")
            yield step
    finally:
        if drawn is not None:
            drawn.close()
