"""The published mixture: its sizes, its sides, its defects on request, and what is missing."""

import json
import shutil
from collections import Counter, defaultdict

import pytest
import yaml

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks import store
from activation_oracles.tasks.asking import YES_NO
from activation_oracles.tasks.build import build
from activation_oracles.tasks.config import DataConfig
from activation_oracles.tasks.corpora import DRAWN
from activation_oracles.tasks.published import FAMILIES, HELD_OUT, TRAINED, published_mixture

SCALE = 0.005
GROUPS = {f"classification/{group}" for group in TRAINED}


@pytest.fixture(scope="module")
def make(sources, tiny_tokenizer, tmp_path_factory):
    """Return a function that builds the mixture from small files, with other settings."""

    def made(**settings):
        config = published_mixture(copies="copies", **{"scale": SCALE, **settings})
        out = tmp_path_factory.mktemp("built")
        return build(config, out, tiny_tokenizer, 4, root=sources)

    return made


@pytest.fixture(scope="module")
def built(make):
    return make(families=(*FAMILIES, "held_out_classification"))


@pytest.fixture(scope="module")
def paper(make):
    return make(compat="paper")


@pytest.fixture(scope="module")
def examples(built):
    return {split: list(store.read(built, split)) for split in store.SPLITS}


@pytest.fixture(scope="module")
def paper_examples(paper):
    return {split: list(store.read(paper, split)) for split in store.SPLITS}


def counts(folder, split):
    return store.read_manifest(folder)["splits"][split]["tasks"]


def test_the_whole_mixture_has_the_published_sizes():
    expected = {task.name: task.expects for task in published_mixture().tasks}
    assert expected.pop("latentqa") == 64_840
    assert expected.pop("context_prediction") == 2 * 100_000 * 3
    assert expected == dict.fromkeys(GROUPS, 54_000)
    assert sum(expected.values()) == 378_000


def test_what_is_built_has_the_published_sizes_at_scale(built):
    train, held_out = counts(built, "train"), counts(built, "held_out")
    assert {train[name] for name in GROUPS} == {270}
    assert train["latentqa"] + held_out["latentqa"] == 324
    assert 2700 < train["context_prediction"] + held_out["context_prediction"] <= 3000
    assert set(train) == {*GROUPS, "latentqa", "context_prediction"}
    assert set(held_out) >= {f"classification/{group}" for group in HELD_OUT}


def test_published_examples_are_made_the_same_again(built, make):
    again = make(families=(*FAMILIES, "held_out_classification"))
    assert store.fingerprint(again) == store.fingerprint(built)
    assert (again / DRAWN).read_bytes() == (built / DRAWN).read_bytes()
    other = make(families=("latentqa",), seed=1)
    assert store.fingerprint(other) != store.fingerprint(make(families=("latentqa",)))


def test_every_group_answers_yes_as_often_as_no(examples):
    answers = defaultdict(Counter)
    for split in store.SPLITS:
        for one in examples[split]:
            if one.task.startswith("classification/"):
                assert one.question.startswith(YES_NO)
                answers[one.task, split][one.answer] += 1
    assert len(answers) >= len(TRAINED)
    assert all(set(count) <= {"Yes", "No"} for count in answers.values())
    assert all(count["Yes"] == count["No"] for count in answers.values())


def test_no_text_is_on_both_sides_in_any_window(examples):
    sides = {split: defaultdict(set) for split in store.SPLITS}
    for split in store.SPLITS:
        for one in examples[split]:
            # Context prediction cuts its texts behind what is shown.
            whole = one.source if one.task == "context_prediction" else one.context
            sides[split][one.task].add(whole)
    for task, texts in sides["train"].items():
        assert not texts & sides["held_out"][task], task
    shown = {len(one.positions) == 1 for one in examples["train"]}
    assert shown == {True, False}


def test_a_behaviour_is_on_one_side_in_all_files(examples):
    answers = {
        split: {one.answer for one in examples[split] if one.answer.startswith("goal-")}
        for split in store.SPLITS
    }
    assert all(answers.values())
    assert not answers["train"] & answers["held_out"]


def test_what_was_drawn_is_recorded_by_turns(built):
    lines = [json.loads(line) for line in (built / DRAWN).read_text().splitlines()]
    assert len(lines) == 500
    web, chats = (
        "HuggingFaceFW/fineweb:train (local copy)",
        "lmsys/lmsys-chat-1m:train (local copy)",
    )
    assert [line["source"] for line in lines] == [web, chats] * 250
    assert [line["row"] for line in lines[::2]] == list(range(1, 251))
    recorded = store.read_manifest(built)["sources"]
    assert recorded[web].startswith("250 rows ")
    assert recorded["stanfordnlp/sst2:validation (local copy)"].startswith("150 rows ")
    assert "datasets/classification_datasets/paraphrases/question.json" in recorded


def test_settings_survive_a_file(tmp_path):
    config = published_mixture(copies="copies", compat="paper")
    config.save(tmp_path / "data.yaml")
    assert DataConfig.load(tmp_path / "data.yaml") == config
    assert yaml.safe_load((tmp_path / "data.yaml").read_text())["seed"] == 42


def test_a_family_left_out_is_not_there():
    names = {task.name for task in published_mixture(families=("classification",)).tasks}
    assert names == GROUPS


@pytest.mark.parametrize("settings", [{"scale": 0}, {"scale": 2}, {"families": ()}])
def test_impossible_mixtures_are_refused(settings):
    with pytest.raises(ConfigError, match="scale is in"):
        published_mixture(**settings)


@pytest.mark.parametrize(
    ("absent", "lost", "how"),
    [
        ("datasets/latentqa_datasets/train/control.json", "324 examples of latentqa", "git clone"),
        ("datasets/classification_datasets/ner/ner.csv", "270 examples of classific", "git clone"),
        ("datasets/classification_datasets/relations", "270 examples of classific", "git clone"),
        ("copies/lmsys/lmsys-chat-1m", "3,000 examples of context", "hf download lmsys/lmsys"),
        ("copies/facebook/md_gender_bias/funpedia/test", "270 examples", "--repo-type dataset"),
    ],
)
def test_a_missing_source_is_named_with_what_it_costs_and_how_to_get_it(
    sources, tiny_tokenizer, tmp_path, absent, lost, how
):
    shutil.copytree(sources, tmp_path / "copy")
    place = tmp_path / "copy" / absent
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    config = published_mixture(copies="copies", scale=SCALE)
    with pytest.raises(DataError) as caught:
        build(config, tmp_path / "out", tiny_tokenizer, 4, root=tmp_path / "copy")
    message = str(caught.value)
    assert all(part in message for part in (absent.partition("/funpedia")[0], lost, how))
    assert "\n" not in message
    assert message.count("It would have made") == 1
    assert not (tmp_path / "out").exists()


def test_without_a_connection_every_hub_source_is_named(sources, tiny_tokenizer, tmp_path):
    config = published_mixture(scale=SCALE)
    with pytest.raises(DataError) as caught:
        build(config, tmp_path / "out", tiny_tokenizer, 4, root=sources)
    for repo in ("fineweb", "lmsys-chat-1m", "sst2", "snli", "md_gender_bias"):
        assert f"/{repo} cannot be read" in str(caught.value)
    assert "accept its terms at https://huggingface.co/datasets/lmsys" in str(caught.value)


def test_as_in_the_paper_texts_begin_with_the_end_of_a_turn(
    examples, paper_examples, tiny_tokenizer
):
    def first(found):
        kept = [one for one in found["train"] if one.task == "context_prediction"]
        return {one.context[0] for one in kept if "fineweb" in one.source}

    end = tiny_tokenizer.eos_token_id
    assert first(paper_examples) == {end}
    assert end not in first(examples)


def test_as_in_the_paper_passes_have_sides_of_their_own(examples, paper_examples, paper):
    def sides(found):
        return [
            {one.context for one in found[split] if one.task == "classification/tense"}
            for split in store.SPLITS
        ]

    assert set.intersection(*sides(paper_examples))
    assert not set.intersection(*sides(examples))
    assert {counts(paper, "train")[name] for name in GROUPS} == {270}
    assert set(counts(paper, "held_out")) == GROUPS
    assert counts(paper, "train")["latentqa"] == 324
