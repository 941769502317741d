"""What is written is whole or not there, files and folders alike."""

import pytest

from activation_oracles.errors import DataError
from activation_oracles.files import naming_what_fails, writing


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), writing(path) as part:  # noqa: PT012
        part.write_text("half")
        raise KeyError
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]


def test_a_folder_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "folder"
    with writing(path) as part:
        part.mkdir()
        (part / "one").write_text("1")
        assert not path.exists()
    assert [(one.name, one.read_text()) for one in path.iterdir()] == [("one", "1")]
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_what_a_disk_says_names_the_path_and_a_way_out(tmp_path):
    with pytest.raises(DataError, match=r"here cannot be written: .*full.*make room"):  # noqa: SIM117
        with naming_what_fails(tmp_path / "here"):
            raise OSError("full")
