"""Wishes are probabilities, joined by logic."""

import pytest
import torch

from activation_oracles.dreams.wishes import AllOf, AnyOf, Not, Says
from activation_oracles.errors import DataError

BIRD, DUTCH = Says("What?", "bird"), Says("Which language?", "Dutch")
OF = {BIRD: torch.tensor(0.3).log(), DUTCH: torch.tensor(0.6).log()}


@pytest.mark.parametrize(
    ("wish", "probability"),
    [
        (BIRD, 0.3),
        (Not(BIRD), 0.7),
        (AllOf((BIRD, DUTCH)), 0.3 * 0.6),
        (AnyOf((BIRD, DUTCH)), 1 - 0.7 * 0.4),
        (AllOf((BIRD, Not(DUTCH))), 0.3 * 0.4),
        (Not(Not(BIRD)), 0.3),
        (Not(AnyOf((BIRD, DUTCH))), 0.7 * 0.4),
    ],
)
def test_a_wish_is_as_likely_as_logic_says(wish, probability):
    assert wish.log_probability(OF).exp().item() == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize("log", [-1e-9, 0.0])
def test_not_keeps_a_finite_slope_where_the_oracle_is_certain(log):
    logs = torch.tensor(log, requires_grad=True)
    (-Not(BIRD).log_probability({BIRD: logs})).backward()
    assert logs.grad is not None
    assert logs.grad.isfinite()
    assert logs.grad > 0, "descent makes the answer less likely"


def test_what_is_unlikely_either_way_is_as_likely_as_both_together():
    logs = {BIRD: torch.tensor(-30.0, requires_grad=True), DUTCH: torch.tensor(-31.0)}
    found = AnyOf((BIRD, DUTCH)).log_probability(logs)
    found.backward()
    assert found.item() == pytest.approx(-30 + torch.tensor(1 + 1 / torch.e).log().item(), abs=1e-4)
    assert logs[BIRD].grad.item() == pytest.approx(1 / (1 + 1 / torch.e), abs=1e-4)


def test_what_is_asked_twice_is_asked_once():
    assert AllOf((BIRD, Not(BIRD), DUTCH)).parts == (BIRD, DUTCH)


def test_a_wish_without_an_answer_is_refused():
    with pytest.raises(DataError, match="needs a question and an answer"):
        Says("What?", " ")
    with pytest.raises(DataError, match="at least one wish"):
        AllOf(())


def test_the_slope_of_not_is_that_of_the_logarithm():
    logs = torch.tensor(0.3).log().requires_grad_()
    Not(BIRD).log_probability({BIRD: logs}).backward()
    assert logs.grad is not None
    assert logs.grad.item() == pytest.approx(-0.3 / 0.7, rel=1e-4)
