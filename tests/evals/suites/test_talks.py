"""Rows of talks say what they hold, or what is wrong with them."""

import json
import re
from pathlib import Path

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.suites.talks import Choice, Problem, Told, read_talks

PROBLEM = {"messages": "Is it big?", "marker": "so", "choices": ["yes", "no"]}
TOLD = {
    "messages": [
        {"role": "user", "content": "Ida likes soup."},
        {"role": "assistant", "content": "Good to know."},
        {"role": "user", "content": "How are you?"},
    ],
    "question": "What does Ida like?",
    "answer": "soup",
    "turn": 0,
}
CHOICE = {"messages": "What is 2 + 2?", "tools": ["add"]}


def test_rows_are_lines_of_json_or_a_list_in_yaml(tmp_path):
    (tmp_path / "problems.jsonl").write_text(f"{json.dumps(PROBLEM)}\n" * 2)
    (tmp_path / "dialogues.yaml").write_text(f"- {json.dumps(TOLD)}\n")
    (tmp_path / "tools.json").write_text(json.dumps([CHOICE]))
    first, second = read_talks(tmp_path, "problems", Problem)
    assert first.talk == (("user", "Is it big?"),)
    assert (first.source, second.source) == ("problems.jsonl:1", "problems.jsonl:2")
    (told,) = read_talks(tmp_path, "dialogues", Told)
    assert (told.group, told.source) == ("told", "dialogues.yaml:1")
    (choice,) = read_talks(tmp_path, "tools", Choice)
    assert choice.tools == ("add",)


@pytest.mark.parametrize(
    ("noun", "row", "message"),
    [
        (Problem, PROBLEM | {"choices": ["yes"]}, "choices"),
        (Problem, PROBLEM | {"answer": "perhaps"}, "none of the choices"),
        (Problem, PROBLEM | {"messages": []}, "messages"),
        (Problem, PROBLEM | {"wrong": 1}, "It has the fields messages, source, marker"),
        (Told, TOLD | {"turn": 2}, "not before the last"),
        (Told, TOLD | {"turn": 1}, "has to stand in message 1 and in no other"),
        (Told, TOLD | {"answer": "you"}, "has to stand in message 0 and in no other"),
        (Choice, CHOICE | {"replies": {"no": ["No"]}}, "either `tools` or `replies`"),
        (Choice, {"messages": "Hello"}, "either `tools` or `replies`"),
        (Choice, ["no object"], "no row of this kind"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path, noun, row, message):
    (tmp_path / "rows.yaml").write_text(f"- {json.dumps(row)}\n")
    with pytest.raises(DataError, match=r"rows\.yaml:1 is no row") as caught:
        read_talks(tmp_path, "rows", noun)
    assert message in str(caught.value)


def test_files_that_are_missing_or_empty_are_named(tmp_path):
    for files in (None, tmp_path):
        with pytest.raises(DataError, match=r"a folder that holds problems\.jsonl"):
            read_talks(files, "problems", Problem)
    for text, message in (("[]", "holds no"), ("a: 1", "no list|not a list"), ("[", "not YAML")):
        (tmp_path / "problems.yaml").write_text(text)
        with pytest.raises(DataError, match=message):
            read_talks(tmp_path, "problems", Problem)


def test_the_documents_rows_are_rows(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    block = page.partition("```yaml\n# problems.yaml")[2].partition("```")[0]
    nouns = {"problems": Problem, "dialogues": Told, "tools": Choice, "decisions": Choice}
    parts = re.split(r"# (\w+)\.yaml.*\n", f"# problems.yaml{block}")[1:]
    assert parts[::2] == list(nouns)
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        assert len(read_talks(tmp_path, name, nouns[name])) == 1
