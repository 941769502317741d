"""`ao world build`: remake the embedded world, all of it or in parts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BuildWorld:
    """Remake the embedded world from nothing: base, organisms, oracles, scores.

    Takes up to three hours on two CPU cores. What lies finished in the folder is kept, and a part
    that was interrupted goes on where it stopped.
    """

    part: tuple[str, ...] = ()
    """Some of: tokenizer, base, organisms, tools, oracle, abstainer, confidence, scores. A part
    needs those before it; by default all."""
    again: bool = False
    """Make the parts anew, even where they are finished."""
    out: str = "world"
    """Folder for the result, as `ao demo --world` reads it."""
    processes: int = 2
    """How many share the work, one thread each. What is made does not depend on it, but for the
    rounding of sums."""

    def run(self) -> None:
        """Print the folder; progress goes to stderr."""
        from activation_oracles.world.build import ALL, build

        folder = Path(self.out)
        build(
            folder,
            self.part or ALL,
            progress=bar,
            again=self.again,
            processes=self.processes,
        )
        print(folder)


def bar(steps: Iterator[Any], title: str, total: int) -> Iterable[Any]:
    """Draw steps as a progress bar on stderr."""
    from tqdm import tqdm

    return tqdm(steps, desc=title, total=total)
