"""Evaluation: every table has controls, keeps its units, and can be read back."""

from dataclasses import dataclass

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.evaluation import advantages, compare, run, table
from activation_oracles.evals.grade import exact, yes_no
from activation_oracles.evals.summary import markdown, summary
from activation_oracles.types import Example


@dataclass
class Says:
    """Answers every example alike."""

    text: str
    name: str = "oracle"
    control: str | None = None

    def answer(self, examples):
        return [self.text] * len(examples)


CONTROLS = [Says("No", control="nothing"), Says("red", control="random")]


def example(answer, source, task="colour"):
    return Example((1, 2, 3), (2,), (0,), "Which?", answer, task, source)


EXAMPLES = [
    example("red", "a"),
    example("red", "a"),
    example("blue", "b"),
    example("Yes", "c", "true"),
]


def test_every_answerer_answers_every_example():
    records = run(EXAMPLES, [Says("Yes"), *CONTROLS], exact)
    assert [record.score for record in records if record.control is None] == [0, 0, 0, 1]
    assert len(records) == 3 * len(EXAMPLES)


def test_a_table_counts_units_and_not_rows():
    rows = table(run(EXAMPLES, [Says("red"), *CONTROLS], exact))
    row = next(row for row in rows if row.task == "colour" and row.control is None)
    assert (row.estimate.num_answers, row.estimate.num_units) == (3, 2)
    assert row.estimate.score == row.majority == pytest.approx(2 / 3)
    assert row.chance == 0.5


def test_rows_of_one_task_stand_together_in_first_seen_order():
    rows = table(run(EXAMPLES, [Says("red"), *CONTROLS], exact))
    assert [(row.task, row.control) for row in rows] == [
        (task, control) for task in ("colour", "true") for control in (None, "nothing", "random")
    ]


def test_what_cannot_be_judged_is_counted_and_left_out():
    rows = table(run(EXAMPLES, [Says("Perhaps"), *CONTROLS], {"colour": exact, "true": yes_no}))
    silent = next(row for row in rows if row.task == "true" and row.control is None)
    assert (silent.estimate, silent.num_unscorable) == (None, 1)
    assert "| - |" in markdown([silent])


@pytest.mark.parametrize(
    "answerers",
    [
        [Says("red")],
        [Says("red"), CONTROLS[0]],
        [Says("red"), CONTROLS[0], Says("blue", control="nothing")],
    ],
)
def test_no_evaluation_without_two_different_controls(answerers):
    with pytest.raises(ConfigError):
        run(EXAMPLES, answerers, exact)


def test_an_evaluation_without_examples_or_without_a_rule_is_refused():
    with pytest.raises(DataError):
        run([], [Says("red"), *CONTROLS], exact)
    with pytest.raises(ConfigError, match="true"):
        run(EXAMPLES, [Says("red"), *CONTROLS], {"colour": exact})


def test_a_cell_cannot_break_the_table_for_people():
    rows = table(run([example("a", "b", task="x|y")], [Says("a"), *CONTROLS], exact))
    lines = markdown(rows).splitlines()
    assert {line.replace(r"\|", "").count("|") for line in lines} == {11}


def test_a_comparison_is_made_row_by_row_against_everyone_else():
    records = run(EXAMPLES, [Says("red"), Says("red", name="probe"), *CONTROLS], exact)
    gains = {
        (one.task, one.other, one.other_control): one.gain for one in compare(records, "oracle")
    }
    assert gains["colour", "probe", None].score == 0
    assert gains["colour", "oracle", "nothing"].score == pytest.approx(1 / 2)
    assert ("colour", "oracle", None) not in gains
    with pytest.raises(DataError, match="nobody"):
        compare(records, "nobody")


def test_an_advantage_is_over_the_best_of_ones_own_controls():
    answerers = [Says("red"), Says("red", name="probe"), Says("green", control="nothing")]
    answerers.append(Says("red", control="donor"))
    records = run(EXAMPLES, answerers, exact)
    [(task, control, score)] = {
        (one.task, one.other_control, one.gain.score)
        for one in advantages(compare(records, "oracle"))
        if one.task == "colour"
    }
    assert (task, control, score) == ("colour", "donor", 0)


def test_who_says_nothing_that_can_be_judged_has_a_line_and_loses_nobody_the_table():
    mute = [Says("Hm."), Says("No", control="nothing"), Says("Hm.", control="random")]
    chosen = [Says("Yes", name="choice"), Says("No", name="choice", control="nothing")]
    found = summary(run(EXAMPLES[-1:], [*mute, *chosen], yes_no), {})
    assert [row.num_unscorable for row in found.rows] == [1, 0, 1, 0, 0]
    assert [one.who for one in found.advantages] == ["choice"]
    assert {one.who for one in found.gains} == {"choice"}
    assert summary(run(EXAMPLES[-1:], mute, yes_no), {}).gains == []
