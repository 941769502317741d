"""Answers on disk are the answers."""

from dataclasses import replace

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.records import read_records, write_records
from activation_oracles.types import Example

ROW = {"context": (1, 2, 3), "positions": (1, 2), "layers": (4,), "question": "Which?"}
EXAMPLE = Example(**ROW, answer="red", task="colour", source="text/1")
CASE = Case(
    **ROW,
    answer="moon",
    task="taboo",
    source="prompt/1",
    subject="taboo_moon",
    unit="moon",
    talk=(("user", 'a "quoted"\nline\u2028é'), ("assistant", "")),
)


def test_answers_survive_the_disk(tmp_path):
    records = [
        Record(EXAMPLE, "a\u2028b", 0.25, "oracle", None),
        Record(CASE, "", None, "oracle", "nothing"),
        Record(replace(CASE, talk=()), "moon", 1.0, "oracle", "donor"),
        Record(replace(EXAMPLE, context=(), positions=(0,), shown="nothing"), "x", 0.0, "w", None),
    ]
    write_records(tmp_path / "some.parquet", records)
    assert read_records(tmp_path / "some.parquet") == records


def test_a_case_is_another_row_than_the_same_question_of_another_subject():
    assert replace(CASE, subject="") != CASE
    assert len({CASE, replace(CASE, subject=""), replace(CASE)}) == 2


def test_what_is_not_a_file_of_answers_is_named(tmp_path):
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    for name in ("torn.parquet", "missing.parquet"):
        with pytest.raises(DataError, match=name):
            read_records(tmp_path / name)
