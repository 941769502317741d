"""A tiny random target, readings of it, and one under a random adapter."""

import pytest
import torch
from peft import LoraConfig

from activation_oracles.models.load import load
from activation_oracles.models.target import Target

TEXT = "The old mill stands by the river, and the miller sings."


@pytest.fixture(scope="session")
def target(tiny_model) -> Target:
    return Target(load(str(tiny_model), dtype="float32", device="cpu"))


@pytest.fixture(scope="session")
def context(target) -> tuple[int, ...]:
    return target.encode(TEXT)


@pytest.fixture(scope="session")
def bare_and_organism(tiny_model) -> tuple[Target, Target]:
    """Return a bare target and the same model under an adapter that changes what it says."""
    model = load(str(tiny_model), dtype="float32", device="cpu")
    name = model.new_adapter(LoraConfig(r=4, target_modules="all-linear"), name="organism")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.adapter_parameters(name):
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return Target(model), Target(model, name)
