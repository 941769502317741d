"""Measures of confidence, against sklearn and against laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from activation_oracles.errors import DataError
from activation_oracles.evals import calibration as module
from activation_oracles.evals.calibration import calibration, coverage, threshold_for

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=2, max_size=60)


def drawn(seed, number=4000):
    generator = np.random.default_rng(seed)
    stated = generator.random(number)
    return stated.tolist(), (generator.random(number) < stated).astype(float).tolist()


@given(ANSWERS)
def test_brier_and_auroc_are_sklearns(answers):
    stated, right = zip(*answers, strict=True)
    found = calibration(stated, right)
    assert found.brier == pytest.approx(brier_score_loss(right, stated))
    if len(set(right)) == 1:
        assert found.auroc is None
    else:
        assert found.auroc == pytest.approx(roc_auc_score(right, stated))


@given(ANSWERS)
def test_bins_hold_every_answer_once_and_their_gaps_are_the_ece(answers):
    stated, right = zip(*answers, strict=True)
    found = calibration(stated, right)
    assert sum(one.num_answers for one in found.bins) == len(answers)
    confidences = [one.confidence for one in found.bins]
    assert confidences == sorted(confidences)
    mean = sum(one.num_answers * one.share_right for one in found.bins) / len(answers)
    assert mean == pytest.approx(found.share_right)
    assert abs(found.confidence - found.share_right) - 1e-9 <= found.ece <= 1


def test_confidence_that_is_meant_is_calibrated_and_confidence_that_is_not_is_not():
    stated, right = drawn(1)
    assert calibration(stated, right).ece < 0.04
    assert calibration([0.99] * 4000, right).ece == pytest.approx(0.49, abs=0.03)
    assert calibration([0.99] * 4000, right).auroc == 0.5


@pytest.mark.parametrize(("overstated", "ece"), [(0.0, 0.0), (0.1, 0.1), (0.3, 0.3)])
def test_the_interval_holds_the_error_that_there_is_and_is_over_units(overstated, ece, monkeypatch):
    monkeypatch.setattr(module, "NUM_DRAWS", 200)
    generator = np.random.default_rng(3)
    held = []
    for _ in range(10):
        meant = generator.uniform(0.35, 0.65, size=60)
        hits = (generator.random((60, 5)) < meant[:, None]).ravel().astype(float).tolist()
        stated = np.repeat(meant + overstated, 5).tolist()
        units = [number // 5 for number in range(300)]
        one = calibration(stated, hits, units=units)
        low, high = one.ece_within
        assert low <= one.ece <= high
        held.append(low <= ece <= high)
    assert sum(held) >= 9
    # The same answers over and over, of the same units, say no more than before.
    many = calibration(stated * 5, hits * 5, units=units * 5)
    assert many.ece_within == pytest.approx(one.ece_within, abs=0.02)


def test_each_answer_needs_a_unit_and_no_units_give_no_interval():
    assert calibration([0.5, 0.6], [1, 0]).ece_within is None
    with pytest.raises(DataError, match="2 answers needs a unit, got 1"):
        calibration([0.5, 0.6], [1, 0], units=["one"])


def test_the_order_of_the_rows_does_not_matter_where_many_are_equally_sure():
    stated, right = [0.8] * 10 + [0.2] * 10, [1.0] * 8 + [0.0] * 2 + [1.0] * 2 + [0.0] * 8
    backward = calibration(stated[::-1], right[::-1])
    assert [one.num_answers for one in calibration(stated, right).bins] == [10, 10]
    assert backward.ece == pytest.approx(0)
    assert [one.share_right for one in backward.bins] == [0.2, 0.8]


@given(ANSWERS)
def test_coverage_grows_to_all_answers_as_the_threshold_falls(answers):
    stated, right = zip(*answers, strict=True)
    points = coverage(stated, right)
    shares, thresholds = [p.coverage for p in points], [p.threshold for p in points]
    assert shares == sorted(shares)
    assert thresholds == sorted(thresholds, reverse=True)
    assert shares[-1] == 1
    for point in points:
        kept = [y for p, y in answers if p >= point.threshold]
        assert point.precision == pytest.approx(sum(kept) / len(kept))
        assert point.coverage == pytest.approx(len(kept) / len(answers))


def test_a_threshold_keeps_as_much_as_reaches_the_precision():
    stated, right = [0.9, 0.8, 0.7, 0.6], [1.0, 1.0, 0.0, 1.0]
    point = threshold_for(stated, right, 0.75)
    assert (point.threshold, point.coverage) == (0.6, 1.0)
    assert threshold_for(stated, right, 0.9).threshold == 0.8
    assert threshold_for([0.9], [0.0], 0.5) is None


@pytest.mark.parametrize(
    ("stated", "right"),
    [([], []), ([0.5], [1.0, 0.0]), ([1.5], [1.0]), ([float("nan")], [1.0]), ([0.5], [2.0])],
)
def test_what_is_no_probability_is_refused(stated, right):
    with pytest.raises(DataError):
        calibration(stated, right)
