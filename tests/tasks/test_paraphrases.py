"""A question is asked in other words, and those kept for evaluation are never trained on."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

import pytest
import yaml

from activation_oracles.cli.main import main
from activation_oracles.errors import DataError
from activation_oracles.tasks import store
from activation_oracles.tasks.asking import YES_NO
from activation_oracles.tasks.context import FUTURE, PAST
from activation_oracles.tasks.paraphrases import Paraphrased, Wordings, read_wordings
from activation_oracles.types import Example

STORY = "The old mill stands by the river, and the miller sings on day {}."


@dataclass(frozen=True)
class Fixed:
    """A task of given questions."""

    questions: tuple[str, ...]
    name: str = "fixed"

    def examples(self, split, *, seed):
        for number in range(200):
            question = self.questions[number % len(self.questions)]
            yield Example((1, 2), (1,), (1,), question, "Yes", self.name, f"{split}:{number}")


FILE = {
    "Is it red?": [
        "Red?",
        "Has it the colour red?",
        "Would you call it red?",
        "Is red its colour?",
    ],
    "Can you say {} words?": ["Say {} words, can you?", "Are {} words something you can say?"],
}
QUESTIONS = (YES_NO + "Is it red?", "Can you say 7 words?", "Can you say 12 words?")


@pytest.fixture
def make(tmp_path):
    (tmp_path / "wordings.json").write_text(json.dumps({"mine": FILE}))

    def make(questions=QUESTIONS, held_out=0.25, **fields):
        wordings = read_wordings("wordings.json#mine", tmp_path, held_out)
        return Paraphrased(Fixed(questions), wordings, "wordings.json", **fields)

    return make


def plain(question):
    """Return a question as it stands in the file."""
    return re.sub(r"\d+", "{}", question.removeprefix(YES_NO))


def test_training_asks_in_training_wordings_only_and_keeps_all_else(make):
    task = make()
    allowed = {one.question: set(one.training) for one in task.wordings}
    found = defaultdict(Counter)
    own = list(Fixed(QUESTIONS).examples("train", seed=1))
    for before, after in zip(own, task.examples("train", seed=1), strict=True):
        assert replace(after, question=before.question) == before
        assert after.question.startswith(YES_NO) == before.question.startswith(YES_NO)
        assert re.findall(r"\d+", after.question) == re.findall(r"\d+", before.question)
        found[plain(before.question)][plain(after.question)] += 1
    assert {question: set(counts) for question, counts in found.items()} == allowed
    assert min(min(counts.values()) for counts in found.values()) > 5


def test_held_out_examples_are_asked_in_their_own_words_and_in_unseen_ones(make):
    task = make(times=2, held_out=0.5)
    unseen = {one.question: set(one.held_out) for one in task.wordings}
    training = {wording for one in task.wordings for wording in one.training}
    groups = defaultdict(list)
    for one in task.examples("held_out", seed=1):
        groups[one.source].append(one)
    for first, *others in groups.values():
        assert first.task == "fixed"
        assert first.question in QUESTIONS
        wordings = [plain(one.question) for one in others]
        assert len(set(wordings)) == len(wordings) == min(2, len(unseen[plain(first.question)]))
        assert set(wordings) <= unseen[plain(first.question)]
        assert not set(wordings) & training
        for one in others:
            assert one == replace(first, question=one.question, task="fixed/reworded")


def test_what_is_kept_is_decided_by_the_words_and_at_least_one(tmp_path):
    for share, kept in ((0.0, 0), (0.1, 1), (0.5, 2)):
        (tmp_path / "a.json").write_text(json.dumps(FILE))
        one = read_wordings("a.json", tmp_path, share)[0]
        (tmp_path / "a.json").write_text(json.dumps({"Is it red?": FILE["Is it red?"][::-1]}))
        other = read_wordings("a.json", tmp_path, share)[0]
        assert set(one.held_out) == set(other.held_out)
        assert len(one.held_out) == kept
        assert {*one.training, *one.held_out} == {"Is it red?", *FILE["Is it red?"]}


def test_the_same_seed_makes_the_same_and_another_does_not(make):
    for split in ("train", "held_out"):
        first = list(make(held_out=0.5).examples(split, seed=1))
        assert first == list(make(held_out=0.5).examples(split, seed=1))
    assert list(make().examples("train", seed=1)) != list(make().examples("train", seed=2))


def test_a_question_without_other_wordings_is_named_or_kept(make):
    more = (*QUESTIONS, "Who is it?")
    with pytest.raises(DataError, match=r"fixed asks 'Who is it\?', for which wordings\.json"):
        list(make(more).examples("train", seed=1))
    kept = list(make(more, covers_all=False).examples("train", seed=1))
    assert sum(one.question == "Who is it?" for one in kept) == 50


def test_a_file_for_other_questions_is_refused(make):
    with pytest.raises(DataError, match="none of which fixed asks"):
        list(make(("Who is it?",), covers_all=False).examples("train", seed=1))


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"a": []}', '{"a": "b"}', '{"a": [""]}', '{"a": {"b": ["c"]}}']
)
def test_another_form_is_refused(tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(DataError, match=r"bad\.json is no object from questions"):
        read_wordings("bad.json", tmp_path, 0.2)


def test_a_gap_that_a_wording_lacks_is_named():
    with pytest.raises(DataError, match="'Say some words'"):
        Wordings("Can you say {} words?", ("Can you say {} words?", "Say some words"), ())


def test_a_mixture_is_built_with_them(tmp_path, tiny_model, capsys):
    (tmp_path / "stories.txt").write_text("\n\n".join(STORY.format(n) * 2 for n in range(60)))
    wordings = {
        PAST: ["Which {} tokens stood before this?", "What were the last {} tokens?"],
        FUTURE: ["Which {} tokens follow?", "What are the {} tokens behind this?"],
    }
    (tmp_path / "wordings.json").write_text(json.dumps(wordings))
    task = {
        "kind": "context_prediction",
        "files": ["stories.txt"],
        "max_wanted": 4,
        "paraphrases": "wordings.json",
    }
    config = {"held_out": 0.3, "tasks": [task]}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(config))
    names = {"--config": tmp_path / "data.yaml", "--model": tiny_model, "--out": tmp_path / "out"}
    assert main(["data", "build", *(str(word) for pair in names.items() for word in pair)]) == 0
    manifest = store.read_manifest(tmp_path / "out")
    assert "wordings.json" in manifest["sources"]
    held_out = manifest["splits"]["held_out"]["tasks"]
    assert held_out["context_prediction"] == held_out["context_prediction/reworded"] > 0
    asked = {
        split: {plain(one.question) for one in store.read(tmp_path / "out", split)}
        for split in store.SPLITS
    }
    assert len(asked["train"]) == 4
    assert len(asked["held_out"] - asked["train"]) == 2
    (tmp_path / "wordings.json").unlink()
    assert (
        main(
            [
                "data",
                "build",
                *(str(word) for pair in names.items() for word in pair),
                "--overwrite",
            ]
        )
        == 2
    )
    assert "wordings.json cannot be read" in capsys.readouterr().err
