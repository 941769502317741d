"""Grids of training runs, as a report is given them: the table that `ao grid` leaves in its folder.

Settings are set side by side by their held-out figures. Where several seeds share a setting, its
interval is over runs; where there is one run, that of its accuracy is over its held-out answers,
which says nothing of other seeds, and is named so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from activation_oracles.errors import DataError
from activation_oracles.evals.report.runs import holds_runs, names
from activation_oracles.statistics import wilson

TABLE = "table.json"
SEED = "seed"


class Figure(BaseModel):
    """A held-out figure's mean over runs."""

    model_config = ConfigDict(frozen=True)

    mean: float
    low: float | None
    """Lower end of its 95 % interval; None where there is none."""
    high: float | None
    num_runs: int


class Row(BaseModel):
    """One setting's figures on one task."""

    model_config = ConfigDict(frozen=True)

    settings: Mapping[str, Any]
    """What is varied, the seed aside, by dotted name."""
    task: str | None
    """None for the mean over tasks."""
    loss: Figure | None
    accuracy: Figure | None


class HeldOut(BaseModel):
    """One run's answers to one task's held-out questions."""

    model_config = ConfigDict(frozen=True)

    accuracy: float | None
    num_answers: int


class TrainingRun(BaseModel):
    """How one run of a grid stands."""

    model_config = ConfigDict(frozen=True)

    name: str
    settings: Mapping[str, Any]
    error: str | None
    """Why it failed, where it did."""
    held_out: Mapping[str, HeldOut] | None
    """None where it is not finished."""


class Table(BaseModel):
    """What stands in a grid's `table.json`."""

    model_config = ConfigDict(frozen=True)

    order_by: str
    rows: tuple[Row, ...]
    runs: tuple[TrainingRun, ...]


@dataclass(frozen=True)
class Grid:
    """A grid of training runs, its settings in order, the best first."""

    name: str
    table: Table

    @property
    def settings(self) -> tuple[str, ...]:
        """What is varied, the seed aside."""
        return tuple(self.table.rows[0].settings) if self.table.rows else ()

    @property
    def tasks(self) -> tuple[str | None, ...]:
        """The tasks, behind their mean (None) where there are several."""
        found = tuple(dict.fromkeys(row.task for row in self.table.rows))
        return found if len(found) > 2 else tuple(task for task in found if task is not None)

    def rows(self, task: str | None) -> list[Row]:
        """Return the settings' figures on a task, each accuracy with the interval that it has."""
        return [self._with_interval(row) for row in self.table.rows if row.task == task]

    def values(self, setting: str) -> list[Any]:
        """Return a setting's values, in the order in which they were given."""
        found = [run.settings.get(setting) for run in self.table.runs]
        return [value for place, value in enumerate(found) if value not in found[:place]]

    def _with_interval(self, row: Row) -> Row:
        one = row.accuracy
        if one is None or one.low is not None or row.task is None:
            return row
        for run in self.table.runs:
            held = (run.held_out or {}).get(row.task)
            own = {name: value for name, value in run.settings.items() if name != SEED}
            if held is None or held.accuracy is None or own != row.settings:
                continue
            right = round(held.accuracy * held.num_answers)
            low, high = wilson(right, held.num_answers)
            accuracy = one.model_copy(update={"low": low, "high": high})
            return row.model_copy(update={"accuracy": accuracy})
        return row


def read_grids(folders: Sequence[Path]) -> list[Grid]:
    """Read the grids among folders, and in folders of several.

    Raises:
        DataError: a grid is named twice, or its table is damaged.
    """
    places = [place for folder in folders for place in _places(folder)]
    whole = [place.resolve() for place in places]
    if len(set(whole)) < len(whole):
        raise DataError(f"A grid is named twice among {', '.join(map(str, places))}.")
    tables = [_table(place / TABLE) for place in places]
    return [Grid(*one) for one in zip(names(whole), tables, strict=True)]


def is_only_grids(folder: Path) -> bool:
    """Say whether a folder holds grids and no answers to evaluations."""
    return bool(_places(folder)) and not holds_runs(folder)


def _places(folder: Path) -> list[Path]:
    if _is_grid(folder):
        return [folder]
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    return [one for one in below if _is_grid(one)]


def _is_grid(folder: Path) -> bool:
    # An evaluation writes a file of that name, too, and beside it its answers or its settings.
    path = folder / TABLE
    try:
        held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError):
        return False
    return isinstance(held, dict) and "order_by" in held


def _table(path: Path) -> Table:
    try:
        return Table.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DataError(
            f"{path} is not the table of a grid ({why}). Write it again with the same `ao grid` "
            "command: finished runs are left alone."
        ) from error
