"""`ao depth`: every layer asked the same, the card told, and asking the wiser for it."""

import json
import shutil

import pytest

from activation_oracles.cli.main import main
from activation_oracles.models import target as targets
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.depth import Depth
from activation_oracles.types import Example

pytest.importorskip("pyarrow")

INTERVAL = {"score": 0.5, "low": 0.4, "high": 0.6, "num_answers": 20, "num_units": 20}


def score(layer, *, low=0.1, is_worse=False):
    return {
        "layers": (layer,),
        "is_trained": layer > 0,
        "score": INTERVAL,
        "control": "nothing",
        "control_score": INTERVAL,
        "advantage": INTERVAL | {"low": low},
        "is_worse": is_worse,
    }


def made(start, count=14):
    return [
        Example(
            context=tuple(20 + (number * step) % 300 for step in range(1, 7)),
            positions=(4, 5),
            layers=(1 + number % 3,),
            question=("Which colour?", "What comes?")[number % 2],
            answer=("red", "blue")[number // 2 % 2] if number % 2 == 0 else f"river {number}",
            task=("classification/colour", "context")[number % 2],
            source=f"text {number}",
        )
        for number in range(start, start + 2 * count)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from activation_oracles.tasks import store

    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    splits = {"train": made(0), "held_out": made(100)}
    return str(store.write(tmp_path_factory.mktemp("depth"), splits, manifest))


@pytest.fixture
def own(oracle_folder, tmp_path):
    """Return a copy of the oracle's folder that a test may write to."""
    return shutil.copytree(oracle_folder, tmp_path / "oracle")


def run(oracle, data, *settings) -> int:
    return main(
        ["depth", "--oracle", str(oracle), "--data", data, "--max-new-tokens", "3", *settings]
    )


def test_every_layer_is_asked_the_same_and_each_text_is_read_once(
    oracle_folder, data, tmp_path, capsys, monkeypatch
):
    rows = []
    read = targets.read

    def counted(network, blocks, ids, mask, *, layers):
        rows.append((len(ids), tuple(layers)))
        return read(network, blocks, ids, mask, layers=layers)

    monkeypatch.setattr(targets, "read", counted)
    assert run(oracle_folder, data, "--out", str(tmp_path), "--json", "--limit", "10") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "depth.json").read_text())
    assert [row["layers"] for row in found["rows"]] == [[0], [1], [2], [3]]
    assert [row["is_trained"] for row in found["rows"]] == [False, True, True, True]
    assert {row["score"]["num_answers"] for row in found["rows"]} == {10}
    assert {row["control"] for row in found["rows"]} <= {"nothing", "random"}
    assert found["about"]["tasks"] == {"classification/colour": 10, "context": 10}
    # One pass a text for all four layers, whoever answers.
    assert sum(count for count, _ in rows) == 20
    assert {layers for _, layers in rows} == {(0, 1, 2, 3)}
    assert "| 3 | 75 % | yes |" in (tmp_path / "depth.md").read_text()


def test_tasks_and_layers_can_be_named(oracle_folder, data, capsys):
    settings = ("--tasks", "classification", "--layers", "2", "1+3", "--json")
    assert run(oracle_folder, data, *settings) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["layers"] for row in found["rows"]] == [[2], [1, 3]]
    assert set(found["about"]["tasks"]) == {"classification/colour"}


def test_what_was_found_is_kept_in_the_card_beside_everything_else(own, data, capsys):
    before = Card.load(str(own))
    assert run(own, data, "--save", "--tasks", "classification") == 0
    table = capsys.readouterr().out
    after = Card.load(str(own))
    assert after.model_copy(update={"depth": None}) == before
    assert list(after.depth.layers) == ["0", "1", "2", "3"]
    assert after.depth.about["tasks"] == {"classification/colour": 14}
    assert "/" not in after.depth.data
    where = "+".join(map(str, after.depth.recommended))
    assert (f"Layer {where} is recommended" if where else "No layer is recommended") in table
    assert main(["inspect", str(own)]) == 0
    assert after.depth.recommendation in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--layers", "9"), "blocks 0 to 3"),
        (("--layers", "deep"), "Layers are numbers"),
        (("--tasks", "poems"), "no held_out examples of poems"),
        (("--limit", "3"), "at least 10"),
        (("--data", "no/such/folder"), "no/such/folder"),
    ],
)
def test_what_a_user_can_mend_is_one_clear_line(oracle_folder, data, capsys, settings, message):
    assert run(oracle_folder, data, *settings) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]


def test_an_oracle_without_a_card_is_not_given_one(own, data, capsys):
    (own / "ao_config.json").unlink()
    assert run(own, data, "--save") == 2
    assert "could be saved" in capsys.readouterr().err
    assert not (own / "ao_config.json").exists()


def test_without_a_layer_the_recommended_one_is_read_and_elsewhere_is_warned_of(
    own, tiny_model, capsys
):
    layers = {"0": score(0), "1": score(1, is_worse=True), "2": score(2, low=-0.1)}
    depth = {"data": "days", "data_hash": "x", "layers": layers, "recommended": (0,)}
    card = Card.load(str(own))
    card.model_copy(update={"depth": Depth.model_validate(depth)}).save(own)

    def asked(*settings):
        named = ("--target", str(tiny_model), "--oracle", str(own), "--text", "green apples")
        assert main(["ask", *named, "--question", "What?", "--json", *settings]) == 0
        answer = json.loads(capsys.readouterr().out)
        return answer["layers"], " ".join(answer["warnings"])

    assert set(asked()[0]) == {0}
    assert "on days" not in asked()[1]
    for layer, warning in (
        ("1", "at layer 1 it reads worse than elsewhere on days"),
        ("2", "at layer 2 it was not shown to beat its controls on days"),
        ("3", "layer 3 was not measured on days"),
    ):
        found = asked("--layers", layer)[1]
        assert warning in found
        assert "layer 0 is recommended" in found
    named = ("--target", str(tiny_model), "--oracle", str(own), "--text", "apples")
    assert main(["sweep", *named, "--question", "What?"]) == 0
    header = capsys.readouterr().out.splitlines()[0].split()
    assert header == ["token", *"layer 0 layer 1 layer 2 layer 3".split()]
