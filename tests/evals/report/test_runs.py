"""Runs are found where they were left, and what is no run is named."""

import json

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.records import write_records
from activation_oracles.evals.report.runs import read_runs, readers
from sample_runs import answers, examples

pytest.importorskip("pyarrow")


def leave(folder, *, task="colour", about=None):
    """Leave what `ao eval` would, one file an answerer."""
    (folder / "answers").mkdir(parents=True)
    records = answers(examples(task=task), 0.7)
    for number, who in enumerate(dict.fromkeys((one.who, one.control) for one in records)):
        some = [one for one in records if (one.who, one.control) == who]
        # Files are read by name: the oracle's own answers come last.
        write_records(folder / "answers" / f"{9 - number}.parquet", some)
    (folder / "config.json").write_text(json.dumps(about or {"oracle": "mine"}))
    (folder / "table.json").write_text("{}")
    return folder


def test_a_run_is_what_an_evaluation_left(tmp_path):
    (one,) = read_runs([leave(tmp_path / "mine")])
    assert (one.name, one.about, one.is_finished) == ("mine", {"oracle": "mine"}, True)
    assert sorted(map(str, one.records)) == sorted(map(str, answers(examples(), 0.7)))


def test_who_reads_activations_comes_first_then_its_controls(tmp_path):
    (one,) = read_runs([leave(tmp_path / "mine")])
    order = list(dict.fromkeys((record.who, record.control) for record in one.records))
    assert order[:3] == [("oracle", None), ("oracle", "random"), ("oracle", "nothing")]
    assert readers(one.records) == ["oracle"]


def test_a_folder_of_runs_gives_them_all(tmp_path):
    for name in ("taboo", "gender"):
        leave(tmp_path / "judged" / name, task=name)
    (tmp_path / "judged" / "notes").mkdir()
    assert [one.name for one in read_runs([tmp_path / "judged"])] == ["gender", "taboo"]


def test_runs_are_named_by_as_much_of_their_path_as_tells_them_apart(tmp_path):
    places = [leave(tmp_path / name / "taboo") for name in ("old", "new")]
    assert [one.name for one in read_runs(places)] == ["old/taboo", "new/taboo"]


def test_a_run_over_depths_is_a_run(tmp_path):
    write_records(tmp_path / "answers.parquet", answers(examples(), 0.7))
    (tmp_path / "depth.json").write_text(json.dumps({"about": {"data": "d"}, "rows": []}))
    (one,) = read_runs([tmp_path])
    assert one.about == {"data": "d"}
    assert one.is_finished


def test_a_run_that_was_stopped_is_not_finished(tmp_path):
    (leave(tmp_path / "mine") / "table.json").unlink()
    (one,) = read_runs([tmp_path / "mine"])
    assert not one.is_finished


def test_what_is_no_run_is_named(tmp_path):
    mine = leave(tmp_path / "mine")
    for folders, message in (
        ([tmp_path / "none"], "none holds no answers"),
        ([mine / "answers"], "answers holds no answers"),
        ([mine, mine / ".." / "mine"], "named twice"),
    ):
        with pytest.raises(DataError, match=message):
            read_runs(folders)
    for text in ("{", "[1]", "null"):
        (mine / "config.json").write_text(text)
        with pytest.raises(DataError, match=r"config.json is damaged"):
            read_runs([mine])
