"""Dreams: their gradient, their batching, what they keep, and what they refuse."""

import pytest
import torch

from activation_oracles.dreams.beliefs import Beliefs
from activation_oracles.dreams.dream import Attempt, DreamConfig, dream, noise
from activation_oracles.dreams.terms import Dose, Harmless, Prompts
from activation_oracles.dreams.wishes import AllOf, AnyOf, Not, Says
from activation_oracles.errors import ConfigError, MismatchError

MILL = Says("What stands there?", "mill")
RIVER = Says("What flows there?", "river")
MOON = Says("What is the model thinking about?", "moon")
TEXTS = ("The old mill stands by the river.", "Anna likes green apples.")


def attempts(oracle, wishes, seed=0):
    starts = noise(len(wishes), oracle.model.width, seed=seed)
    return [
        Attempt(str(index), wish, start)
        for index, (wish, start) in enumerate(zip(wishes, starts, strict=True))
    ]


@pytest.mark.parametrize("wish", [MILL, AnyOf((MILL, RIVER)), AllOf((MILL, RIVER))])
def test_the_gradient_of_a_belief_is_its_slope(oracle, wish):
    beliefs = Beliefs(oracle, [wish], layers=[2])
    shown = noise(1, oracle.model.width, seed=3)[:, None].requires_grad_()
    beliefs.log_probabilities(shown, [0]).sum().backward()
    assert shown.grad is not None
    across = shown.grad / shown.grad.norm()
    step = 1e-2
    with torch.no_grad():
        more, less = (
            beliefs.log_probabilities(shown + sign * step * across, [0]).item() for sign in (1, -1)
        )
    assert (more - less) / (2 * step) == pytest.approx(shown.grad.norm().item(), rel=0.02)


def test_a_belief_is_what_the_oracle_scores(oracle):
    shown = noise(1, oracle.model.width, seed=3)
    belief = Beliefs(oracle, [MILL], layers=[2]).log_probabilities(shown[:, None], [0]).item()
    from activation_oracles.oracle.asking import Shown
    from activation_oracles.types import Activations

    reading = Activations.own(shown, layer=2, note="noise")
    asked = oracle._asker.show(Shown(reading, MILL.question), MILL.answer)
    scored = oracle._asker.likelihood([asked])[0]
    num_tokens = asked.prompt.answer_end - asked.prompt.answer_start
    assert belief == pytest.approx(sum(scored[:num_tokens]), abs=1e-4)


def test_a_dream_is_believed_and_the_trace_tells_how(village):
    oracle = village.oracle
    [found] = dream(oracle, attempts(oracle, [MOON]), layer=4)
    assert found.believed
    assert found.probability >= 0.99
    assert found.steps < 150, "it ends when it is believed"
    lost = found.trace["belief lost"]
    assert len(lost) == found.steps + 1
    assert lost[-1] <= 0.01 < lost[0]
    assert oracle.ask(found.vector, MOON.question).text == "moon"
    assert found.vector.provenance.fingerprint == oracle.model.fingerprint, "`ao steer` compares it"


def test_a_batch_dreams_what_each_would_alone(oracle):
    some = attempts(oracle, [MILL, AllOf((RIVER, Not(MILL))), RIVER])
    how = DreamConfig(steps=30)
    together = dream(oracle, some, layer=2, config=how)
    for one, attempt in zip(together, some, strict=True):
        [alone] = dream(oracle, [attempt], layer=2, config=how)
        assert alone.steps == one.steps
        torch.testing.assert_close(alone.vector.vectors, one.vector.vectors, atol=2e-4, rtol=0)


def test_dreams_leave_the_model_and_the_random_state_as_they_were(oracle):
    state, before = torch.get_rng_state(), oracle.model.fingerprint
    held = [one.clone() for one in oracle.model.adapter_parameters("oracle")]
    dream(oracle, attempts(oracle, [MILL]), layer=2, config=DreamConfig(steps=3))
    assert torch.equal(state, torch.get_rng_state())
    del oracle.model.__dict__["fingerprint"]
    assert oracle.model.fingerprint == before
    after = oracle.model.adapter_parameters("oracle")
    assert all(torch.equal(old, new) for old, new in zip(held, after, strict=True))
    assert all(one.grad is None for one in after)


def test_of_several_oracles_the_one_that_believes_least_counts(oracle, other_oracle):
    both, some = [oracle, other_oracle], attempts(oracle, [MILL])
    [found] = dream(both, some, layer=2, config=DreamConfig(steps=40))
    lost = found.trace["belief lost"]
    assert min(lost) < lost[0]
    held = [
        Beliefs(one, [MILL], layers=[2]).log_probabilities(found.vector.vectors[None], [0])
        for one in both
    ]
    assert min(held).exp().item() == pytest.approx(found.probability, rel=1e-3)
    assert held[0].item() != pytest.approx(held[1].item(), rel=1e-3)


def test_a_harmless_dream_is_believed_and_changes_the_target_less(village):
    oracle, target = village.oracle, village.target()
    harmless = Harmless(Prompts(target, ("How are you?", "Is dinner ready?")), Dose(4), weight=2)
    some = attempts(oracle, [MOON])
    how = DreamConfig(steps=60)
    [plain] = dream(oracle, some, layer=4, config=how)
    [careful] = dream(oracle, some, layer=4, config=how, terms=[harmless])
    assert careful.believed
    first = plain.vector.vectors
    with torch.no_grad():
        assert careful.costs["change"] < harmless.cost(first, first).item() - 0.02
    assert len(careful.trace["change"]) == how.steps + 1


def test_a_change_of_a_reading_stays_within_its_bound(oracle, target):
    reading = target.read(TEXTS[0], layers=[1, 2], positions=slice(1, 4))
    start = torch.zeros(oracle.model.width)
    [found] = dream(
        oracle,
        [Attempt("near", MILL, start, around=reading)],
        layer=1,
        config=DreamConfig(bound=0.3, steps=40),
    )
    length = reading.vectors.norm(dim=-1).mean()
    assert found.vector.vectors.norm() <= 0.3 * length + 1e-4
    assert found.trace["belief lost"][-1] < found.trace["belief lost"][0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"start": torch.zeros(32)}, MismatchError, "starts from no direction"),
        ({"start": torch.ones(8)}, MismatchError, "width 8"),
    ],
)
def test_a_start_that_is_none_is_refused(oracle, change, error, message):
    with pytest.raises(error, match=message):
        dream(oracle, [Attempt(**({"name": "bad", "wish": MILL} | change))], layer=2)


def test_a_bound_needs_a_reading(oracle):
    with pytest.raises(ConfigError, match="needs a bound"):
        dream(oracle, attempts(oracle, [MILL]), layer=2, config=DreamConfig(bound=0.1))
