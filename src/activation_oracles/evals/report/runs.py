"""Runs on disk, as a report is given them: what `ao eval` and `ao depth` leave in their folders."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.records import read_records
from activation_oracles.evals.running import ANSWERS, kept
from activation_oracles.files import CONFIG

_ALL_IN_ONE = "answers.parquet"
_FINISHED = ("table.json", "depth.json")
"""What a run writes last."""


@dataclass(frozen=True)
class Run:
    """Every answer of a run, and what it was a run of."""

    name: str
    """Its folder, with as much of the path as tells it from the others."""
    about: Mapping[str, Any]
    """Settings, and which models and data they were; empty where the run left none."""
    records: tuple[Record, ...]
    """Who reads activations comes first, then its controls, then everyone else."""
    is_finished: bool = True


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read runs from their folders; a folder of runs, as of several evaluations, gives them all.

    Raises:
        DataError: a folder holds no answers, is named twice, or a file in it is damaged.
    """
    places = [place for folder in folders for place in _places(folder)]
    whole = [place.resolve() for place in places]
    twice = sorted({str(place) for place in whole if whole.count(place) > 1})
    if twice:
        raise DataError(f"{', '.join(twice)} is named twice; a run is not compared with itself.")
    return [
        Run(
            name=name,
            about=_about(place),
            records=tuple(_ordered(_records(place))),
            is_finished=any((place / file).exists() for file in _FINISHED),
        )
        for name, place in zip(names(whole), places, strict=True)
    ]


def readers(records: Sequence[Record]) -> list[str]:
    """Return who reads activations: whoever has controls of its own."""
    answerers = dict.fromkeys((one.who, one.control) for one in records)
    controlled = {who for who, control in answerers if control is not None}
    return [who for who, control in answerers if control is None and who in controlled]


def holds_runs(folder: Path) -> bool:
    """Say whether a folder is a run of an evaluation, or holds some."""
    return bool(_found(folder))


def names(places: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that tell them apart."""
    for length in range(1, max((len(place.parts) for place in places), default=1)):
        ends = ["/".join(place.parts[-length:]) for place in places]
        if len(set(ends)) == len(ends):
            return ends
    return [str(place) for place in places]


def _found(folder: Path) -> list[Path]:
    if _holds_answers(folder):
        return [folder]
    below = sorted(folder.iterdir()) if folder.is_dir() else []
    return [one for one in below if _holds_answers(one)]


def _places(folder: Path) -> list[Path]:
    found = _found(folder)
    if not found:
        raise DataError(
            f"{folder} holds no answers. Expected what `ao eval --out`, `ao depth --out` or "
            "`ao grid` wrote, or a folder of several such."
        )
    return found


def _holds_answers(folder: Path) -> bool:
    return (folder / _ALL_IN_ONE).is_file() or any((folder / ANSWERS).glob("*.parquet"))


def _records(folder: Path) -> list[Record]:
    if (folder / _ALL_IN_ONE).is_file():
        return read_records(folder / _ALL_IN_ONE)
    return kept(folder)


def _about(folder: Path) -> dict[str, Any]:
    for path, is_part in ((folder / CONFIG, False), (folder / "depth.json", True)):
        if path.exists():
            try:
                held = json.loads(path.read_text(encoding="utf-8"))
                return dict(held["about"] if is_part else held)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path} is damaged ({error!r}): not the facts of a run."
                ) from error
    return {}


def _ordered(records: Sequence[Record]) -> list[Record]:
    """Return a reader's answers before its controls', and both before everyone else's."""
    answerers = list(dict.fromkeys((one.who, one.control) for one in records))
    # By name: `oracle` is the first of them, whatever file was read first.
    names = [*sorted(readers(records)), *(who for who, _ in answerers)]
    place = {
        key: (names.index(key[0]), key[1] is not None, number)
        for number, key in enumerate(answerers)
    }
    return sorted(records, key=lambda one: place[one.who, one.control])
