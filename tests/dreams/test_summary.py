"""How often attacks succeed, counted by hand."""

import pytest

from activation_oracles.dreams.summary import permuted, summarise
from sample_findings import EFFECTS, findings


def test_headlines_count_what_is_believed_and_what_follows():
    found = summarise(findings())
    rates = (found.steering, found.fooled, found.fooled_unmoved, found.silent)
    assert [(one.count, one.of) for one in rates] == [(2, 3), (1, 3), (3, 3), (3, 3)]
    assert all(one.low <= one.share <= one.high for one in rates)


def test_a_mean_effect_may_be_negative_and_lies_in_its_interval():
    kinds = {one.name: one for one in summarise(findings()).kinds}
    for name, own in EFFECTS.items():
        estimate = kinds[name].effect
        assert estimate.score == pytest.approx(sum(own) / 3)
        assert -1 <= estimate.low <= estimate.score <= estimate.high <= 1
    assert kinds["red-team"].effect.low < 0


def test_a_permutation_is_as_likely_as_labels_that_come_back_by_chance():
    grid = [[float(row == column) for column in range(3)] for row in range(3)]
    assert permuted(grid) == pytest.approx(1 / 6, abs=0.02)
    assert permuted([[0.5] * 3] * 3) == 1
