"""Answers on disk: a parquet file that any data frame opens, one row an answer."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.evaluation import Record
from activation_oracles.files import writing
from activation_oracles.tasks.rows import pyarrow
from activation_oracles.types import Example

_LISTS = ("context", "positions", "layers")
_SAID = ("who", "control", "text", "score")
_WORDS = ("question", "answer", "task", "source", "shown")


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write answers with their examples; `talk` is JSON, what only cases have is empty elsewhere.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: the file cannot be written.
    """
    arrow, parquet = pyarrow()
    ints = arrow.list_(arrow.int32())
    schema = arrow.schema(
        [
            *((name, arrow.string()) for name in ("task", "who", "control", "question", "answer")),
            *(("text", arrow.string()), ("score", arrow.float64())),
            *((name, arrow.string()) for name in ("subject", "unit", "source", "shown", "talk")),
            *((name, ints) for name in _LISTS),
        ]
    )
    rows = [_row(record) for record in records]
    table = arrow.Table.from_pydict(
        {name: [row[name] for row in rows] for name in schema.names}, schema=schema
    )
    with writing(path) as part:
        parquet.write_table(table, part, compression="zstd")


def read_records(path: Path) -> list[Record]:
    """Read answers that `write_records` wrote; examples with a subject or a talk become cases.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: the file is missing, or not one of answers.
    """
    arrow, parquet = pyarrow()
    try:
        rows: Iterable[Mapping[str, Any]] = parquet.read_table(path).to_pylist()
        return [_record(row) for row in rows]
    except (OSError, arrow.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a file of answers ({error}).") from error


def _row(record: Record) -> dict[str, Any]:
    example = record.example
    row = {one.name: getattr(example, one.name) for one in fields(example)}
    held = row | {name: getattr(record, name) for name in _SAID}
    is_case = isinstance(example, Case)
    held["talk"] = json.dumps(example.talk, ensure_ascii=False) if is_case else None
    return {"subject": None, "unit": None} | held


def _record(row: Mapping[str, Any]) -> Record:
    known: dict[str, Any] = {name: tuple(row[name]) for name in _LISTS}
    known |= {name: row[name] for name in _WORDS}
    if row["talk"] is None:
        example = Example(**known)
    else:
        talk = tuple((role, content) for role, content in json.loads(row["talk"]))
        example = Case(**known, subject=row["subject"], unit=row["unit"], talk=talk)
    return Record(example, **{name: row[name] for name in _SAID})
