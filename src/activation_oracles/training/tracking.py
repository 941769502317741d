"""Trackers: the figures of metrics.jsonl, sent to a dashboard as well, through accelerate.

Off by default. metrics.jsonl stays the record; a tracker is a copy of it, and decides nothing. Only
the first of several processes speaks to one.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import (
    GeneralTracker,
    TensorBoardTracker,
    TrackioTracker,
    WandBTracker,
)

from activation_oracles.errors import ConfigError
from activation_oracles.tasks.settings import Settings

PROJECT = "activation-oracles"
KINDS: dict[str, type[GeneralTracker]] = {
    "tensorboard": TensorBoardTracker,
    "trackio": TrackioTracker,
    "wandb": WandBTracker,
}
"""By name, which is also the package it needs and the extra that installs it."""

Tell = Callable[[int, Mapping[str, Any]], None]
"""Takes a step and its figures, nested or flat."""


def check_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker that is not known or not installed.

    Raises:
        ConfigError: which, and how to install it.
    """
    for name in names:
        if name not in KINDS:
            raise ConfigError(f"There is no tracker {name!r}. Trackers are {', '.join(KINDS)}.")
        if find_spec(name) is None:
            raise ConfigError(
                f"The tracker {name!r} is not installed: pip install 'activation-oracles[{name}]'."
            )


@contextmanager
def tracking(names: Sequence[str], settings: Settings, folder: Path, step: int) -> Generator[Tell]:
    """Open trackers, yield what figures are told to, and close them however the scope ends.

    Args:
        names: which ones; none is fine.
        settings: of the run, shown beside its figures.
        folder: the run's own; its name is the run's, and files are written below it.
        step: where the run goes on from. What tensorboard was told of later steps is withdrawn.

    Raises:
        ConfigError: a tracker is not known or not installed.
    """
    check_trackers(names)
    with ExitStack() as scope:
        opened: list[GeneralTracker] = []
        if PartialState().is_main_process:
            opened = [_opened(name, folder, step) for name in dict.fromkeys(names)]
        for one in opened:
            scope.callback(one.finish)
            one.store_init_configuration(_plain(settings.model_dump(mode="json")))

        def tell(step: int, figures: Mapping[str, Any]) -> None:
            numbers = {name: one for name, one in flat(figures).items() if one is not None}
            for one in opened:
                one.log(numbers, step=step)

        yield tell


def flat(figures: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested figures by their path, as `held_out/classification/loss`."""
    found: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}/")
        else:
            found[f"{above}{name}"] = value
    return found


def _opened(name: str, folder: Path, step: int) -> GeneralTracker:
    run = folder.resolve().name
    if name == "tensorboard":
        # Its steps are drawn as they come, so a resumed run would be drawn over itself.
        kept = {"purge_step": step + 1} if step else {}
        tracker: GeneralTracker = TensorBoardTracker("tensorboard", folder, **kept)
    elif name == "wandb":
        folder.mkdir(parents=True, exist_ok=True)
        tracker = WandBTracker(PROJECT, name=run, dir=str(folder))
    else:
        tracker = TrackioTracker(PROJECT, name=run)
    tracker.start()
    return tracker


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as every tracker takes them: words for what is neither number nor word."""
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in flat(settings).items()
    }
