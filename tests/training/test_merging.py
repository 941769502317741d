"""Merged training is the same training."""

import pytest
import torch
from peft import LoraConfig

from activation_oracles.models.load import load
from activation_oracles.training.merging import merging


def gradients(model, adapter, ids):
    with model.training(adapter):
        loss = model.network(input_ids=ids, labels=ids).loss
        loss.backward()
    found = {n: p.grad.clone() for n, p in model.adapters.parameters(adapter).items()}
    for parameter in model.adapters.parameters(adapter).values():
        parameter.grad = None
    return loss.detach(), found


@pytest.fixture
def learner(tiny_model):
    model = load(str(tiny_model), device="cpu")
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapter = model.new_adapter(config, name="learner")
        for parameter in model.adapters.parameters(adapter).values():
            torch.nn.init.normal_(parameter, std=0.1)
    return model, adapter


def test_merging_changes_neither_loss_nor_gradients(learner):
    model, adapter = learner
    ids = torch.arange(40).view(2, 20)
    plain_loss, plain = gradients(model, adapter, ids)
    with merging(model.network, adapter):
        merged_loss, merged = gradients(model, adapter, ids)
    assert torch.allclose(plain_loss, merged_loss, atol=1e-6)
    assert not all(torch.equal(plain[name], merged[name]) for name in plain)  # it did something
    for name in plain:
        assert torch.allclose(plain[name], merged[name], atol=1e-6), name


def test_a_quantised_layer_is_never_merged(learner):
    model, adapter = learner
    packed = model.network.model.layers[1].self_attn.q_proj
    # As bitsandbytes has them: a linear layer by its class, whose weight is no matrix of its shape.
    packed.base_layer.__class__ = type("Linear4bit", (torch.nn.Linear,), {})
    with merging(model.network, adapter):
        assert "forward" not in vars(packed)
        assert "forward" in vars(model.network.model.layers[2].self_attn.q_proj)


def test_the_target_reads_the_same_bits_while_merging(learner):
    model, adapter = learner
    ids = torch.arange(20)[None]
    with torch.no_grad():
        before = model.network(input_ids=ids).logits
        with merging(model.network, adapter):
            assert torch.equal(model.network(input_ids=ids).logits, before)
            with model.training(adapter):
                assert not torch.equal(model.network(input_ids=ids).logits, before)


def test_nothing_of_merging_is_left_behind(learner):
    model, adapter = learner
    with pytest.raises(RuntimeError, match="stop"), merging(model.network, adapter):
        raise RuntimeError("stop")
    assert not [m for m in model.network.modules() if "forward" in vars(m)]
