"""A tiny oracle with a random adapter, and readings for it."""

import pytest
import torch
from peft import LoraConfig

from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle
from sample_prompts import prompts_of


def lora(**changes) -> LoraConfig:
    return LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", **changes)


def random_oracle(folder) -> Oracle:
    model = load(str(folder), dtype="float32", device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        oracle = Oracle.new(model, Card.for_model(model), lora())
    generator = torch.Generator().manual_seed(0)
    for parameter in model.adapter_parameters("oracle"):
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return oracle


@pytest.fixture
def fresh_oracle(tiny_model) -> Oracle:
    """Return an oracle of its own, for a test that changes it."""
    return random_oracle(tiny_model)


@pytest.fixture(scope="session")
def oracle(tiny_model) -> Oracle:
    return random_oracle(tiny_model)


@pytest.fixture(scope="session")
def target(oracle) -> Target:
    return Target(oracle.model)


@pytest.fixture(scope="session")
def reading(target):
    return target.read("The old mill stands by the river.", layers=[1, 2], positions=slice(2, 6))


@pytest.fixture
def asked(family):
    """Return two prompts of different lengths, each shown something else, and their asker."""
    return prompts_of(family)
