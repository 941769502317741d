"""Texts that run together are of like length, and all of them run."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.errors import DataError
from activation_oracles.models.batching import batches, cheapest_cuts, hosts


def cost(sizes, cuts, beside):
    return sum((end - start) * max(sizes[start:end]) + beside for start, end in pairwise(cuts))


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(0, 80), st.integers(1, 200)
)
def test_no_other_cuts_run_fewer_tokens(sizes, beside, most):
    found = cheapest_cuts(sizes, beside=beside, most=most)
    places = range(1, len(sizes))
    every = [
        (0, *inner, len(sizes))
        for count in range(len(sizes))
        for inner in combinations(places, count)
    ]
    allowed = [
        cuts
        for cuts in every
        if all(end - start == 1 or (end - start) * max(sizes[start:end]) <= most
               for start, end in pairwise(cuts))
    ]  # fmt: skip
    assert tuple(found) in allowed
    assert cost(sizes, found, beside) == min(cost(sizes, cuts, beside) for cuts in allowed)


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(0, 2)))
def test_every_context_runs_once_and_with_those_of_its_depth(deepest):
    found = list(batches(deepest, 10))
    assert sorted(context for batch in found for context in batch) == sorted(deepest)
    assert all(len({deepest[context] for context in batch}) == 1 for batch in found)


def test_each_context_lies_in_the_longest_that_begins_with_it():
    found = hosts([(1, 2, 3), (1,), (1, 2), (1, 3), (2,), (2, 3, 1)])
    assert found == {
        (1, 2, 3): (1, 2, 3), (1, 2): (1, 2, 3), (1,): (1, 2, 3), (1, 3): (1, 3),
        (2,): (2, 3, 1), (2, 3, 1): (2, 3, 1),
    }  # fmt: skip


def test_a_text_without_tokens_is_refused():
    with pytest.raises(DataError, match="no tokens"):
        list(batches({(): 0, (1,): 0}, 1))
