"""Pushes that would not be made, or made twice or elsewhere, are refused."""

import pytest
import torch
from torch import nn

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.models.load import load
from activation_oracles.models.push import Push
from activation_oracles.models.steer import steering
from activation_oracles.models.steered import Steered
from activation_oracles.models.target import Target
from steering_by_hand import streams


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return load(str(tiny_model), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def target(tiny):
    return Target(tiny)


@pytest.mark.parametrize(
    ("run", "push", "message"),
    [
        (False, Push(1, torch.ones(1, 32)), "never made"),
        (True, Push(3, torch.ones(1, 32)), "never made"),
        (True, Push(1, torch.ones(1, 32), where=((9,),)), "never came"),
        (True, Push(1, torch.ones(1, 32), where=((),)), "never made"),
        (True, Push(1, torch.ones(1, 8)), "another model"),
        (True, Push(1, torch.ones(3, 32)), r"for \[3\] sequences, the model runs 2"),
    ],
)
def test_a_push_that_is_not_made_or_does_not_fit_is_refused(tiny, run, push, message):
    ids = torch.arange(5, 17).view(2, 6)
    # A reading ends after its layer.
    layers = [2] if run else []
    with pytest.raises(MismatchError, match=message), steering(tiny.blocks, [push]):
        [streams(tiny, ids, layer) for layer in layers]


def test_padding_that_would_hide_a_push_is_refused(tiny):
    ids, mask = torch.arange(12).view(2, 6), torch.ones(2, 6, dtype=torch.long)
    mask[0, :2] = 0
    chosen, new = (Push(1, torch.ones(1, 32), where=where) for where in (((1,),), "generated"))
    with pytest.raises(MismatchError, match="padded on the left"), steering(tiny.blocks, [chosen]):
        tiny.network(input_ids=ids, attention_mask=mask)
    with pytest.raises(MismatchError, match="padded on the right"), steering(tiny.blocks, [new]):
        tiny.network(input_ids=ids, attention_mask=mask.flip(-1))


def test_a_prompt_in_chunks_of_unknown_length_and_a_cache_from_outside_are_refused(tiny):
    ids = torch.arange(6)[None]
    new = Push(1, torch.ones(1, 32), where="generated")

    def in_chunks():
        cache = tiny.network(input_ids=ids[:, :3], use_cache=True).past_key_values
        tiny.network(input_ids=ids[:, 3:], past_key_values=cache)

    with pytest.raises(MismatchError, match="prompt="), steering(tiny.blocks, [new]):
        in_chunks()
    cache = tiny.network(input_ids=ids[:, :3], use_cache=True).past_key_values
    with pytest.raises(MismatchError, match="empty cache"), steering(tiny.blocks, [new]):
        tiny.network(input_ids=ids[:, 3:], past_key_values=cache)


def test_a_block_that_runs_twice_in_one_pass_is_refused(tiny):
    class Twice(nn.Module):
        def __init__(self, trunk):
            super().__init__()
            self.trunk = trunk

        def forward(self, stream, **named):
            return self.trunk(self.trunk(stream, **named), **named)

    layers = tiny.network.model.layers
    # The hook lies on the block itself, and this runs it again.
    original, layers[1] = layers[1], Twice(layers[1])
    try:
        with (
            pytest.raises(MismatchError, match="ran twice"),
            steering(tiny.blocks, [Push(1, torch.ones(1, 32))]),
            torch.no_grad(),
        ):
            tiny.network(input_ids=torch.arange(6)[None], use_cache=False)
    finally:
        layers[1] = original


def test_a_failed_pass_leaves_no_hook(tiny):
    stack, trunk = tiny.blocks.stack, tiny.blocks.trunk
    before = len(stack[1]._forward_hooks), len(trunk._forward_pre_hooks), len(trunk._forward_hooks)
    push = Push(1, torch.ones(1, 32))
    with pytest.raises(RuntimeError, match="mine"), steering(tiny.blocks, [push]):
        raise RuntimeError("mine")
    after = len(stack[1]._forward_hooks), len(trunk._forward_pre_hooks), len(trunk._forward_hooks)
    assert after == before


def test_a_push_that_makes_no_sense_is_refused():
    one = torch.ones(1, 4)
    with pytest.raises(MismatchError, match="NaN"):
        Push(0, one * torch.nan)
    with pytest.raises(MismatchError, match="NaN"):
        Push(0, one, float("inf"))
    with pytest.raises(MismatchError, match="2 vectors, 3 strengths"):
        Push(0, torch.ones(2, 4), torch.ones(3))
    with pytest.raises(ConfigError, match="counted from 0"):
        Push(0, one, where=((-1,),))


def test_a_steered_target_refuses_what_would_not_be_steered(target):
    one = torch.ones(1, 32)
    with pytest.raises(ConfigError, match="blocks 0 to 3"):
        Steered(target, [Push(4, one)])
    with pytest.raises(ConfigError, match="at least one push"):
        Steered(target, [])
    with pytest.raises(MismatchError, match="another model"):
        Steered(target, [Push(1, torch.ones(1, 8))])
    with pytest.raises(MismatchError, match=r"\[2, 3\] texts at once"):
        Steered(target, [Push(1, one.repeat(2, 1)), Push(2, one.repeat(3, 1))])
    with pytest.raises(MismatchError, match="for 2 texts"):
        Steered(target, [Push(1, one.repeat(2, 1))]).generate("moon")
    with pytest.raises(MismatchError, match="does not show at layer 1"):
        Steered(target, [Push(2, one)]).read("moon", layers=[0, 1])
    with pytest.raises(ConfigError, match="no generated tokens"):
        Steered(target, [Push(1, one, where="generated")]).read("moon", layers=2)
    far = Steered(target, [Push(1, one, where=((99,),))])
    for call in (far.generate, lambda text: far.read(text, layers=2)):
        with pytest.raises(DataError, match="Token 99"):
            call("moon")
