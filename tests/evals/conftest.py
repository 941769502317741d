"""The village, for evaluations that need models with something to hide."""

import pytest

from activation_oracles.world.load import load_demo


@pytest.fixture(scope="session")
def demo():
    """Return the shipped village."""
    return load_demo()
