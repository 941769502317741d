"""Parting rows loses none of them, and means nothing where they do not differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.evals.report.slices import MOST_VALUES, _labels, sliced
from sample_runs import run


def test_groups_hold_every_row_once():
    one = run("one", 0.6)
    for slices in sliced([one]):
        for curve in slices.curves:
            parts = [score for score in curve.scores if score is not None]
            scores = [
                record.score
                for record in one.records
                if (record.who, record.control) == (curve.who, curve.control)
            ]
            assert sum(part.num_answers for part in parts) == len(scores) == 24
            total = sum(part.score * part.num_answers for part in parts)
            assert total == pytest.approx(sum(scores))


def test_rows_are_parted_by_what_they_differ_in_and_by_nothing_else():
    assert [(one.by, one.groups) for one in sliced([run("one")])] == [
        ("layers", ("2", "4")),
        ("last token shown, from the end of the text", ("1", "2", "3")),
    ]
    layers = sliced([run("one", layers=((4,), (2,), (2, 4)))])[0]
    assert layers.groups == ("2", "4", "2+4")


def test_runs_share_the_groups_of_a_task():
    found = sliced([run("first"), run("second", seed=1)])
    assert {curve.run for curve in found[0].curves} == {"first", "second"}
    assert all(len(curve.scores) == len(one.groups) for one in found for curve in one.curves)


@given(st.sets(st.integers(1, 5000), min_size=1))
def test_a_number_is_in_the_range_that_names_it(numbers):
    ordered = sorted(numbers)
    labels = _labels(ordered)
    assert list(labels) == ordered
    assert len(set(labels.values())) <= max(MOST_VALUES, 14)
    for number, label in labels.items():
        first, _, last = label.partition(" to ")
        assert int(first) <= number <= int(last or first)
