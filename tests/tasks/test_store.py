"""What goes to disk comes back, and what is not whole or not an example is refused."""

import json
from dataclasses import asdict, replace

import pytest

from activation_oracles.errors import DataError
from activation_oracles.tasks import store
from activation_oracles.types import Example

MANIFEST = store.Manifest(seed=1, command="ao data build", tokenizer="none")


def example(number: int) -> Example:
    return Example(
        context=tuple(range(number + 2)),
        positions=(0, number),
        layers=(1, 2),
        question="What is it? \u00e9",
        answer=f"{number}\n",
        task="counting" if number % 2 else "naming",
        source=f"text {number}",
    )


def test_what_is_written_is_read_back_in_order(tmp_path):
    examples = [example(number) for number in range(100)]
    store.write(tmp_path, {"train": examples, "held_out": examples[:3]}, MANIFEST)
    assert list(store.read(tmp_path, "train")) == examples
    assert list(store.read(tmp_path, "held_out")) == examples[:3]
    assert isinstance(store.read(tmp_path, "train")[0].context[0], int)


def test_the_same_examples_have_the_same_fingerprint_wherever_they_lie(tmp_path):
    here = store.write(tmp_path / "here", {"train": [example(3)]}, MANIFEST)
    there = store.write(tmp_path / "there", {"train": [example(3)]}, MANIFEST)
    other = store.write(tmp_path / "other", {"train": [example(4)]}, MANIFEST)
    assert store.fingerprint(here) == store.fingerprint(there) != store.fingerprint(other)


def test_the_manifest_counts_by_task_and_keeps_what_it_was_given(tmp_path):
    store.write(tmp_path, {"train": [example(number) for number in range(5)]}, MANIFEST)
    manifest = store.read_manifest(tmp_path)
    assert manifest["splits"]["train"]["tasks"] == {"counting": 2, "naming": 3}
    assert manifest["command"] == "ao data build"


def test_a_folder_without_held_out_examples_has_none(tmp_path):
    store.write(tmp_path, {"train": [example(1)]}, MANIFEST)
    assert list(store.read(tmp_path, "held_out")) == []


def test_a_changed_file_is_refused(tmp_path):
    store.write(tmp_path, {"train": [example(1)]}, MANIFEST)
    (tmp_path / "train.parquet").write_bytes(b"something else")
    with pytest.raises(DataError, match="manifest"):
        store.read(tmp_path, "train")


def test_a_folder_that_holds_no_examples_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no examples"):
        store.read(tmp_path, "train")


def test_no_training_examples_are_refused(tmp_path):
    with pytest.raises(DataError, match="Splits"):
        store.write(tmp_path, {"held_out": [example(1)]}, MANIFEST)


def test_json_lines_hold_every_example_on_exactly_one_side(tmp_path):
    examples = [example(number) for number in range(50)]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(asdict(one)) for one in examples) + "\n\n")
    sides = [store.read(path, side, held_out_fraction=0.3) for side in ("train", "held_out")]
    assert all(sides)
    assert sorted([*sides[0], *sides[1]], key=lambda one: len(one.context)) == examples


@pytest.mark.parametrize(
    "change",
    [
        {"positions": [9]},
        {"answer": 3},
        {"context": "abc"},
        {"positions": [0.5]},
        {"extra": 1},
        {"context": [5, -1, 7, 8]},
        {"context": [5, 2**31, 7, 8]},
        {"layers": [-1]},
        {"layers": [2**40]},
        {"question": "Is \ud83d here?"},
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path, change):
    path = tmp_path / "mine.jsonl"
    rows = [asdict(example(1)), {**asdict(example(2)), **change}]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(DataError, match=r"mine\.jsonl:2"):
        store.read(path, "train")


def own_parquet(path, rows):
    """Write rows as pandas might: its own kinds of columns, in any order."""
    import pyarrow
    import pyarrow.parquet

    names = sorted(rows[0])
    table = {name: [row[name] for row in rows] for name in names}
    pyarrow.parquet.write_table(pyarrow.Table.from_pydict(table), path)


def plain(one):
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(one).items()}


def test_a_parquet_file_of_ones_own_holds_the_same_examples_as_json_lines(tmp_path):
    rows = [plain(example(number)) for number in range(50)]
    own_parquet(tmp_path / "mine.parquet", rows)
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for side in ("train", "held_out"):
        found = store.read(tmp_path / "mine.parquet", side, held_out_fraction=0.3)
        assert list(found) == list(store.read(tmp_path / "mine.jsonl", side, held_out_fraction=0.3))
        assert found
    assert store.fingerprint(tmp_path / "mine.parquet")


@pytest.mark.parametrize(
    "change",
    [
        {"positions": [9]},
        {"answer": None},
        {"positions": None},
        {"shown": "a dream"},
        {"context": [-1]},
        {"layers": [2**40]},
    ],
)
def test_a_bad_row_is_named_by_its_number(tmp_path, change):
    rows = [plain(example(1)), plain(example(2)) | change]
    own_parquet(tmp_path / "mine.parquet", rows)
    with pytest.raises(DataError, match=r"mine\.parquet, row 2"):
        store.read(tmp_path / "mine.parquet", "train")


def test_a_file_that_is_no_parquet_or_is_missing_is_named(tmp_path):
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 not really")
    for name in ("mine.parquet", "none.parquet"):
        with pytest.raises(DataError, match=name):
            store.read(tmp_path / name, "train")


def test_examples_written_before_any_showed_a_stand_in_are_readings(tmp_path):
    import pyarrow.parquet

    examples = [example(number) for number in range(5)]
    path = store.write(tmp_path, {"train": examples}, MANIFEST) / "train.parquet"
    old = pyarrow.parquet.read_table(path).drop_columns("shown")
    pyarrow.parquet.write_table(old, path)
    manifest = store.read_manifest(tmp_path)
    manifest["splits"]["train"]["blake2b"] = store.hash_file(path)
    (tmp_path / store.MANIFEST).write_text(json.dumps(manifest))
    assert list(store.read(tmp_path, "train")) == examples
    lines = [{k: v for k, v in plain(one).items() if k != "shown"} for one in examples]
    (tmp_path / "old.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert list(store.read(tmp_path / "old.jsonl", "train", held_out_fraction=0)) == examples


def test_examples_without_a_text_come_back(tmp_path):
    examples = [replace(example(number), context=(), shown="nothing") for number in range(3)]
    store.write(tmp_path, {"train": examples}, MANIFEST)
    assert list(store.read(tmp_path, "train")) == examples


def test_a_full_disk_under_temporary_files_says_how_to_name_another(tmp_path, disk):
    from activation_oracles.tasks.spool import Spool

    examples = [example(number) for number in range(50)]
    store.write(tmp_path / "whole", {"train": examples}, MANIFEST)
    disk(2000)
    for use in (
        lambda: store.read(tmp_path / "whole", "train"),
        lambda: Spool(Example, examples),
    ):
        with pytest.raises(DataError, match=r"no room for temporary files.*TMPDIR"):
            use()


def test_a_disk_that_is_full_leaves_what_was_there_and_is_named(tmp_path, monkeypatch):
    store.write(tmp_path, {"train": [example(1)]}, MANIFEST)
    before = (tmp_path / "train.parquet").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.rows, "columns", full)
    with pytest.raises(
        DataError, match=r"train\.parquet cannot be written.*No space left.*make room"
    ):
        store.write(tmp_path, {"train": [example(2)]}, MANIFEST)
    assert (tmp_path / "train.parquet").read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["train.parquet"]
