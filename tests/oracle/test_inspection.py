"""An adapter is told from its files, and where they contradict each other it is said."""

import json
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from activation_oracles.errors import ModelError
from activation_oracles.oracle.inspection import inspect

TRAINING = {
    "config": {"lora": {"rank": 4, "alpha": 8, "dropout": 0.0}},
    "data": [
        {"splits": {"train": {"tasks": {"sst2": 30, "context": 5}}}},
        {"splits": {"train": {"tasks": {"sst2": 12}}}, "versions": {"activation-oracles": "9.9"}},
        {"file": "mine.jsonl"},
    ],
}
NAME = "adamkarvonen/checkpoints_latentqa_cls_past_lens_addition_Qwen3-8B"


@pytest.fixture
def folder(fresh_oracle, tmp_path):
    """Return the folder of an oracle whose three witnesses agree."""
    fresh_oracle.card = fresh_oracle.card.model_copy(update={"training": TRAINING})
    fresh_oracle.save(tmp_path)
    return tmp_path


def edit(path, **fields):
    """Change fields of a JSON file; None takes one out."""
    held = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: one for name, one in held.items() if one is not None}))


def with_weights(folder, change):
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def problems(folder) -> str:
    return "\n".join(inspect(str(folder)).problems)


class FakeHub:
    """Answers with the files of a folder, header first, and counts what was asked for."""

    def __init__(self, folder, unreachable=()) -> None:
        self.folder, self.unreachable, self.asked = folder, unreachable, []

    def hf_hub_download(self, repo_id, filename):
        self.asked.append(filename)
        if filename in self.unreachable:
            raise LocalEntryNotFoundError("no connection")
        if not (self.folder / filename).is_file():
            raise EntryNotFoundError("404")
        return str(self.folder / filename)

    def parse_safetensors_file_metadata(self, repo_id, filename):
        with safe_open(self.folder / filename, framework="pt") as file:
            pieces = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            tensors = {
                name: SimpleNamespace(shape=one.get_shape(), dtype=one.get_dtype())
                for name, one in pieces.items()
            }
        return SimpleNamespace(tensors=tensors)


def test_an_adapter_is_told_without_loading_its_base(folder, tiny_model, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the base was loaded")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", refuse)
    found = inspect(str(folder))
    weights = load_file(folder / "adapter_model.safetensors")
    assert found.problems == found.notes == ()
    assert (found.base, found.rank, found.alpha, found.dropout) == (str(tiny_model), 4, 8, 0)
    assert found.num_parameters == sum(one.numel() for one in weights.values())
    assert found.dtypes == ("F32",)
    assert found.depths == [((1, 25),), ((2, 50),), ((3, 75),)]
    assert found.tasks == {"sst2": 42, "context": 5}
    assert found.package_version == "9.9"


def test_without_percentages_depths_follow_from_the_number_of_blocks(folder):
    edit(folder / "ao_config.json", layer_combinations=[], act_layer_combinations=[[1, 3], [2]])
    assert inspect(str(folder)).depths == [((1, 25), (3, 75)), ((2, 50),)]


def test_an_adapter_without_a_card_is_told_by_the_published_defaults_with_a_note(folder):
    (folder / "ao_config.json").unlink()
    found = inspect(str(folder))
    assert not found.has_card
    assert found.card.layers == ((1,), (2,), (3,))
    assert any("defaults of the published adapters" in note for note in found.notes)
    assert found.problems == ()


def test_a_card_that_is_refused_is_a_problem_beside_the_rest(folder):
    edit(folder / "ao_config.json", act_layer_combinations=[])
    found = inspect(str(folder))
    assert found.card is None
    assert found.rank == 4
    assert "names no layers" in problems(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"r": 8}, "says rank 8, the weights have [4]"),
        ({"r": 8}, "rank is 4, the adapter's own files say 8"),
        ({"lora_alpha": 3}, "alpha is 8"),
        ({"base_model_name_or_path": "someone/else"}, "say else"),
        ({"target_modules": ["q_proj"]}, "names the layers ['q_proj']"),
    ],
)
def test_settings_that_contradict_the_rest_are_named(folder, fields, message):
    edit(folder / "adapter_config.json", **fields)
    assert message in problems(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"d_model": 48}, "the width is 48, the adapter's own files say 32"),
        ({"num_layers": 9, "layer_combinations": []}, "9 blocks, the weights are of 4"),
        ({"model_name": "other"}, "the base is other"),
    ],
)
def test_a_card_that_contradicts_the_adapter_is_named(folder, fields, message):
    edit(folder / "ao_config.json", **fields)
    assert message in problems(folder)


def test_zero_b_matrices_are_counted(folder):
    def silence(weights):
        for name in [name for name in weights if "lora_B" in name][:2]:
            weights[name] = torch.zeros_like(weights[name])

    with_weights(folder, silence)
    assert "2 B matrices are zero" in problems(folder)


def test_weights_that_are_missing_are_named(folder):
    def take_half(weights):
        del weights[next(name for name in weights if "lora_A" in name)]

    def take_block(weights):
        for name in [name for name in weights if ".layers.1." in name]:
            del weights[name]

    with_weights(folder, take_half)
    assert "1 layers lack half" in problems(folder)
    with_weights(folder, take_block)
    assert "blocks 1 of 4 have no weights" in problems(folder)


def test_on_the_hub_only_the_header_of_the_weights_is_read(folder):
    (folder / "ao_config.json").unlink()
    hub = FakeHub(folder)
    found = inspect(NAME, hub=hub)
    assert set(hub.asked) == {"adapter_config.json", "ao_config.json"}
    assert any("weights were not downloaded" in note for note in found.notes)
    # The name tells the base's depth; these weights would tell another.
    assert found.card.layers == ((9,), (18,), (27,))
    assert set(found.tasks) == {
        "system prompts (LatentQA)", "classification", "context prediction"
    }  # fmt: skip


def test_a_card_on_the_hub_is_read(folder):
    found = inspect("me/mine", hub=FakeHub(folder))
    assert found.has_card
    assert found.card.layers == ((1,), (2,), (3,))


@pytest.mark.parametrize("file", ["adapter_config.json", "ao_config.json"])
def test_what_cannot_be_reached_is_not_taken_for_absent(folder, file):
    with pytest.raises(ModelError, match="cannot be reached"):
        inspect("me/mine", hub=FakeHub(folder, unreachable=(file,)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (NAME, "Qwen/Qwen3-8B.*context prediction.*layers 9; 18; 27 of 36.*block 1, add"),
        ("nluick/MLAO-Qwen3-4B-6L-1N", r"layers 5\+10\+16\+21\+27\+32 of 36"),
        ("adamkarvonen/checkpoints_latentqa_only_Qwen3-8B", "LatentQA.*block 1, replace"),
    ],
)
def test_of_a_published_adapter_out_of_reach_is_told_what_its_name_says(folder, name, said):
    with pytest.raises(ModelError, match=rf"cannot be reached.*published oracle of .*{said}"):
        inspect(name, hub=FakeHub(folder, unreachable=("adapter_config.json",)))


def test_what_is_no_adapter_in_safetensors_is_refused(folder, tmp_path):
    (folder / "adapter_model.safetensors").write_bytes(b"half a fi")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        inspect(str(folder))
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match="never from a pickle"):
        inspect(str(folder))
    (folder / "adapter_model.bin").rename(folder / "adapter_model.safetensors")
    edit(folder / "adapter_config.json", peft_type="IA3")
    with pytest.raises(ModelError, match="LoRA"):
        inspect(str(folder))
    with pytest.raises(ModelError, match="no folder"):
        inspect(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        inspect("me/mine", hub=FakeHub(tmp_path / "nowhere"))
