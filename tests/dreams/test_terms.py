"""What the target charges a dream for."""

import pytest
import torch

from activation_oracles.dreams.dream import noise
from activation_oracles.dreams.terms import Dose, Faithful, Harmless, Prompts, Speaks
from activation_oracles.dreams.under import Case, likelihoods
from activation_oracles.errors import DataError
from activation_oracles.models.push import Push
from activation_oracles.models.read import read
from activation_oracles.models.steer import steering

TEXTS = ("The old mill stands by the river.", "Anna likes green apples.")
DOSE = Dose(1, strength=0.7)


@pytest.fixture
def vectors(target):
    return noise(2, target.model.width, seed=5)


def last_streams(target, text, push=None):
    model = target.model
    ids = torch.tensor([target.encode(text)])
    last = model.num_layers - 1
    with model.using(None):
        if push is None:
            return read(model.network, model.blocks, ids, None, layers=[last])[last][0]
        with steering(model.blocks, [push]):
            return read(model.network, model.blocks, ids, None, layers=[last])[last][0]


def test_harm_is_the_mean_squared_change_of_the_last_stream(target, vectors):
    found = Harmless(Prompts(target, TEXTS), DOSE).cost(vectors, vectors)
    before = [last_streams(target, text) for text in TEXTS]
    size = torch.cat(before).square().mean()
    for vector, cost in zip(vectors, found, strict=True):
        push = Push(layer=1, vectors=vector[None], strengths=0.7)
        after = [last_streams(target, text, push) for text in TEXTS]
        moved = torch.cat([a - b for a, b in zip(after, before, strict=True)])
        assert cost.item() == pytest.approx((moved.square().mean() / size).item(), rel=1e-4)


def test_nothing_is_lost_of_the_effect_at_the_start_and_all_of_it_by_doing_nothing(target, vectors):
    faithful = Faithful(Prompts(target, TEXTS), DOSE)
    assert faithful.cost(vectors, vectors).tolist() == pytest.approx([0, 0], abs=1e-6)
    still = Faithful(Prompts(target, TEXTS), Dose(1, strength=1e-4))
    moved = faithful.prompts.steered(DOSE, vectors) - faithful.prompts.streams
    assert still.cost(vectors, vectors).tolist() == pytest.approx([0, 0], abs=1e-4)
    assert (faithful.cost(-vectors, vectors) > 1).all(), "the other way is worse than nothing"
    assert moved.square().mean() > 0


@pytest.mark.parametrize("suppressed", [False, True])
def test_what_is_said_is_charged_by_its_likelihood(target, vectors, suppressed):
    term = Speaks(target, "Where is it?", "by the river", DOSE, suppressed=suppressed)
    costs = term.cost(vectors, vectors)
    cases = [
        Case([{"role": "user", "content": "Where is it?"}], v, 0.7, "by the river") for v in vectors
    ]
    # A bare text is asked as it is, a chat through its template: the same words, other tokens.
    bare = [Case("Where is it?", vector, 0.7, "by the river") for vector in vectors]
    logs = torch.tensor(likelihoods(target, bare, DOSE))
    wanted = -(1 - logs.exp()).log() if suppressed else -logs
    torch.testing.assert_close(costs.detach(), wanted, atol=1e-4, rtol=1e-4)
    assert likelihoods(target, cases, DOSE) != logs.tolist()


def test_each_row_of_a_batch_is_under_its_own_vector(target, vectors):
    cases = [Case(text, v, s) for text in TEXTS for v in vectors for s in (-1.0, 0.5)]
    cases.append(Case(TEXTS[0]))
    together = likelihoods(target, cases, DOSE)
    alone = [likelihoods(target, [one], DOSE)[0] for one in cases]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len({round(one, 6) for one in together}) == len(cases)


def test_nobody_is_charged_without_prompts(target):
    with pytest.raises(DataError, match="at least one prompt"):
        Prompts(target, ())
