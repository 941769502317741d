"""A tiny oracle with a random adapter, and the model it is for."""

import pytest
import torch
from peft import LoraConfig

from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle


def random_oracle(model, name: str, seed: int) -> Oracle:
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        oracle = Oracle.new(model, Card.for_model(model), lora, adapter=name)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.adapter_parameters(name):
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return oracle


@pytest.fixture(scope="session")
def model(tiny_model):
    return load(str(tiny_model), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def oracle(model) -> Oracle:
    return random_oracle(model, "oracle", 0)


@pytest.fixture(scope="session")
def other_oracle(oracle) -> Oracle:
    return random_oracle(oracle.model, "other", 1)


@pytest.fixture(scope="session")
def target(oracle) -> Target:
    return Target(oracle.model)


@pytest.fixture(scope="session")
def village():
    from activation_oracles.world.load import load_demo

    return load_demo()
