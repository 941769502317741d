"""A run that is told to end, by SIGTERM or Ctrl-C, ends between two steps and saves before it does.

A signal is only noted, so that neither a step nor a checkpoint is cut in two. On several processes
it reaches one or all of them, each at its own moment: they agree at the end of each step.
"""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from accelerate import PartialState

from activation_oracles.errors import OracleError
from activation_oracles.training.prepare import SETTINGS

SIGNALS = (signal.SIGTERM, signal.SIGINT)
NOTICE = b"\nThe run saves and stops at the end of this step.\n"

Heard = Callable[[], int]
"""Returns the number of the signal that told this process to end, 0 where none did."""


class StoppedError(OracleError):
    """A run was told to end; all that it did is saved."""

    def __init__(self, number: int, done: int, num_steps: int, output: Path) -> None:
        self.number = number
        """Of the signal that it was told by."""
        super().__init__(
            f"stopped by {signal.Signals(number).name} after step {done} of {num_steps}, which is "
            f"saved. To go on: ao train --config {output / SETTINGS} --resume"
        )


@contextmanager
def listening() -> Generator[Heard]:
    """Note signals instead of dying of them inside the scope, where it is in the main thread.

    One that is ignored stays so. Where there is one process, a second Ctrl-C ends it at once; of
    several, launchers hand a Ctrl-C on that each has got from the terminal already.
    """
    heard: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        again = number == signal.SIGINT and signal.SIGINT in heard
        if again and PartialState().num_processes == 1:
            raise KeyboardInterrupt
        if not heard and PartialState().is_main_process:
            # Not through sys.stderr: it may be in the middle of a write, and cannot be entered.
            os.write(2, NOTICE)
        heard.append(number)

    before = {number: signal.getsignal(number) for number in SIGNALS} if _in_main_thread() else {}
    # None: set by a library that is not Python, and could not be put back.
    taken = {one: by for one, by in before.items() if by not in (signal.SIG_IGN, None)}
    try:
        for number in taken:
            signal.signal(number, note)
        yield lambda: heard[0] if heard else 0
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
