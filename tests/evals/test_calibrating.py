"""Fitting on one half, measuring on the other: no unit on both sides, and no flattery."""

import numpy as np
import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.calibrating import Judged, fitted, halves, judge, refusal_rule
from activation_oracles.evals.grade import yes_no
from activation_oracles.oracle.calibrator import fit
from activation_oracles.types import Example


def example(number, answer="Yes"):
    return Example((1, 2), (0,), (1,), "Is it?", answer, "group", f"text {number}")


def rows(number, seed, overstated=3.0):
    """Return rows whose stated log-odds are too long by a factor."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(0.5, 1.5, size=number)
    right = generator.random(number) < 1 / (1 + np.exp(-odds))
    stated = 1 / (1 + np.exp(-overstated * odds))
    return [
        Judged(example(place // 4), "Yes", float(sure), float(hit))
        for place, (sure, hit) in enumerate(zip(stated, right, strict=True))
    ]


def source(example):
    return example.source


def platt(confidences, right):
    return fit("choice", "platt", confidences, right)


def test_no_unit_is_on_both_sides_and_the_order_of_rows_does_not_matter():
    some = rows(400, 1)
    one, other = halves(some, source)
    units = [{row.example.source for row in part} for part in (one, other)]
    assert not units[0] & units[1]
    assert len(one) + len(other) == 400
    assert min(len(one), len(other)) > 120
    back = halves(some[::-1], source)
    assert sorted(map(id, back[0])) == sorted(map(id, one))


def test_calibration_holds_on_rows_that_the_curve_has_not_seen():
    found = fitted(rows(1500, 1), rows(1500, 2), platt, unit=source, precision=0.9)
    assert found.after.ece < 0.05 < found.before.ece
    assert found.after.auroc == pytest.approx(found.before.auroc)
    assert found.num_fitted == 1500
    assert found.kept.precision == pytest.approx(0.9, abs=0.04)
    assert 0.2 < found.kept.coverage < 0.9


def test_a_precision_that_nothing_reaches_keeps_nothing():
    wrong = [Judged(example(n), "Yes", 0.9, float(n % 5 == 0)) for n in range(100)]
    found = fitted(wrong, wrong, platt, unit=source, precision=0.99)
    assert found.threshold is None
    assert found.kept is None


def test_what_cannot_be_judged_or_has_no_confidence_is_left_out():
    examples = [example(1), example(2), example(3), example(4, "No")]
    said = [("Yes", 0.8), ("perhaps", 0.7), ("Yes", None), ("Yes", 0.6)]
    found = judge(examples, lambda _: said, yes_no)
    assert [(row.confidence, row.right) for row in found] == [(0.8, 1.0), (0.6, 0.0)]
    with pytest.raises(DataError):
        judge([], lambda _: [], yes_no)


def test_a_rule_refuses_as_much_as_it_may_and_takes_the_weight_that_refuses_most():
    right = [float(number % 2 == 0) for number in range(100)] + [None] * 10
    scores = {0.0: [*range(100), *range(45, 55)], 0.5: [*range(100), *range(90, 100)]}
    for loss, most in ((0.0, 0), (0.1, 5), (0.11, 5), (0.5, 25)):
        weight, threshold = refusal_rule(scores, right, loss)
        refused = [hit for one, hit in zip(range(100), right, strict=False) if one > threshold]
        assert sum(refused) == most
        assert weight == 0.5, "its scores of what has no answer are higher"
    assert refusal_rule({one: [*range(100)] for one in (0.3, 0.1)}, right[:100], 0.1)[0] == 0.1
    with pytest.raises(DataError, match="20 right answers or more, got 3 of 5"):
        refusal_rule({0.0: [1.0] * 5}, right[:5], 0.1)
