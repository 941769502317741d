"""Weights with an adapter in them answer as both apart, and nothing is left of it."""

import pytest
import torch
from peft import LoraConfig

from activation_oracles.models.load import load
from activation_oracles.models.merging import NUM_TOKENS, merging

IDS = torch.arange(5, 17)[None]


@pytest.fixture
def model(tiny_model):
    model = load(str(tiny_model), dtype="float32", device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for name in ("first", "second"):
            config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
            model.new_adapter(config, name=name)
    return model


def logits(model):
    with torch.no_grad():
        return model.network(input_ids=IDS, use_cache=False).logits


def test_a_merged_adapter_says_the_same_to_rounding_and_leaves_every_bit(model):
    before = {name: one.clone() for name, one in model.network.state_dict().items()}
    with model.using("first"):
        apart = logits(model)
        with merging(model.network, "first", NUM_TOKENS):
            merged = logits(model)
        assert torch.equal(logits(model), apart)
    assert not torch.equal(merged, apart)
    assert torch.allclose(merged, apart, atol=1e-5, rtol=1e-5)
    after = model.network.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())


def test_what_else_is_active_inside_runs_as_always(model):
    found = {}
    for name in (None, "second"):
        with model.using(name):
            found[name] = logits(model)
    with model.using("first"), merging(model.network, "first", NUM_TOKENS):
        for name, expected in found.items():
            with model.using(name):
                assert torch.equal(logits(model), expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_half_precision_and_few_tokens_are_left_alone(model, dtype):
    model.network.to(getattr(torch, dtype))
    num_tokens = NUM_TOKENS if dtype == "bfloat16" else NUM_TOKENS - 1
    with model.using("first"):
        apart = logits(model)
        with merging(model.network, "first", num_tokens):
            assert torch.equal(logits(model), apart)


def test_a_failed_pass_leaves_no_merged_layer(model):
    with model.using("first"):
        apart = logits(model)
        with pytest.raises(ZeroDivisionError), merging(model.network, "first", NUM_TOKENS):
            assert 1 / 0
        assert torch.equal(logits(model), apart)
