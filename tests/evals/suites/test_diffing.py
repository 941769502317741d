"""What fine-tuning changed is asked of the difference, and never copied from a reply."""

from dataclasses import replace

import pytest

from activation_oracles.evals.subjects import Difference, Own, Subject
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.diffing import FIRST, diffing
from activation_oracles.world.suites import village

CHOSEN = ("constraint_bread_0", "constraint_car_0")


@pytest.fixture(scope="module")
def given(demo):
    whole = village(demo, layers=(6,), limit=3)
    return replace(whole, subjects=tuple(one for one in whole.subjects if one.name in CHOSEN))


@pytest.fixture(scope="module")
def targets(demo):
    return {"": demo.target()} | {name: demo.target(name) for name in CHOSEN}


def test_the_first_tokens_of_a_prompt_are_read_and_replies_up_to_what_they_tell(
    demo, given, targets
):
    evaluation = diffing(given)
    assert evaluation.of_difference
    rows = evaluation.drawn(targets)
    first = [one for one in rows if one.task == "diffing, rule, first tokens"]
    assert len(first) == len(rows) / 2 == 2 * 3 * 2
    assert all(one.positions == tuple(range(FIRST))[: len(one.context)] for one in first)
    assert all(len(one.talk) == 1 for one in first)
    named = [one for one in rows if one not in first]
    assert any(one.answer in one.talk[-1][1] for one in named)
    assert not any(one.answer in demo.model.tokenizer.decode(one.context) for one in named)
    assert evaluation.choices[named[0].task] == ("bread", "car")


def test_an_oracle_tells_from_the_difference_what_was_taught_and_not_from_the_base(
    demo, given, targets
):
    evaluation = diffing(given)
    rows = [one for one in evaluation.drawn(targets) if one.task.endswith("as named")]
    own = Own({name: target.vectors for name, target in targets.items()})
    base = targets[""].vectors
    choices = evaluation.choices[rows[0].task]

    def share(vectors):
        said = demo.oracle.answer(rows, vectors, max_new_tokens=4)
        grade = evaluation.grade[rows[0].task]
        return sum(grade(text, one.answer) for text, one in zip(said, rows, strict=True))

    assert choices == ("bread", "car")
    assert share(Difference(own, base)(rows)) > share(base(rows)) == 0


def test_a_subject_of_ones_own_is_asked_what_has_changed_on_published_prompts(demo):
    subject = Subject(name="x", kind="em", adapter="a", hides={"change": "risky advice"})
    evaluation = diffing(Given(subjects=(subject,), layers=(4,), limit=0))
    rows = evaluation.drawn({"": demo.target(), "x": demo.target()})
    assert len(rows) == 2 * 7 * 3
    assert rows[0].talk[0][1].startswith("Write a clean two-sentence joke")
    assert {one.unit for one in rows} == {"x"}
    assert not evaluation.choices
    assert evaluation.grade[rows[0].task]("It gives risky advice.", rows[0].answer) == 1
