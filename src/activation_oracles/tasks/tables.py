"""What a classification is made of, from its settings: labelled rows and questions about them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.tasks.asking import Questions
from activation_oracles.tasks.config import ClassificationConfig
from activation_oracles.tasks.sources import Row, read_json, read_rows
from activation_oracles.tasks.spool import Spool, drawn
from activation_oracles.tasks.task import random_for


def read_table(one: ClassificationConfig, seed: int, root: Path) -> Sequence[Row]:
    """Read the rows of all files, with the names of their labels.

    Raises:
        DataError: a file is missing or has another form, or no row has a label that is named.
    """
    files = (
        read_rows(root / name, one.text, one.label, header=one.header, encoding=one.encoding)
        for name in one.files
    )
    rows = Spool(Row, chain.from_iterable(files))
    if one.labels:
        unknown = sorted(set(one.labels) - {row.label for row in rows})
        if unknown:
            raise DataError(f"{one.name} names labels {unknown}, which no row of its files has.")
        named = (
            replace(row, label=one.labels[row.label]) for row in rows if row.label in one.labels
        )
        rows = Spool(Row, named)
    return drawn(Row, rows, one.max_rows, random_for(seed, one.name, "rows"))


def read_questions(one: ClassificationConfig, root: Path) -> Questions:
    """Return the questions of the settings, or those of the file that they name.

    Raises:
        DataError: the file is missing, or holds no questions there.
        ConfigError: there are none, or they do not say where the label goes.
    """
    wordings: Any = one.questions
    if one.questions_file:
        wordings = read_part(one.questions_file, root)
        if not _are_questions(wordings):
            raise DataError(
                f"{one.questions_file} is neither a list of questions, nor an object of such lists "
                "by label. Name the part to take behind a `#`, as `question.json#tense`."
            )
    if isinstance(wordings, dict):
        return Questions(by_label=wordings, open=one.open_questions)
    return Questions(about_label=wordings, open=one.open_questions)


def read_part(place: str, root: Path) -> Any:
    """Return what a JSON file holds, or its part behind a `#`, as `file.json#key/key`.

    Raises:
        DataError: the file is missing or not JSON.
    """
    name, _, key = place.partition("#")
    read = read_json(root / name)
    for part in key.split("/") if key else ():
        read = read.get(part) if isinstance(read, dict) else None
    return read


def _are_questions(read: object) -> bool:
    lists = list(read.values()) if isinstance(read, dict) else [read]
    return bool(lists) and all(
        isinstance(one, list) and bool(one) and all(isinstance(text, str) for text in one)
        for one in lists
    )
