"""What cannot be answered looks like what can, but for the vectors, and lies on the same side."""

import json
from collections import Counter

import pytest
import yaml

from activation_oracles.cli.main import main
from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks import store
from activation_oracles.tasks.config import UnanswerableConfig
from activation_oracles.tasks.context import ContextPrediction
from activation_oracles.tasks.nulls import Unanswerable
from activation_oracles.tasks.sources import Document
from activation_oracles.tasks.task import Task, split_of
from activation_oracles.tasks.windows import Layers
from activation_oracles.types import READING

QUESTIONS = ("Which word is kept secret?", "Who is lying?")
EVEN = {"nothing": 1.0, "random": 1.0, "mean": 1.0, "absent": 1.0}
STORY = "The old mill stands by the river, and the miller sings to the moon on day {}."


@pytest.fixture(scope="module")
def other(tiny_tokenizer) -> Task:
    documents = [Document(STORY.format(number) * 2, f"story:{number}") for number in range(60)]
    return ContextPrediction(
        documents, tiny_tokenizer, Layers((1, 2)), max_wanted=4, held_out_fraction=0.2
    )


@pytest.fixture(scope="module")
def make(other, tiny_tokenizer):
    """Return a maker of the task, whose texts are others than those of its neighbour."""
    documents = [Document(f"{number} green apples. " * 3, f"list:{number}") for number in range(40)]

    def make(**fields) -> Unanswerable:
        plain = {"asked": [other], "documents": documents, "questions": QUESTIONS, "kinds": EVEN}
        rest = {"tokenizer": tiny_tokenizer, "layers": Layers((1, 3)), "held_out_fraction": 0.2}
        return Unanswerable(**(plain | rest | fields))

    return make


def looks(example):
    """Return all that an oracle sees of an example, but for its vectors, and where it is from."""
    return example.question, example.layers, len(example.positions), example.source


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_stand_in_has_the_question_layers_slots_and_side_of_an_answerable_example(
    make, other, split
):
    places = {looks(one) for one in other.examples(split, seed=1)}
    found = list(
        make(documents=(), kinds={"nothing": 1, "random": 2, "mean": 1}).examples(split, seed=1)
    )
    assert found
    for one in found:
        assert looks(one) in places
        assert one.answer == "I cannot tell."
        assert one.context == ()
        assert one.task == f"unanswerable/{one.shown}"


def test_absent_examples_are_readings_of_the_texts_near_their_end(make, tiny_tokenizer):
    found = list(make(asked=(), kinds={"absent": 1}, share=1.0).examples("train", seed=1))
    assert {one.question for one in found} == set(QUESTIONS)
    for one in found:
        number = int(one.source.removeprefix("list:"))
        assert tiny_tokenizer.decode(one.context) == f"{number} green apples. " * 3
        assert one.shown == READING
        assert len(one.context) - one.positions[-1] <= 5


def test_kinds_have_their_shares_of_so_many_for_each_example(make, other):
    num_places = sum(1 for _ in other.examples("train", seed=1))
    num_places += sum(
        1 for _ in make(asked=(), kinds={"absent": 1}, share=1.0).examples("train", seed=1)
    )
    kinds = {"nothing": 2.0, "random": 1.0, "mean": 0.0, "absent": 1.0}
    counts = Counter(one.task for one in make(kinds=kinds, share=0.4).examples("train", seed=1))
    assert counts == {
        "unanswerable/nothing": round(0.2 * num_places),
        "unanswerable/random": round(0.1 * num_places),
        "unanswerable/absent": round(0.1 * num_places),
    }


def test_no_text_is_on_both_sides_and_the_same_seed_makes_the_same(make):
    sides = {side: list(make().examples(side, seed=3)) for side in ("train", "held_out")}
    assert not {one.source for one in sides["train"]} & {one.source for one in sides["held_out"]}
    for side, found in sides.items():
        for one in found:
            kind, number = one.source.split(":")
            text = STORY.format(number) * 2 if kind == "story" else f"{number} green apples. " * 3
            assert split_of(text, 0.2) == side
        assert list(make().examples(side, seed=3)) == found != list(make().examples(side, seed=4))


def test_too_few_texts_for_a_share_are_refused_in_training_alone(make):
    greedy = make(kinds={"nothing": 1, "absent": 9}, share=1.0)
    with pytest.raises(DataError, match=r"kind 'absent' to train on and can make"):
        list(greedy.examples("train", seed=1))
    assert any(one.task == "unanswerable/absent" for one in greedy.examples("held_out", seed=1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kinds": {"absent": 1}}, "needs `files`"),
        ({"kinds": {"nothing": 0}}, "not all 0"),
        ({"kinds": {"nothing": -1, "mean": 2}}, "none negative"),
        ({"kinds": {"empty": 1}}, "kinds"),
        ({"questions": ["Who?"]}, "go together"),
        ({"questions": [""], "files": ["a.txt"]}, "no question is empty"),
        ({"answer": ""}, "answer"),
    ],
)
def test_settings_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        UnanswerableConfig(kind="unanswerable", **fields)


@pytest.fixture
def folder(tmp_path):
    stories = [STORY.format(number) * 3 for number in range(40)]
    (tmp_path / "stories.txt").write_text("\n\n".join(stories))
    lists = [{"text": f"{number} green apples"} for number in range(30)]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, lists)))
    return tmp_path


def built(folder, model, **fields):
    null = {"kind": "unanswerable", "files": ["lists.jsonl"], "questions": list(QUESTIONS)}
    texts = {"kind": "context_prediction", "files": ["stories.txt"], "max_wanted": 4}
    config = {"held_out": 0.2, "tasks": [null | fields, texts]}
    (folder / "data.yaml").write_text(yaml.safe_dump(config))
    names = {"--config": folder / "data.yaml", "--model": model, "--out": folder / "out"}
    return main(["data", "build", *(str(word) for pair in names.items() for word in pair)])


def test_a_mixture_with_them_is_built_from_one_file(folder, tiny_model, capsys):
    assert built(folder, tiny_model, answer="No idea.") == 0
    manifest = store.read_manifest(folder / "out")
    kinds = {f"unanswerable/{kind}" for kind in EVEN}
    assert set(manifest["splits"]["train"]["tasks"]) == kinds | {"context_prediction"}
    assert "lists.jsonl" in manifest["sources"]
    for one in store.read(folder / "out", "train"):
        assert (one.answer == "No idea.") == one.task.startswith("unanswerable")
        assert (one.shown == READING) == one.task.endswith(("absent", "prediction"))


def test_a_task_that_is_not_in_the_mixture_is_named(folder, tiny_model, capsys):
    assert built(folder, tiny_model, of=["classification/sst2"]) == 2
    assert "['classification/sst2']" in capsys.readouterr().err
