"""Every question is asked of a text that answers it, and of one that does not."""

from collections import Counter

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.missing import handed_round, missing_information
from activation_oracles.evals.suites.passages import Passage
from activation_oracles.world.suites import village


def told(*facts):
    return [
        Passage("fact", f"{name}/{n}", f"{name} likes {food}.", f"What does {name} like?", food)
        for n, (name, food) in enumerate(facts)
    ]


def test_questions_go_round_to_texts_that_do_not_answer_them():
    passages = told(("Ida", "rice"), ("Otto", "soup"), ("Ida", "cake"), ("Max", "soup"))
    for seed in range(10):
        strangers = handed_round(passages, seed)
        assert sorted(one.source for one in strangers) == sorted(one.source for one in passages)
        for own, other in zip(passages, strangers, strict=True):
            assert other.answer not in own.text
            assert own.text.split()[0] not in other.question


def test_texts_that_answer_each_others_questions_are_refused():
    with pytest.raises(DataError, match="cannot lend each other"):
        handed_round(told(("Ida", "rice"), ("Ida", "soup")), 0)


def test_no_question_tells_whether_it_can_be_answered(demo):
    given = village(demo, layers=(4,), limit=12)
    evaluation = missing_information(given)
    rows = evaluation.drawn({"": demo.target()})
    assert len(rows) == 12 * 2 * len(given.questions["answerable"])
    asked = {
        answer: Counter(one.talk[0][1].split(". ")[-1] for one in rows if one.answer == answer)
        for answer in ("Yes", "No")
    }
    assert asked["Yes"] == asked["No"]
    assert evaluation.choices == {"missing information": ("Yes", "No")}


def test_passages_are_needed():
    with pytest.raises(DataError, match="as `files`"):
        missing_information(Given(layers=(4,)))
