"""Subjects stand in a file, each with what it hides."""

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.subjects import load_subjects


def test_subjects_are_read_with_their_adapters_beside_the_file(tmp_path):
    (tmp_path / "moon").mkdir()
    path = tmp_path / "subjects.yaml"
    path.write_text(
        "- {name: a, kind: taboo, adapter: moon, hides: {word: moon}}\n"
        "- {name: b, kind: gender, adapter: who/knows, hides: {gender: Male}}\n"
    )
    first, second = load_subjects(path)
    assert (first.adapter, first.hidden("word")) == (str(tmp_path / "moon"), "moon")
    assert (second.adapter, second.kind) == ("who/knows", "gender")
    with pytest.raises(DataError, match=r"'a'.*no 'gender'"):
        first.hidden("gender")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: a, kind: taboo}", "adapter"),
        ("- {name: a, kind: t, adapter: x, hide: {}}", "hide"),
        ("- {name: a, kind: t, adapter: x}\n- {name: a, kind: t, adapter: y}", "more than one"),
        ("a: [", "not a list of subjects"),
    ],
)
def test_a_malformed_file_is_named(tmp_path, text, message):
    path = tmp_path / "subjects.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_subjects(path)
    with pytest.raises(DataError, match=r"none\.yaml"):
        load_subjects(tmp_path / "none.yaml")
