"""Run an evaluation into a folder: what was answered stays, and a run that was stopped goes on.

One file an answerer, whole or not there. A folder belongs to one run: other settings, another
oracle or other rows are refused, never mixed in.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.evaluation import Answerer, Record, check_answerers, judged
from activation_oracles.evals.grade import Grade
from activation_oracles.evals.records import read_records, write_records
from activation_oracles.files import claim
from activation_oracles.types import Example

ANSWERS = "answers"


@dataclass(frozen=True)
class Part:
    """Rows, who answers them, and what counts as right."""

    examples: Sequence[Example]
    answerers: Sequence[Answerer]
    grade: Grade | Mapping[str, Grade]
    """One rule for all, or one for each task."""


Progress = Callable[[Sequence[Answerer]], Iterable[Answerer]]


def answered(
    parts: Sequence[Part],
    *,
    folder: Path | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress = iter,
) -> list[Record]:
    """Put every part's rows to its answerers and judge what they say.

    Args:
        parts: rows with their answerers; among all answerers two at least are controls.
        folder: where answers are kept, and found again if the run was stopped; None keeps nothing.
        about: what decides the answers (oracle, data, seed ...): the folder's `config.json`.
        progress: wraps the answerers, to show how far the run is.

    Raises:
        ConfigError: fewer than two controls, two answerers of one name, a task without a rule, or
            a folder that holds another run.
        DataError: there are no rows, or a file in the folder is damaged.
    """
    for part in parts:
        check_answerers(part.answerers, min_controls=0)
    check_answerers([one for part in parts for one in part.answerers], are_distinct=False)
    if not any(part.examples for part in parts):
        raise DataError("There are no examples to evaluate. Is this split empty?")
    if folder is not None:
        claim(folder, dict(about or {}))
    # By identity: an answerer need not be hashable, and may serve two parts.
    part_of = {id(one): part for part in parts for one in part.answerers}
    number_of = {id(part): number for number, part in enumerate(parts)}
    records: list[Record] = []
    for answerer in progress([one for part in parts for one in part.answerers]):
        part = part_of[id(answerer)]
        path = None if folder is None else folder / ANSWERS / _name(number_of[id(part)], answerer)
        if path is not None and path.exists():
            records += _kept(path, part)
            continue
        said = judged(part.examples, answerer, part.grade)
        if path is not None:
            path.parent.mkdir(exist_ok=True)
            write_records(path, said)
        records += said
    return records


def kept(folder: Path) -> list[Record]:
    """Return every answer that a run left in its folder.

    Raises:
        DataError: there are none, or a file is damaged.
    """
    paths = sorted((folder / ANSWERS).glob("*.parquet"))
    if not paths:
        raise DataError(f"{folder} holds no answers: expected {ANSWERS}/*.parquet of `ao eval`.")
    return [record for path in paths for record in read_records(path)]


def _kept(path: Path, part: Part) -> list[Record]:
    found = read_records(path)
    if [one.example for one in found] != list(part.examples):
        raise ConfigError(
            f"{path} answers other questions than this run asks. Name another folder, or remove "
            "this one."
        )
    return found


def _name(number: int, answerer: Answerer) -> str:
    words = f"{answerer.name} {answerer.control or ''}"
    return f"{number}-{'-'.join(re.findall(r'[a-z0-9]+', words.casefold()))}.parquet"
