"""The most frequent answer: counted by question where it was asked before, else by task."""

import pytest

from activation_oracles.baselines.majority import Majority
from activation_oracles.errors import DataError
from activation_oracles.types import Example


def example(question, answer, task="t"):
    return Example((1,), (0,), (0,), question, answer, task, "s")


def test_the_narrowest_count_that_exists_decides():
    training = [example("a?", "Yes"), *[example("b?", "No")] * 3, example("c?", "red", "u")]
    asked = [example("a?", "-"), example("new?", "-"), example("new?", "-", "new")]
    assert Majority(training).answer(asked) == ["Yes", "No", "No"]


def test_it_counts_something():
    with pytest.raises(DataError):
        Majority([])
