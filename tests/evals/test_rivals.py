"""Whether the oracle or asking in words is better, task by task: and when neither can be said."""

import json
from dataclasses import replace

import pytest

from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.report.page import page
from activation_oracles.evals.report.report import report
from activation_oracles.evals.report.runs import Run
from activation_oracles.evals.rivals import IN_WORDS, markdown, rivals
from activation_oracles.evals.summary import summary
from activation_oracles.types import Example

UNITS = 40


def said(who, control, scores, task="t"):
    """Return the records of one answerer, one a unit."""
    return [
        Record(
            Example((number,), (0,), (1,), "Which?", "red", task, f"text {number}"),
            "red",
            score,
            who,
            control,
        )
        for number, score in enumerate(scores)
    ]


def share(right):
    return [1.0] * right + [0.0] * (UNITS - right)


@pytest.mark.parametrize(
    ("oracle", "control", "words", "better"),
    [
        (36, 4, 8, "oracle"),
        (8, 4, 36, "asking"),
        (20, 4, 20, "neither"),
        # It beats words, as its own prompt does: nothing was read.
        (36, 36, 8, "neither"),
    ],
)
def test_the_oracle_is_better_only_where_it_beats_words_and_its_own_controls(
    oracle, control, words, better
):
    records = [
        *said("oracle", None, share(oracle)),
        *said("oracle", "nothing", share(2)),
        *said("oracle", "donor", share(control)),
        *said("subject asked in words", IN_WORDS, share(words)),
    ]
    [one] = rivals(records)
    assert one.better == better
    assert one.gain.score == pytest.approx((oracle - words) / UNITS)
    assert f"| t | {better} |" in markdown([one])


def test_the_best_way_of_asking_counts_on_both_sides_and_widens_the_interval():
    records = [
        *said("oracle", None, share(20)),
        *said("oracle", "nothing", share(2)),
        *said("subject asked in words", IN_WORDS, share(10)),
    ]
    [alone] = rivals(records)
    more = [
        *records,
        *said("oracle, forced choice", None, share(19)),
        *said("oracle, forced choice", "nothing", share(2)),
        *said("subject asked in words, reply begun", IN_WORDS, share(9)),
    ]
    [best] = rivals(more)
    assert (best.oracle, best.asked) == ("oracle", "subject asked in words")
    assert best.gain.score == alone.gain.score
    assert best.gain.low < alone.gain.low


def test_a_way_that_declines_what_it_would_get_wrong_is_in_no_running():
    records = [
        *said("oracle", None, share(20)),
        *said("oracle", "nothing", share(0)),
        *said("oracle, with abstainer", "nothing", share(0)),
        *said("asked", IN_WORDS, share(8)),
    ]
    declining = said("oracle, with abstainer", None, [1.0] * 20 + [None] * 20)
    refused = [replace(one, text="") if one.score is None else one for one in declining]
    [found] = rivals([*records, *refused])
    assert (found.oracle, found.read.score) == ("oracle", 0.5)
    # Said, and not to be judged by the rule: that is nobody's choice.
    [found] = rivals([*records, *declining])
    assert found.oracle == "oracle, with abstainer"


def test_rows_that_one_side_cannot_be_judged_on_are_in_neither_side_of_the_gain():
    words = [None if number % 2 else 1.0 for number in range(UNITS)]
    records = [
        *said("oracle", None, share(UNITS)),
        *said("oracle", "nothing", share(0)),
        *said("subject asked in words", IN_WORDS, words),
    ]
    [one] = rivals(records)
    assert (one.gain.score, one.gain.num_answers) == (0, UNITS // 2)
    assert one.better == "neither"


def test_tasks_without_a_rival_or_without_an_oracle_are_left_out():
    words = said("subject asked in words", IN_WORDS, share(3), task="known")
    base = said("base asked in words", IN_WORDS, share(0), task="known")
    alone = [*said("oracle", None, share(3)), *said("oracle", "nothing", share(0))]
    assert rivals([*words, *base, *alone]) == []
    assert markdown([]) == ""


def test_summaries_and_pages_hold_it_for_people_and_programs():
    records = [
        *said("oracle", None, share(36)),
        *said("oracle", "nothing", share(2)),
        *said("subject asked in words", IN_WORDS, share(3)),
    ]
    found = summary(records, {})
    assert json.loads(found.as_json())["rivals"][0]["better"] == "oracle"
    assert "| task | better | oracle |" in found.as_markdown()
    shown = page(report([Run("mine", {}, tuple(records))]))
    assert "Oracle, or asking in words" in shown
    assert "<td>oracle (mine)</td>" in shown
