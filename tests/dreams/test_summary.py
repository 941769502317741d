"""How often attacks succeed, counted by hand."""

from dataclasses import replace

import pytest

from activation_oracles.dreams.attacks import REDTEAM, SILENT
from activation_oracles.dreams.summary import is_fooled_unmoved, is_unseen, permuted, summarise
from sample_findings import EFFECTS, effect, findings


def test_headlines_count_what_is_believed_and_what_follows():
    found = summarise(findings())
    rates = (found.steering, found.fooled, found.fooled_unmoved, found.silent)
    assert [(one.count, one.of) for one in rates] == [(2, 3), (1, 3), (3, 3), (3, 3)]
    assert all(one.low <= one.share <= one.high for one in rates)


@pytest.mark.parametrize(
    ("changed", "is_so"),
    [
        ({}, True),
        # The target is moved, follows, or the oracle does not swear by it: each alone is enough.
        ({"change_rank": 0.051}, False),
        ({"effect": 0.3, "p_value": 0.04}, False),
        ({"believed": {"one": 0.98, "two": 1.0}}, False),
        # What chance does not do is no following where it goes the other way.
        ({"effect": -0.3, "p_value": 0.04}, True),
    ],
)
def test_fooled_but_unmoved_is_believed_not_followed_and_the_target_left_alone(changed, is_so):
    assert is_fooled_unmoved(replace(effect(REDTEAM, 0), **changed)) is is_so


@pytest.mark.parametrize(("belief", "is_so"), [(0.01, True), (0.011, False)])
def test_what_is_silent_is_all_but_ruled_out_by_the_oracle_that_was_attacked(belief, is_so):
    assert is_unseen(replace(effect(SILENT, 0), believed={"one": belief, "two": 0.9})) is is_so


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
