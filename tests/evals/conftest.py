"""The village, for evaluations that need models with something to hide, or to say."""

import pytest

from activation_oracles.models.target import Target
from activation_oracles.world.load import load_demo


class Scripted(Target):
    """A target that is read as it is, and goes on with what a rule makes of what it read."""

    def __init__(self, target, rule):
        super().__init__(target.model, target.adapter)
        self.rule = rule

    def continued(self, prompts, settings, seed=0):
        tokenizer = self.model.tokenizer
        said = [self.rule(tokenizer.decode(list(ids))) for ids in prompts]
        end = (tokenizer.eos_token_id,)
        return [(*tokenizer(one, add_special_tokens=False)["input_ids"], *end) for one in said]


@pytest.fixture(scope="session")
def demo():
    """Return the shipped village."""
    return load_demo()


@pytest.fixture
def scripted(demo):
    """Return what makes a target whose replies a rule writes."""
    return lambda rule: Scripted(demo.target(), rule)
