"""A report compares what can be compared, and refuses the rest in words."""

from dataclasses import replace

import pytest

from activation_oracles.errors import DataError, MismatchError
from activation_oracles.evals.report.report import report, side_by_side
from sample_runs import ANSWERERS, answers, examples, run


def mean(of, who="oracle", control=None):
    scores = [one.score for one in of.records if (one.who, one.control) == (who, control)]
    return sum(scores) / len(scores)


def test_two_oracles_on_the_same_rows_are_compared_row_by_row():
    first, second = run("first", 0.4), run("second", 0.9, seed=1)
    found = {one.who: one.comparison for one in report([first, second]).between}
    assert set(found) == {"oracle", "linear probe"}
    one = found["oracle"]
    assert (one.task, one.who, one.other) == ("colour", "second", "first")
    assert one.gain.score == pytest.approx(mean(second) - mean(first))
    assert one.gain.num_answers == 24
    assert one.gain.low > 0


def test_a_run_against_its_own_answers_gains_nothing():
    found = report([run("first"), run("second")])
    assert {one.comparison.gain.score for one in found.between} == {0.0}
    assert all(one.comparison.gain.low < 0 < one.comparison.gain.high for one in found.between)


def test_three_runs_are_compared_in_pairs_each_with_every_earlier_one():
    found = report([run(name, seed=seed) for seed, name in enumerate("abc")])
    pairs = [(one.comparison.who, one.comparison.other) for one in found.between]
    assert set(pairs) == {("b", "a"), ("c", "a"), ("c", "b")}


def test_rows_that_one_cannot_be_judged_on_are_left_out_of_the_comparison():
    second = run("second", 0.9, seed=1)
    lost = tuple(
        replace(one, score=None) if one.example.source == "text/0" else one
        for one in second.records
    )
    found = report([run("first"), replace(second, records=lost)])
    assert {one.comparison.gain.num_answers for one in found.between} == {23}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"layers": ((2,), (6,))}, "12 of 24 are in first alone, 12 of 24 in second; .* in layers"),
        ({"count": 20}, "4 of 24 are in first alone, 0 of 20 in second; .* how many there are"),
    ],
)
def test_different_rows_of_one_task_are_refused_and_what_differs_is_named(other, message):
    with pytest.raises(MismatchError, match=f"different rows of task 'colour': {message}"):
        report([run("first"), run("second", **other)])


def test_runs_of_different_tasks_stand_side_by_side_and_are_not_compared():
    found = report([run("first"), run("second", task="shape")])
    assert list(side_by_side(found)) == ["colour", "shape"]
    assert found.between == ()


def test_every_answerer_of_every_run_has_its_line():
    found = side_by_side(report([run("first"), run("second", 0.9)]))["colour"]
    assert list(found) == list(ANSWERERS)
    assert {tuple(one.name for one, _ in some) for some in found.values()} == {("first", "second")}
    assert found["oracle", None][1][1].estimate.score == pytest.approx(mean(run("second", 0.9)))


def test_runs_without_a_name_of_their_own_are_refused():
    for runs in ([], [run("one"), run("one")]):
        with pytest.raises(DataError, match="name of their own"):
            report(runs)


def test_a_report_of_one_run_has_nothing_to_compare():
    found = report([replace(run("one"), records=tuple(answers(examples(6), 1.0)))])
    assert found.between == ()
    assert [one.who for one in found.summaries[0].advantages] == ["oracle"]
