"""`ao grid`: training runs over a grid of settings, and their table.

The settings that all runs share are those of `ao train`; what is varied comes from `--set`.
"""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
import yaml

from activation_oracles.cli.train import IN_FILES, overrides, typed
from activation_oracles.errors import ConfigError
from activation_oracles.training.config import TrainConfig, merged

if TYPE_CHECKING:
    from activation_oracles.training.grid import Grid as Plan
    from activation_oracles.training.grid import Planned

Shared = overrides(TrainConfig, (*IN_FILES, "output", "resume"))
EXAMPLE = "--set learning_rate 1e-4,5e-4 --set seed 1,2,3"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Train an oracle for every combination of some settings, and tell how each did.

    Each run is an ordinary `ao train` in a folder of its own. The same command goes on with a grid
    that was stopped: finished runs are left alone. A run that fails does not lose the others; the
    exit code is then 1.
    """

    output: str
    """Folder for the runs and their table (table.json, table.md)."""
    config: str | None = None
    """YAML file with `base`, the settings that all runs share, and `grid`, values by name."""
    vary: Annotated[
        tuple[tuple[str, str], ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(name="set", metavar="NAME VALUES"),
    ] = ()
    """A setting and its values, with commas between; may be given several times. Any setting of
    `ao train` by its dotted name; `recipe` and what belongs to one."""
    order_by: str = "loss"
    """What the table is ordered by: loss, accuracy, or one task's, as accuracy/TASK."""
    launch: str | None = None
    """Launcher for each run, as "torchrun --nproc-per-node 4"."""
    only: int | None = None
    """Do this run alone, counted from 1 as listed by --dry-run: for the tasks of a job array."""
    dry_run: bool = False
    """Check and list the runs, and do nothing else."""
    json: bool = False
    """Print the table as JSON."""
    settings: Annotated[Shared, tyro.conf.arg(name="")] = field(  # pyright: ignore
        default_factory=Shared
    )

    def run(self) -> None:
        """Run what is not finished, with its bars on stderr, and print the table."""
        from activation_oracles.statistics import over_runs
        from activation_oracles.training.grid import plan
        from activation_oracles.training.ranking import check_order, rank, save
        from activation_oracles.training.running import (
            StoppedGridError,
            in_own_process,
            look,
            run_all,
        )

        check_order(self.order_by)
        runs = plan(self.resolved(), self.output)
        if self.dry_run:
            for number, run in enumerate(runs, start=1):
                print(f"{number}  {run.name}")
            return
        start = partial(in_own_process, self._command(), _say)
        try:
            outcomes = look(runs, run_all(self._chosen(runs), start, _announced))
        except StoppedGridError as stop:
            print(f"ao grid: {stop}", file=sys.stderr)
            raise SystemExit(128 + stop.number) from stop
        ranking = rank(outcomes, self.order_by, over_runs)
        save(ranking, Path(self.output))
        print(ranking.as_json() if self.json else ranking.as_markdown())
        if any(one.error for one in outcomes):
            raise SystemExit(1)

    def resolved(self) -> "Plan":
        """Return the file's grid with what was typed laid over it."""
        from activation_oracles.training.grid import Grid as Plan

        below = Plan.load_values(self.config) if self.config else {}
        shared = typed(self.settings)
        varied = {name: _values(name, text) for name, text in self.vary}
        if len(varied) < len(self.vary):
            raise ConfigError(f"A setting is varied twice: {[name for name, _ in self.vary]}.")
        base = merged(below.get("base") or {}, shared)
        if shared.get("data"):
            base.pop("mixture", None)
        found = Plan(**{**below, "base": base, "grid": {**(below.get("grid") or {}), **varied}})
        if not found.grid:
            raise ConfigError(f"Nothing is varied. Name settings and their values: {EXAMPLE}")
        return found

    def _chosen(self, runs: "tuple[Planned, ...]") -> "tuple[Planned, ...]":
        if self.only is None:
            return runs
        if not 1 <= self.only <= len(runs):
            raise ConfigError(f"The grid has runs 1 to {len(runs)}, got only {self.only}.")
        return (runs[self.only - 1],)

    def _command(self) -> list[str]:
        launcher = [sys.executable] if self.launch is None else shlex.split(self.launch)
        return [*launcher, "-m", "activation_oracles.cli", "train"]


def _values(name: str, text: str) -> list[Any]:
    """Return the values that stand in a text, read as a YAML list without its brackets."""
    try:
        return list(yaml.safe_load(f"[{text}]"))
    except yaml.YAMLError as error:
        raise ConfigError(
            f"The values of {name} cannot be read: {text!r}. Expected commas between them: "
            f"{EXAMPLE}"
        ) from error


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _announced(runs: "Iterable[Planned]") -> "Iterable[Planned]":
    some = list(runs)
    for number, run in enumerate(some, start=1):
        print(f"ao grid: run {number} of {len(some)}, {run.name}", file=sys.stderr)
        yield run
