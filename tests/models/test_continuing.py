"""What a model writes is what it would write alone, and ends where it ended."""

import pytest
import torch

from activation_oracles.errors import DataError
from activation_oracles.models.continuing import continuations
from activation_oracles.models.load import load

PROMPTS = [(5, 81, 7), (12,), (9, 9, 30, 44, 2, 17, 101)]


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model), device="cpu")


def one_by_one(model, prompt, count):
    """Return the likeliest ids behind a prompt, each from a forward pass of its own."""
    ids = list(prompt)
    for _ in range(count):
        with torch.no_grad():
            logits = model.network(torch.tensor([ids])).logits
        ids.append(int(logits[0, -1].argmax()))
    return tuple(ids[len(prompt) :])


def test_a_batch_goes_on_as_each_prompt_would_alone(model):
    found = continuations(model, None, PROMPTS, model.decoding(6))
    for prompt, new in zip(PROMPTS, found, strict=True):
        assert one_by_one(model, prompt, len(new)) == new
        assert len(new) == 6 or new[-1] == model.tokenizer.eos_token_id


def test_a_continuation_ends_with_the_token_that_ends_it(model):
    whole = continuations(model, None, PROMPTS, model.decoding(6))
    settings = model.decoding(6)
    settings.eos_token_id = [whole[0][2]]
    for cut, full in zip(continuations(model, None, PROMPTS, settings), whole, strict=True):
        stop = whole[0][2]
        wanted = full[: full.index(stop) + 1] if stop in full else full
        assert cut == wanted


def test_draws_are_the_seeds_and_leave_the_random_state_alone(model):
    def drawn(seed):
        return continuations(model, None, PROMPTS, model.decoding(12, 1.0), seed)

    before = torch.get_rng_state()
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("prompts", [[], [(3,), ()]])
def test_nothing_to_go_on_from_is_refused(model, prompts):
    with pytest.raises(DataError, match="at least one token"):
        continuations(model, None, prompts, model.decoding(2))
