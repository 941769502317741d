import json

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from activation_oracles.errors import MismatchError, ModelError
from activation_oracles.models.load import load
from activation_oracles.models.target import Difference, Target

TEXT = "The old mill stands by the river."


def lora(**changes) -> LoraConfig:
    return LoraConfig(
        **{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | changes
    )


def perturb(model, name, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.adapter_parameters(name):
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)


@pytest.fixture
def model(tiny_model):
    return load(str(tiny_model), dtype="float32", device="cpu")


@pytest.fixture
def saved(model, tmp_path):
    """Return a folder with an adapter that changes something."""
    model.new_adapter(lora(), name="secret")
    perturb(model, "secret")
    model.save_adapter("secret", tmp_path / "secret")
    return tmp_path / "secret"


def vectors(model, adapter=None):
    return Target(model, adapter).read(TEXT, layers=[1, 3]).vectors


def test_the_target_never_sees_the_oracle_s_adapter(model):
    bare = vectors(model)
    model.new_adapter(lora(), name="oracle")
    perturb(model, "oracle")
    assert torch.equal(vectors(model), bare)
    with model.using("oracle"):
        assert torch.equal(vectors(model), bare)
    with model.training("oracle"):
        assert torch.equal(vectors(model), bare)
    assert not torch.equal(vectors(model, "oracle"), bare)


def test_a_scope_puts_back_what_was_active_even_when_it_fails(model):
    for name in ("first", "second"):
        model.new_adapter(lora(), name=name)
    with model.using("first"):
        with pytest.raises(ValueError, match="second"), model.using("second"):
            raise ValueError(model.adapters.active)
        assert model.adapters.active == "first"
        with model.using(None):
            assert model.adapters.active is None
        assert model.adapters.active == "first"
    assert model.adapters.active is None


def test_only_the_adapter_in_training_gets_gradients_and_only_inside(model):
    for name in ("oracle", "other"):
        model.new_adapter(lora(), name=name)
    with model.training("oracle"):
        with model.using(None):
            pass
        wanted = {path for path, p in model.network.named_parameters() if p.requires_grad}
        assert wanted == set(model.adapters.parameters("oracle"))
        assert model.network.training
    assert not any(p.requires_grad for p in model.network.parameters())
    assert not model.network.training


def test_a_saved_adapter_loads_to_the_same_reading_and_identity(model, saved, tiny_model):
    other = load(str(tiny_model), dtype="float32", device="cpu")
    name = other.add_adapter(str(saved))
    assert name == "secret"
    assert torch.equal(vectors(other, name), vectors(model, "secret"))
    assert other.adapters.identity(name) == model.adapters.identity("secret")


def test_saving_twice_writes_equal_files_without_paths(model, saved, tmp_path):
    model.save_adapter("secret", tmp_path / "again")
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (saved / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_an_adapter_whose_weights_match_no_layer_is_refused(saved, tiny_model):
    path = saved / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({k.replace(".layers.1.", ".blocks.1."): w for k, w in weights.items()}, path)
    model = load(str(tiny_model), dtype="float32", device="cpu")
    bare = vectors(model)
    with pytest.raises(MismatchError, match="another model: 14 of its layers got no weights"):
        model.add_adapter(str(saved))
    assert model.adapters.names == ()
    assert torch.equal(vectors(model), bare)


def test_an_adapter_of_a_wider_model_is_refused(saved, tiny_model):
    path = saved / "adapter_model.safetensors"
    wider = {k: torch.cat([w, w], dim=1) for k, w in load_file(path).items()}
    save_file(wider, path)
    with pytest.raises(MismatchError, match="does not fit this model"):
        load(str(tiny_model), dtype="float32", device="cpu").add_adapter(str(saved))


def test_an_untrained_adapter_is_refused(model, tmp_path, tiny_model):
    model.new_adapter(lora(), name="fresh")
    model.save_adapter("fresh", tmp_path / "fresh")
    with pytest.raises(MismatchError, match="untrained"):
        load(str(tiny_model), dtype="float32", device="cpu").add_adapter(str(tmp_path / "fresh"))


def test_a_refused_adapter_leaves_room_for_the_right_one(model, saved, tmp_path, tiny_model):
    model.new_adapter(lora(), name="fresh")
    model.save_adapter("fresh", tmp_path / "fresh")
    other = load(str(tiny_model), dtype="float32", device="cpu")
    with pytest.raises(MismatchError):
        other.add_adapter(str(tmp_path / "fresh"), name="again")
    other.add_adapter(str(saved), name="again")
    assert torch.equal(vectors(other, "again"), vectors(model, "secret"))


def test_missing_folders_taken_names_and_unknown_names_are_refused(model, saved, tmp_path):
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        model.add_adapter(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="already loaded"):
        model.add_adapter(str(saved))
    with pytest.raises(ModelError, match="No adapter 'other' is loaded"):
        Target(model, "other")


def test_all_linear_means_the_blocks_of_every_family_and_not_the_vision_tower(family):
    family.new_adapter(lora(), name="oracle")
    paths = list(family.adapters.parameters("oracle"))
    assert paths
    assert all(path.startswith(family.blocks.path) for path in paths)
    for index in range(family.num_layers):
        assert any(path.startswith(f"{family.blocks.path}.{index}.") for path in paths)


def test_a_difference_is_the_adapter_s_doing_and_says_so(model, saved):
    reading = Difference(Target(model, "secret"), Target(model)).read(TEXT, layers=2)
    both = Target(model, "secret").read(TEXT, layers=2).vectors
    assert torch.equal(reading.vectors, both - Target(model).read(TEXT, layers=2).vectors)
    assert reading.provenance.adapter == model.adapters.identity("secret")
    step = json.loads(reading.provenance.history[-1].removeprefix("minus "))
    assert step["adapter"] is None


def test_the_fingerprint_is_of_the_base_and_tells_models_apart(model, saved, tiny_model):
    other = load(str(tiny_model), dtype="float32", device="cpu")
    assert other.fingerprint == model.fingerprint
    other = load(str(tiny_model), dtype="float32", device="cpu")
    next(other.network.parameters()).data[0, 0] += 1
    assert other.fingerprint != model.fingerprint
