"""What an oracle scored, as its card holds it: each score with n, interval and controls.

`held_out` is what training leaves: shares of exact answers, with no control beside them.
`evaluated` is the table of `ao eval`, taken over as that command wrote it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.statistics import wilson

TABLE = "table.json"
MIN_CONTROLS = 2
BLIND = "no activations"
"""The control of an answerer that sees the question alone."""
Key = tuple[str, str | None]
"""Who answered, and under which control."""


class Interval(BaseModel):
    """A mean with its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    score: float
    low: float
    high: float
    num_answers: int
    num_units: int
    """Texts, words or persons that the answers are about: what is resampled."""

    def __str__(self) -> str:
        return f"{self.score:.2f} ({self.low:.2f} to {self.high:.2f})"


class Row(BaseModel):
    """One answerer on one task."""

    task: str
    who: str
    control: str | None
    estimate: Interval | None
    chance: float


class Gain(BaseModel):
    """How much better one answerer did than another, on the same rows."""

    task: str
    who: str
    control: str | None
    other: str
    other_control: str | None
    gain: Interval


class Evaluated(BaseModel):
    """The table of `ao eval`."""

    rows: tuple[Row, ...]
    gains: tuple[Gain, ...]


@dataclass(frozen=True)
class HeldOut:
    """A task's figures at the end of training."""

    task: str
    exact: Interval | None
    """Share of exact answers; None where answers are too long to be compared."""
    num_examples: int
    loss: float

    def in_words(self) -> str:
        """Return the figures in one line."""
        if self.exact is None:
            return f"{self.task}: loss {self.loss:.2f}, n {self.num_examples}"
        return (
            f"{self.task}: {self.exact} of exact answers, n {self.exact.num_answers}, "
            f"loss {self.loss:.2f}; no controls"
        )


@dataclass(frozen=True)
class Line:
    """One task's score with everything that stands beside it."""

    task: str
    who: str
    score: Interval
    controls: Mapping[str, Interval | None]
    """The same answerer shown something else."""
    others: Mapping[str, Interval | None]
    """Who answers the same questions otherwise."""
    chance: float

    def in_words(self) -> str:
        """Return the score and what stands beside it, in one line."""
        beside = [f"{name} {one or '-'}" for name, one in {**self.controls, **self.others}.items()]
        return (
            f"{self.task}, {self.who}: {self.score}, n {self.score.num_answers} on "
            f"{self.score.num_units} texts; {'; '.join(beside)}; chance {self.chance:.2f}"
        )


def held_out(scores: Mapping[str, Any]) -> list[HeldOut]:
    """Return what a card says of held-out examples, task by task.

    Raises:
        ConfigError: it does not hold it as `ao train` writes it.
    """
    found: list[HeldOut] = []
    try:
        for task, one in scores.get("held_out", {}).items():
            accuracy, n = one["accuracy"], int(one["num_answers"])
            exact = None if accuracy is None or n == 0 else _share(float(accuracy), n)
            found.append(HeldOut(task, exact, int(one["num_examples"]), float(one["loss"])))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"The card's held-out scores are not as `ao train` writes them ({error!r})."
        ) from error
    return found


def evaluated(scores: Mapping[str, Any]) -> list[Line]:
    """Return the evaluation that a card holds, one line for each task and way of asking.

    Raises:
        ConfigError: it does not hold it as `ao eval` writes it.
    """
    found = _evaluation(scores)
    by_task: dict[str, dict[Key, Row]] = defaultdict(dict)
    for row in found.rows:
        by_task[row.task][row.who, row.control] = row
    lines: list[Line] = []
    for task, rows in by_task.items():
        asked = {who for who, control in rows if control is not None and (who, None) in rows}
        others = {_named(key): row.estimate for key, row in rows.items() if key[0] not in asked}
        for who in dict.fromkeys(who for who, _ in rows if who in asked):
            own = rows[who, None]
            controls = {
                control: row.estimate
                for (name, control), row in rows.items()
                if name == who and control is not None
            }
            if own.estimate is not None:
                lines.append(Line(task, who, own.estimate, controls, others, own.chance))
    return lines


def unproven(scores: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the tasks on which an oracle is not shown to beat a control, and which ones.

    Controls are its own, and whoever saw the question alone. Not shown: the 95 % interval of the
    paired difference includes 0.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for one in _evaluation(scores).gains:
        is_own = one.other == one.who and one.other_control is not None
        if (is_own or one.other_control == BLIND) and one.gain.low <= 0:
            found[one.task].append(str(one.other_control) if is_own else one.other)
    return dict(found)


def load_evaluation(folder: str | Path) -> dict[str, Any]:
    """Read the table that `ao eval --out` wrote, to be kept in a card.

    Raises:
        DataError: there is none, or a task has a score without two controls beside it.
    """
    path = Path(folder) / TABLE
    try:
        table = Evaluated.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is not a table of scores ({error}). Make one with `ao eval --out {folder}`."
        ) from error
    kept = table.model_dump(mode="json")
    lines = evaluated({"evaluated": kept})
    bare = sorted({row.task for row in table.rows} - {one.task for one in lines})
    bare += [one.task for one in lines if len(one.controls) < MIN_CONTROLS]
    if bare or not lines:
        raise DataError(
            f"{path} has no score with {MIN_CONTROLS} controls beside it for {bare or 'any task'}; "
            "a score alone does not tell what was read from what was guessed."
        )
    return kept


def _evaluation(scores: Mapping[str, Any]) -> Evaluated:
    try:
        return Evaluated.model_validate(scores.get("evaluated", {"rows": (), "gains": ()}))
    except ValidationError as error:
        raise ConfigError(
            f"The card's evaluation is not as `ao eval` writes it: {error}"
        ) from error


def _named(key: Key) -> str:
    who, control = key
    return who if control in (None, BLIND) else f"{who} ({control})"


def _share(accuracy: float, num_answers: int) -> Interval:
    """Return a share of right answers with Wilson's interval, as if answers were independent."""
    low, high = wilson(round(accuracy * num_answers), num_answers)
    return Interval(
        score=accuracy, low=low, high=high, num_answers=num_answers, num_units=num_answers
    )
