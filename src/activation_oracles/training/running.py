"""Run a grid: one run after another, each to its end; one that fails does not lose the others.

What is finished is left alone, and what was begun is gone on with, so the same call continues a
grid that was stopped. Runs in processes of their own share no memory, and one that dies, of
whatever, is one run less.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread
from typing import IO, Any

from activation_oracles.errors import ConfigError, OracleError
from activation_oracles.files import folder_at, naming_what_fails, writing
from activation_oracles.models.load import read_shape
from activation_oracles.oracle.card import FILE_NAME, Card
from activation_oracles.tasks import store
from activation_oracles.tasks.build import build
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.evaluate import HeldOutScore
from activation_oracles.training.grid import Planned
from activation_oracles.training.loop import train
from activation_oracles.training.stopping import Heard, StoppedError, listening

SECONDS_BETWEEN_LOOKS = 0.2
REMEMBERED = 8000
"""Characters of what a process said last, among which its error is looked for."""
COMMAND = "ao train: "
"""Begins the line by which the command names its error."""

Start = Callable[[TrainConfig], object]
"""Trains to the end, or raises an OracleError."""


@dataclass(frozen=True)
class Outcome:
    """How one run of a grid stands."""

    run: Planned
    scores: Mapping[str, HeldOutScore] | None
    """Its last held-out scores by task; None where it is not finished."""
    error: str | None = None
    """Why it failed, where it did."""


class StoppedGridError(OracleError):
    """A grid was told to end; what its runs did is saved."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        """Of the signal that it was told by."""
        super().__init__(
            f"stopped by {signal.Signals(number).name} in the run {name}, which is saved. The same "
            "command goes on."
        )


def run_all(
    runs: Iterable[Planned],
    start: Start = train,
    progress: Callable[[Iterable[Planned]], Iterable[Planned]] = iter,
) -> list[Outcome]:
    """Run what is not finished yet, and return how every run stands.

    Args:
        runs: what `plan` returned, or some of it.
        start: trains one; by default in this process.
        progress: draws the runs it passes on.

    Raises:
        StoppedError: a run in this process was told to end.
        StoppedGridError: the same, for one in a process of its own.
    """
    return [standing(run) or _run(run, start) for run in progress(runs)]


def look(runs: Sequence[Planned], done: Sequence[Outcome]) -> list[Outcome]:
    """Return how all runs of a grid stand, of which only some were run here."""
    known = {one.run.name: one for one in done}
    return [known.get(run.name) or standing(run) or Outcome(run, None) for run in runs]


def standing(run: Planned) -> Outcome | None:
    """Return how a finished run came out; None for one that is not finished."""
    folder = Path(run.config.output)
    if not (folder / FILE_NAME).exists():
        return None
    try:
        card = Card.load(str(folder))
    except ConfigError:
        # Killed while it wrote its card: it is written again.
        return None
    assert card is not None
    held: Mapping[str, Any] = card.scores.get("held_out", {})
    return Outcome(run, {task: HeldOutScore(**score) for task, score in held.items()})


def in_own_process(
    command: Sequence[str], say: Callable[[str], object], config: TrainConfig
) -> None:
    """Train in a process of its own, and hand on to it the signals that end this one.

    Its settings and all that it says on stderr lie beside its folder, as `NAME.yaml`, `NAME.log`.

    Args:
        command: runs `ao train`, perhaps through a launcher.
        say: is handed what the process says on stderr, as it comes.
        config: what to train.

    Raises:
        ConfigError: the launcher is not there.
        OracleError: it failed; the message is its own.
        StoppedGridError: this process was told to end, and the run was, too.
    """
    folder = Path(config.output)
    folder_at(folder.parent)
    settings, log = (folder.with_name(f"{folder.name}{kind}") for kind in (".yaml", ".log"))
    with writing(settings) as part:
        config.save(part)
    words = [*command, "--config", str(settings), "--resume"]
    said: list[str] = []
    with naming_what_fails(log):
        file = log.open("ab")
    with file, listening() as heard, _started(words) as process:
        assert process.stderr is not None
        listener = Thread(target=_listen, args=(process.stderr, file, say, said))
        listener.start()
        code = _ended(process, heard)
        listener.join()
    if number := heard():
        raise StoppedGridError(number, folder.name)
    if code:
        how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise OracleError(_last_words("".join(said)) or how)


@contextmanager
def _started(words: Sequence[str]) -> Generator[subprocess.Popen[bytes]]:
    if shutil.which(words[0]) is None:
        raise ConfigError(f"The launcher {words[0]!r} is no command here.")
    # In a session of its own, or a Ctrl-C in the terminal would reach it twice.
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            # With what it started: a launcher's workers would go on without it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ended(process: subprocess.Popen[bytes], heard: Heard) -> int:
    told = False
    while True:
        try:
            return process.wait(SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            if heard() and not told:
                process.terminate()
                told = True


def _listen(
    source: IO[bytes], log: IO[bytes], say: Callable[[str], object], said: list[str]
) -> None:
    """Hand on what a process says as it comes: a bar writes no line ends for hours."""
    while chunk := os.read(source.fileno(), 1 << 16):
        # Whoever did not read on would hold the run up; on a full disk it says so itself.
        with suppress(OSError):
            log.write(chunk)
            log.flush()
        text = chunk.decode("utf-8", errors="replace")
        say(text)
        said[:] = ["".join((*said, text))[-REMEMBERED:]]


def _last_words(said: str) -> str:
    lines = [line.strip() for line in re.split(r"[\r\n]", said) if line.strip()]
    named = [line.removeprefix(COMMAND) for line in lines if line.startswith(COMMAND)]
    return (named or lines or [""])[-1]


def _run(run: Planned, start: Start) -> Outcome:
    try:
        _make_data(run)
        start(run.config.model_copy(update={"resume": True}))
    except (StoppedError, StoppedGridError):
        raise
    except OracleError as error:
        return Outcome(run, None, " ".join(str(error).split()))
    found = standing(run)
    return found or Outcome(run, None, f"it left no {FILE_NAME} in {run.config.output}")


def _make_data(run: Planned) -> None:
    """Make the data that several runs share, unless they are there."""
    if run.mixture is None or (folder := Path(run.config.data[0])).exists():
        return
    folder_at(folder.parent)
    # Under a name of its own: the tasks of a job array may all begin here at once.
    part = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        shape = read_shape(run.config.model)
        build(run.mixture, part, *shape, command=f"ao grid --output {folder.parent}")
        if not (folder / store.MANIFEST).exists():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
