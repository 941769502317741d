"""Intervals: against independent answers, and laws of resampling units."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.errors import DataError
from activation_oracles.statistics import clustered, over_runs, paired_difference, wilson


@pytest.mark.parametrize(
    ("right", "answers", "low", "high"),
    # From the formula's published worked values (Newcombe 1998, table I).
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_published_values(right, answers, low, high):
    assert wilson(right, answers) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(case):
    right, answers = case
    low, high = wilson(right, answers)
    assert 0 <= low <= right / answers <= high <= 1
    assert wilson(answers - right, answers) == pytest.approx((1 - high, 1 - low))


def test_an_interval_of_single_rows_agrees_with_wilson():
    scores = [1.0] * 120 + [0.0] * 80
    ours = clustered(scores, range(200))
    assert (ours.low, ours.high) == pytest.approx(wilson(120, 200), abs=0.02)
    assert (ours.score, ours.num_answers, ours.num_units) == (0.6, 200, 200)


def test_asking_the_same_unit_again_makes_nothing_surer():
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 2, size=40).astype(float).tolist()
    once = clustered(scores, range(40))
    ten_times = clustered(
        [score for score in scores for _ in range(10)], np.repeat(range(40), 10).tolist()
    )
    assert (ten_times.low, ten_times.high) == pytest.approx((once.low, once.high))
    assert (ten_times.num_answers, ten_times.num_units) == (400, 40)


def test_units_that_agree_do_not_claim_certainty():
    all_right = clustered([1.0] * 60, [row // 3 for row in range(60)])
    assert (all_right.score, all_right.high) == (1.0, 1.0)
    assert all_right.low == pytest.approx(wilson(20, 20)[0])


def test_one_unit_says_almost_nothing():
    assert clustered([1.0, 1.0, 0.0, 1.0], ["moon"] * 4).low < 0.2


def test_the_same_rows_give_the_same_interval():
    scores, units = [0.0, 1.0, 1.0, 0.5], ["a", "b", "c", "c"]
    assert clustered(scores, units) == clustered(scores, units)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    num_covered = 0
    for _ in range(100):
        chance = generator.beta(2, 2, size=40)
        scores = (generator.random((40, 5)) < chance[:, None]).astype(float)
        estimate = clustered(scores.ravel().tolist(), np.repeat(range(40), 5).tolist())
        num_covered += estimate.low <= 0.5 <= estimate.high
    assert 88 <= num_covered <= 100


def test_a_paired_difference_sees_what_two_intervals_hide():
    generator = np.random.default_rng(3)
    hard = generator.random(200) < 0.5
    theirs = hard.astype(float)
    ours = np.where(np.arange(200) < 16, 1.0, theirs)
    gain = paired_difference(ours.tolist(), theirs.tolist(), range(200))
    assert 0 < gain.low < gain.score < gain.high
    assert clustered(ours.tolist(), range(200)).low < clustered(theirs.tolist(), range(200)).high


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0])),
        min_size=1,
        max_size=12,
    )
)
def test_a_paired_difference_turns_its_sign_with_its_sides(rows):
    ours, theirs = [row[0] for row in rows], [row[1] for row in rows]
    there = paired_difference(ours, theirs, range(len(rows)))
    back = paired_difference(theirs, ours, range(len(rows)))
    assert there.score == pytest.approx(-back.score)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(0, 0),
        lambda: wilson(3, 2),
        lambda: clustered([], []),
        lambda: clustered([1.0], ["a", "b"]),
        lambda: clustered([2.0], ["a"]),
        lambda: clustered([math.nan], ["a"]),
        lambda: paired_difference([1.0], [], ["a"]),
        lambda: wilson(1, 2, level=95.0),
    ],
)
def test_what_cannot_be_estimated_is_refused(call):
    with pytest.raises(DataError):
        call()


@pytest.mark.parametrize(
    ("runs", "quantile"),
    # From any table of Student's t, two-sided, 95 %.
    [(2, 12.706), (3, 4.3027), (4, 3.1824), (11, 2.2281), (101, 1.984)],
)
def test_an_interval_over_runs_is_students(runs, quantile):
    values = np.random.default_rng(runs).normal(size=runs).tolist()
    low, high = over_runs(values)
    margin = quantile * np.std(values, ddof=1) / runs**0.5
    assert (low, high) == pytest.approx(
        (np.mean(values) - margin, np.mean(values) + margin), rel=1e-4
    )


def test_an_interval_over_runs_stays_within_its_limits_and_claims_no_certainty():
    assert over_runs([0.9, 1.0, 0.8], (0.0, 1.0))[1] == 1.0
    assert over_runs([1.0, 1.0, 1.0], (0.0, 1.0)) == (pytest.approx(wilson(3, 3)[0]), 1.0)
    with pytest.raises(DataError, match="two or more"):
        over_runs([0.5])
