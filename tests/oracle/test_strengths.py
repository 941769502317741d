"""Differences that are shown by how strong they are, and not by their direction alone."""

from dataclasses import replace

import pytest
import torch

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.oracle.asking import Asker, Shown
from activation_oracles.oracle.controls import Donor, Nothing, RandomDirection

QUESTION = "What changed?"
CHOICES = ("Yes", "No")


@pytest.fixture(scope="module")
def difference(target):
    """Return a difference of two texts' readings."""
    after, before = (
        target.read(text, layers=[1, 2], positions=slice(2, 5))
        for text in ("The old mill stands by the river.", "Anna likes green apples, does she?")
    )
    return after - before


def alike(difference):
    """Return the same vectors, beside streams of their own length: relative strengths of 1."""
    lengths = tuple(difference.vectors.norm(dim=-1).tolist())
    one = replace(difference, stream_lengths=lengths)
    assert set(one.relative_strengths) == {1.0}
    return one


def test_in_proportion_to_equal_strengths_everything_is_as_without(oracle, difference):
    one, weighing = alike(difference), oracle.in_proportion(1.0)
    plain = oracle.choose(one, QUESTION, CHOICES, controls=[RandomDirection()])
    found = weighing.choose(one, QUESTION, CHOICES)
    assert found.probabilities == plain.probabilities
    assert weighing.ask(one, QUESTION).text == oracle.ask(one, QUESTION).text
    ours = weighing.sweep(one, QUESTION, choices=CHOICES).answers
    theirs = oracle.sweep(one, QUESTION, choices=CHOICES).answers
    assert [[cell.probabilities for cell in row] for row in ours] == [
        [cell.probabilities for cell in row] for row in theirs
    ]


def test_in_proportion_to_nothing_is_nothing_written(oracle, difference):
    weighing = oracle.in_proportion(0.0)
    found = weighing.choose(difference, QUESTION, CHOICES, controls=[Nothing()])
    assert found.probabilities == found.controls["nothing"].probabilities
    plain = oracle.choose(difference, QUESTION, CHOICES, controls=[Nothing()])
    assert plain.probabilities != plain.controls["nothing"].probabilities
    assert plain.controls["nothing"].probabilities == found.probabilities


def batch_of(oracle, *shown: Shown):
    asker: Asker = oracle._asker
    return asker.batch([asker.show(one) for one in shown], whole=False)


def test_each_slot_is_written_at_its_relative_strength_beside_readings_that_are_not(
    oracle, difference, reading
):
    weighing = oracle.in_proportion(2.0)
    batch = batch_of(weighing, Shown(difference, QUESTION), Shown(reading[:2], QUESTION))
    writing = batch.writing(strength=3.0, mode="add")
    expected = [*(6 * one for one in difference.relative_strengths), 3.0, 3.0]
    assert writing.strength.tolist() == pytest.approx(expected)
    assert batch_of(oracle, Shown(difference, QUESTION)).writing(strength=3.0, mode="add").strength
    assert batch_of(weighing, Shown(reading, QUESTION)).strengths is None


def test_strengths_change_the_answer_s_probabilities_and_are_warned_about(oracle, difference):
    plain = oracle.choose(difference, QUESTION, CHOICES)
    found = oracle.in_proportion(3.0).choose(difference, QUESTION, CHOICES)
    assert found.probabilities != plain.probabilities
    assert found.relative_strengths == plain.relative_strengths == difference.relative_strengths
    assert any("times the strength that the oracle was trained at" in w for w in found.warnings)
    assert not any("times the strength" in warning for warning in plain.warnings)


def test_controls_are_as_strong_as_what_they_stand_in_for_and_others_as_always(
    oracle, difference, reading
):
    random = RandomDirection().shown(difference)
    assert random.relative_strengths == pytest.approx(difference.relative_strengths)
    controls = [RandomDirection(), Donor(reading, name="base"), Nothing()]
    found = oracle.in_proportion(2.0).choose(difference, QUESTION, CHOICES, controls=controls)
    plain = oracle.choose(reading, QUESTION, CHOICES)
    base = found.controls["base"].probabilities
    assert base == pytest.approx(plain.probabilities, abs=1e-5)
    said = {
        name: any("times the strength" in warning for warning in one.warnings)
        for name, one in found.controls.items()
    }
    assert said == {"random": True, "base": False, "nothing": False}


def test_the_oracle_itself_stays_as_it_was(oracle, difference):
    before = oracle.choose(difference, QUESTION, CHOICES).probabilities
    oracle.in_proportion(9.0)
    assert oracle.choose(difference, QUESTION, CHOICES).probabilities == before


def test_what_is_no_difference_cannot_be_shown_in_proportion(oracle, reading):
    weighing = oracle.in_proportion()
    with pytest.raises(MismatchError, match="Only a difference"):
        weighing.ask(reading, QUESTION)
    with pytest.raises(MismatchError, match="Only a difference"):
        weighing.sweep(reading, QUESTION, choices=CHOICES)


@pytest.mark.parametrize("times", [-1.0, float("nan"), float("inf")])
def test_a_proportion_is_a_number_of_times(oracle, times):
    with pytest.raises(ConfigError, match="0 or more times"):
        oracle.in_proportion(times)


def test_a_difference_of_nothing_is_written_as_nothing(oracle, difference):
    none = difference.with_vectors(torch.zeros_like(difference.vectors), "no difference")
    found = oracle.in_proportion(5.0).choose(none, QUESTION, CHOICES, controls=[Nothing()])
    assert found.probabilities == found.controls["nothing"].probabilities
