import json

import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from activation_oracles.errors import ConfigError, MismatchError, ModelError
from activation_oracles.models.load import load
from activation_oracles.oracle import hub_files
from activation_oracles.oracle.card import FILE_NAME, Card
from activation_oracles.oracle.released import assumed_card

V1 = {
    "schema_version": 1,
    "model_name": "Qwen/Qwen3-8B",
    "layer_combinations": [[25], [50], [75]],
    "act_layer_combinations": [[9], [18], [27]],
    "special_token": " ?",
    "prefix_template": "Layer: {layer}\\n{special_token} * {num_positions} \\n",
    "hook_onto_layer": 1,
    "steering_coefficient": 1.0,
    "lora_r": 64,
    "git_commit": "abc",
    "dataset_configs": [{"name": "past_lens"}],
}


def write(folder, fields):
    (folder / FILE_NAME).write_text(json.dumps(fields), encoding="utf-8")
    return str(folder)


def test_a_card_of_the_public_schema_is_understood(tmp_path):
    card = Card.load(write(tmp_path, V1))
    assert card.layers == ((9,), (18,), (27,))
    assert (card.block, card.strength, card.mode, card.placeholder) == (1, 1.0, "add", " ?")
    assert card.trained_layers == (9, 18, 27)


def test_unknown_fields_survive_and_known_ones_keep_their_public_names(tmp_path):
    Card.load(write(tmp_path, V1)).save(tmp_path)
    again = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    assert {name: again[name] for name in V1} == V1
    assert again["injection_mode"] == "add"


def test_what_is_written_is_read_back_equal(tmp_path, tiny_model):
    model = load(str(tiny_model), device="cpu")
    card = Card.for_model(model, percents=((25, 50),), strength=2.0, mode="replace")
    card.save(tmp_path)
    assert Card.load(str(tmp_path)) == card


def test_no_card_is_none_and_a_strange_place_is_refused(tmp_path):
    assert Card.load(str(tmp_path)) is None
    with pytest.raises(ModelError, match="is no folder"):
        Card.load(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"act_layer_combinations": [[9], [18]]}, "same shape"),
        ({"num_layers": 40}, "of 40 layers are"),
        ({"num_layers": 20, "layer_combinations": []}, "lies outside"),
        ({"act_layer_combinations": []}, "names no layers"),
        ({"injection_mode": "multiply"}, "injection_mode"),
        ({"steering_coefficient": -1}, "steering_coefficient"),
        ({"model_name": None}, "model_name"),
    ],
)
def test_contradictions_are_refused_by_name(tmp_path, change, match):
    with pytest.raises(ConfigError, match=match):
        Card.load(write(tmp_path, V1 | change))


@pytest.mark.parametrize("written", [b"{", b"[1]", b"\xff\xfe{\x00", b""])
def test_a_card_that_is_no_card_is_refused(tmp_path, written):
    (tmp_path / "ao_config.json").write_bytes(written)
    with pytest.raises(ConfigError, match="is refused: card"):
        Card.load(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"fingerprint": "other"}, "base_fingerprint other"),
        ({"num_layers": 9, "percents": ()}, "num_layers 9"),
        ({"tokenizer_hash": "other"}, "tokenizer_hash"),
        ({"num_layers": None, "percents": (), "layers": ((7,),)}, "names layer 7"),
    ],
)
def test_another_base_model_is_refused(tiny_model, change, match):
    model = load(str(tiny_model), device="cpu")
    card = Card.for_model(model)
    card.check(model)
    with pytest.raises(MismatchError, match=match):
        card.model_copy(update=change).check(model)


def test_any_set_of_a_size_that_was_drawn_was_trained_on(tmp_path):
    drawn = {"layer_combinations": [], "act_layer_combinations": [[9], [9, 18], [18, 27]]}
    card = Card.load(write(tmp_path, V1 | drawn | {"drawn_set_sizes": [2]}))
    assert card.was_trained_on((9, 27))
    assert card.was_trained_on((9,))
    assert not card.was_trained_on((18,))
    assert not card.was_trained_on((9, 28))
    assert (card.fixed_sets, card.drawn_in_words) == (((9,),), ("any 2 of 9, 18, 27",))


def test_the_usual_layers_are_the_recommended_ones_and_else_the_middle_of_the_trained(tmp_path):
    card = Card.load(write(tmp_path, V1))
    assert card.usual_layers == (18,)
    depth = {"data": "days", "data_hash": "x", "layers": {}}
    assert Card.load(write(tmp_path, V1 | {"depth": depth})).usual_layers == (18,)
    depth["recommended"] = [21]
    card = Card.load(write(tmp_path, V1 | {"depth": depth}))
    assert card.usual_layers == (21,)
    card.save(tmp_path)
    assert Card.load(str(tmp_path)) == card
    depth["recommended"] = [36]
    with pytest.raises(ConfigError, match=r"layer 36 .* lies outside"):
        Card.load(write(tmp_path, V1 | {"depth": depth, "num_layers": 36}))


def test_published_adapters_without_a_card_get_what_is_known_of_them(tiny_model):
    model = load(str(tiny_model), device="cpu")
    card, note = assumed_card("adamkarvonen/checkpoints_latentqa_only_Qwen3-8B", model)
    assert card.mode == "replace"
    assert "no ao_config.json" in note
    card, _ = assumed_card("adamkarvonen/checkpoints_cls_only_addition_Qwen3-8B", model)
    assert (card.mode, card.layers) == ("add", ((1,), (2,), (3,)))
    card, _ = assumed_card("nluick/MLAO-Qwen3-8B-3L-1N", model)
    assert card.layers == ((1, 2, 3),)


def test_a_card_that_cannot_be_reached_is_not_taken_for_one_that_is_not_there(monkeypatch):
    def unreachable(*_):
        raise LocalEntryNotFoundError("offline")

    def absent(*_):
        raise EntryNotFoundError("no such file")

    monkeypatch.setattr(hub_files.HfApi, "hf_hub_download", unreachable)
    with pytest.raises(ModelError, match="cannot be reached"):
        Card.load("somebody/oracle")
    monkeypatch.setattr(hub_files, "try_to_load_from_cache", lambda *_: hub_files._CACHED_NO_EXIST)
    assert Card.load("somebody/oracle") is None
    monkeypatch.setattr(hub_files.HfApi, "hf_hub_download", absent)
    assert Card.load("somebody/oracle") is None
