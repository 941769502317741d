import json
import warnings

import peft
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from activation_oracles.errors import ModelError
from activation_oracles.models.load import load
from activation_oracles.models.target import Target

TEXT = "The old mill stands by the river."


def make(base, folder, config):
    """Let peft alone train an adapter, a little, and return the logits it leads to."""
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with warnings.catch_warnings():
        # What peft warns of while it makes one is not what is tested here.
        warnings.simplefilter("ignore")
        network = get_peft_model(plain, config)
        generator = torch.Generator().manual_seed(0)
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        network.save_pretrained(folder)
    return logits(network.eval())


def logits(network):
    ids = torch.arange(6)[None]
    with torch.no_grad():
        return network(input_ids=ids, use_cache=False).logits


def lora(**changes):
    return LoraConfig(**{"r": 4, "target_modules": ["q_proj", "v_proj"]} | changes)


@pytest.fixture
def qwen2(family_folders):
    # Its attention has biases.
    return str(family_folders("qwen2"))


@pytest.mark.parametrize(
    "kind",
    [
        {"use_dora": True},
        {"use_rslora": True, "target_modules": "all-linear"},
        {"modules_to_save": ["lm_head", "input_layernorm"]},
        {"trainable_token_indices": [1, 2, 3]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 5}},
    ],
    ids=lambda kind: next(iter(kind)),
)
def test_every_kind_of_lora_does_what_peft_does_and_can_be_switched_off(qwen2, tmp_path, kind):
    theirs = make(qwen2, tmp_path / "kind", lora(**kind))
    model = load(qwen2, dtype="float32", device="cpu")
    bare = logits(model.network)
    name = model.add_adapter(str(tmp_path / "kind"))
    with model.using(name):
        assert torch.equal(logits(model.network), theirs)
    assert torch.equal(logits(model.network), bare)
    assert not torch.equal(theirs, bare)


@pytest.mark.parametrize("kind", [{"bias": "all"}, {"bias": "lora_only"}])
def test_an_adapter_that_brings_biases_of_the_base_is_refused(qwen2, tmp_path, kind):
    make(qwen2, tmp_path / "kind", lora(**kind))
    model = load(qwen2, dtype="float32", device="cpu")
    bare = logits(model.network)
    with pytest.raises(ModelError, match="brings biases"):
        model.add_adapter(str(tmp_path / "kind"))
    assert torch.equal(logits(model.network), bare)


def test_an_adapter_split_off_from_the_base_is_refused(qwen2, tmp_path):
    make(qwen2, tmp_path / "kind", lora(init_lora_weights="pissa"))
    model = load(qwen2, dtype="float32", device="cpu")
    bare = logits(model.network)
    with pytest.raises(ModelError, match="split off from base weights"):
        model.add_adapter(str(tmp_path / "kind"))
    assert torch.equal(logits(model.network), bare)


def test_biases_that_the_base_does_not_have_are_no_reason_to_refuse(tiny_model, tmp_path):
    make(tiny_model, tmp_path / "kind", lora(bias="all"))
    model = load(str(tiny_model), dtype="float32", device="cpu")
    bare = logits(model.network)
    model.add_adapter(str(tmp_path / "kind"))
    assert torch.equal(logits(model.network), bare)


@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig"])
def test_an_adapter_that_is_no_lora_is_refused_by_its_type(qwen2, tmp_path, kind):
    make(
        qwen2,
        tmp_path / "kind",
        getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=2),
    )
    with pytest.raises(ModelError, match=r"of type P.*Only LoRAs"):
        load(qwen2, dtype="float32", device="cpu").add_adapter(str(tmp_path / "kind"))


def test_experts_adapted_by_peft_are_read_and_switched_off_without_a_warning(
    family_folders, tmp_path
):
    base = str(family_folders("qwen3-moe"))
    theirs = make(base, tmp_path / "experts", lora(target_modules="all-linear"))
    assert any(
        "experts" in key for key in load_file(tmp_path / "experts/adapter_model.safetensors")
    )
    model = load(base, dtype="float32", device="cpu")
    bare = logits(model.network)
    name = model.add_adapter(str(tmp_path / "experts"))
    with model.using(name):
        assert torch.allclose(logits(model.network), theirs, atol=1e-5)
        target = Target(model).read(TEXT, layers=[1, 3]).vectors
    assert torch.equal(logits(model.network), bare)
    untouched = load(base, dtype="float32", device="cpu")
    assert torch.equal(Target(untouched).read(TEXT, layers=[1, 3]).vectors, target)


def test_the_identity_is_of_all_that_an_adapter_brings(qwen2, tmp_path):
    make(qwen2, tmp_path / "one", lora(modules_to_save=["lm_head"]))
    path = tmp_path / "one" / "adapter_model.safetensors"
    weights = load_file(path)
    first = load(qwen2, dtype="float32", device="cpu")
    before = first.adapters.identity(first.add_adapter(str(tmp_path / "one")))
    [head] = [key for key in weights if "lm_head" in key]
    save_file(weights | {head: weights[head] + 1}, path)
    second = load(qwen2, dtype="float32", device="cpu")
    assert second.adapters.identity(second.add_adapter(str(tmp_path / "one"))) != before


def test_weights_that_are_no_numbers_are_refused(qwen2, tmp_path):
    make(qwen2, tmp_path / "kind", lora())
    path = tmp_path / "kind" / "adapter_model.safetensors"
    weights = load_file(path)
    weights[next(iter(weights))][0, 0] = float("nan")
    save_file(weights, path)
    with pytest.raises(ModelError, match="NaN or infinity in 1 of 16"):
        load(qwen2, dtype="float32", device="cpu").add_adapter(str(tmp_path / "kind"))


def cut_weights(folder):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:500])


def pickled(folder):
    path = folder / "adapter_model.safetensors"
    torch.save(load_file(path), folder / "adapter_model.bin")
    path.unlink()


def settings(text):
    return lambda folder: (folder / "adapter_config.json").write_text(text)


@pytest.mark.parametrize(
    "damage",
    [
        cut_weights,
        pickled,
        settings("{"),
        settings("[]"),
        settings('{"r": 4}'),
        settings(json.dumps({"peft_type": "UNKNOWN"})),
    ],
    ids=["cut", "pickled", "broken", "list", "no type", "unknown type"],
)
def test_a_damaged_adapter_is_one_clear_error(qwen2, tmp_path, damage):
    make(qwen2, tmp_path / "kind", lora())
    damage(tmp_path / "kind")
    with pytest.raises(ModelError, match="No adapter could be loaded"):
        load(qwen2, dtype="float32", device="cpu").add_adapter(str(tmp_path / "kind"))
