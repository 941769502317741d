"""What is asked about a feature is true of its line, and its vector is its row of the decoder."""

import json
import re

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from activation_oracles.cli.main import main
from activation_oracles.errors import DataError
from activation_oracles.tasks import store
from activation_oracles.tasks.features import GIVE, SaeFeatures, read_decoder, read_features
from activation_oracles.types import own_row

NUM_FEATURES, WIDTH = 24, 32


def line(number: int) -> dict:
    """Return what is known of a feature; the lines stand in another order than the rows."""
    return {
        "feature": (number * 7) % NUM_FEATURES,
        "explanation": f"mentions of {number} boats",
        "questions": [
            {"question": "Is this about boats?", "answer": "Yes"},
            {"question": "Is this about law?", "answer": "No"},
        ],
        "examples": [f"{number} boats, {n} oars." for n in range(number % 8)]
        if number % 8 != 1
        else [],
    }


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def decoder():
    return torch.randn(NUM_FEATURES, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path, decoder):
    """Return a folder with a decoder, its explanations and a config."""
    save_file({"W_dec": decoder, "b_dec": torch.zeros(WIDTH)}, tmp_path / "sae.safetensors")
    write(tmp_path / "explained.jsonl", [line(number) for number in range(20)])
    task = {
        "kind": "sae_features",
        "decoder": "sae.safetensors",
        "tensor": "W_dec",
        "explanations": "explained.jsonl",
        "layer": 2,
    }
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"held_out": 0.3, "tasks": [task]}))
    return tmp_path


def build(folder, model, **fields):
    config = yaml.safe_load((folder / "data.yaml").read_text())
    config["tasks"][0].update(fields)
    (folder / "data.yaml").write_text(yaml.safe_dump(config))
    names = {"--config": folder / "data.yaml", "--model": model, "--out": folder / "out"}
    return main(["data", "build", *(str(word) for pair in names.items() for word in pair)])


def test_an_example_shows_the_decoders_row_of_the_feature_on_its_line(folder, tiny_model, decoder):
    assert build(folder, tiny_model) == 0
    (folder / "sae.safetensors").unlink()  # what is shown lies beside the examples
    sides = {side: store.read(folder / "out", side) for side in ("train", "held_out")}
    for one in [*sides["train"], *sides["held_out"]]:
        number = int(one.source.removeprefix("explained.jsonl:")) - 1
        file, row = own_row(one.shown)
        shown = load_file(folder / "out" / file)["vectors"][row]
        assert torch.equal(shown, decoder[line(number)["feature"]])
        assert (one.context, one.positions, one.layers) == ((), (0,), (2,))
        if one.task == "sae_features/explanation":
            assert one.answer == line(number)["explanation"]
    assert not {one.source for one in sides["train"]} & {one.source for one in sides["held_out"]}
    tasks = store.read_manifest(folder / "out")["splits"]["train"]["tasks"]
    num_train = len({one.source for one in sides["train"]})
    assert 0 < num_train < 20
    assert tasks["sae_features/explanation"] == num_train
    assert tasks["sae_features/yes_no"] == 2 * num_train


@pytest.fixture
def task(folder):
    features = read_features(folder / "explained.jsonl")
    vectors = read_decoder(folder / "sae.safetensors", features, "W_dec")
    return SaeFeatures(features, vectors, layer=2, held_out_fraction=0.0)


def test_as_many_sentences_are_given_as_are_asked_for_and_all_are_the_features_own(task):
    found = [one for one in task.examples("train", seed=1) if one.task.endswith("activating")]
    wordings = [re.escape(one).replace(r"\{k\}", "([2-5])") for one in GIVE]
    for one in found:
        known = line(int(one.source.rpartition(":")[2]) - 1)["examples"]
        asked = re.fullmatch("|".join(wordings), one.question)
        said = re.findall(r"^Example (\d): (.+)$", one.answer, flags=re.M)
        assert [number for number, _ in said] == [str(n + 1) for n in range(len(said))]
        assert [str(len(said))] == [number for number in asked.groups() if number]
        assert len({text for _, text in said} & set(known)) == len(said)
    assert len(found) == sum(len(line(number)["examples"]) > 1 for number in range(20))
    assert list(task.examples("train", seed=1)) != list(task.examples("train", seed=2))


def test_yes_and_no_are_those_of_the_line(task):
    found = [one for one in task.examples("train", seed=1) if one.task.endswith("yes_no")]
    answers = {
        (one.question.removeprefix("Answer with 'Yes' or 'No' only. "), one.answer) for one in found
    }
    assert answers == {("Is this about boats?", "Yes"), ("Is this about law?", "No")}


def test_one_explanation_is_on_one_side_whatever_feature_it_is_of(folder, decoder):
    rows = [{"feature": n, "explanation": f"boats {n % 5}"} for n in range(20)]
    features = read_features(write(folder / "twice.jsonl", rows))
    task = SaeFeatures(features, decoder[:20], layer=0, held_out_fraction=0.5)
    sides = [{one.answer for one in task.examples(side, seed=0)} for side in ("train", "held_out")]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == {f"boats {n}" for n in range(5)}
    assert all(sides)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature": "7"}, "whole number"),
        ({"feature": -1}, "whole number"),
        ({"feature": 0}, r"feature 0, as mine\.jsonl:1"),
        ({"explanation": " "}, "explanation is a text"),
        ({"questions": [{"question": "Is it?", "answer": "yes"}]}, "Yes or No"),
        ({"questions": ["Is it?"]}, "Yes or No"),
        ({"questions": None}, "Yes or No"),
        ({"examples": ["only one"]}, "2 or more texts"),
        ({"score": 0.9}, "score"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path, change, message):
    path = write(tmp_path / "mine.jsonl", [line(0), {**line(1), **change}])
    with pytest.raises(DataError, match=rf"mine\.jsonl:2.*{message}"):
        read_features(path)


@pytest.mark.parametrize(
    ("feature", "tensor", "message"),
    [
        (NUM_FEATURES, "W_dec", rf"1 explains feature {NUM_FEATURES}; .* has {NUM_FEATURES} rows"),
        (3, None, "Name the decoder's matrix"),
        (3, "encoder", "Name the decoder's matrix"),
        (3, "b_dec", r"expected \[feature, d_model\]"),
    ],
)
def test_a_decoder_that_has_no_such_row_is_refused(folder, feature, tensor, message):
    path = write(folder / "one.jsonl", [{**line(0), "feature": feature}])
    with pytest.raises(DataError, match=message):
        read_decoder(folder / "sae.safetensors", read_features(path), tensor)


def test_a_dead_feature_is_refused(folder, decoder):
    decoder[line(3)["feature"]] = 0
    save_file({"W_dec": decoder}, folder / "sae.safetensors")
    with pytest.raises(DataError, match=r"explained\.jsonl:4.* no direction"):
        read_decoder(folder / "sae.safetensors", read_features(folder / "explained.jsonl"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"layer": 4}, "layer 4"), ({"decoder": "nowhere.safetensors"}, "nowhere.safetensors")],
)
def test_what_does_not_fit_the_model_or_is_missing_is_one_line(
    folder, tiny_model, capsys, fields, message
):
    assert build(folder, tiny_model, **fields) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out").exists()
