"""Answers must follow what is shown: changed where it changes, and right both times."""

from dataclasses import replace

import pytest

from activation_oracles.evals.answerers import Shown
from activation_oracles.evals.cases import Case
from activation_oracles.evals.evaluation import Record, judged
from activation_oracles.evals.subjects import Own
from activation_oracles.evals.suites.sensitivity import paired, sensitivity
from activation_oracles.world.suites import village


def record(number, answer, text, score, who="oracle", question="Is it?"):
    case = Case((1,), (0,), (4,), question, answer, "night", str(number))
    return Record(case, text, score, who, None)


def shares(records):
    found = {}
    for one in paired(records, {"night": "texts"}, seed=0):
        found.setdefault((one.who, one.example.task.split(": ")[1]), []).append(one.score)
    return {key: sum(some) / len(some) for key, some in found.items()}


def test_an_answer_that_never_changes_is_never_right_both_times():
    truths = ["Yes", "No"] * 4
    deaf = [record(n, true, "Yes", float(true == "Yes"), "deaf") for n, true in enumerate(truths)]
    good = [record(n, true, true, 1.0, "good") for n, true in enumerate(truths)]
    wrong = [
        record(n, true, "No" if true == "Yes" else "Yes", 0.0, "wrong")
        for n, true in enumerate(truths)
    ]
    assert shares([*deaf, *good, *wrong]) == {
        ("deaf", "answer changed"): 0,
        ("deaf", "right both times"): 0,
        ("good", "answer changed"): 1,
        ("good", "right both times"): 1,
        ("wrong", "answer changed"): 1,
        ("wrong", "right both times"): 0,
    }


def test_pairs_share_a_question_and_never_an_answer():
    records = [
        record(1, "Yes", "Yes", 1.0),
        record(2, "No", "No", 1.0, question="Was it?"),
        record(3, "Yes", "Yes", 1.0, question="Was it?"),
        record(4, "Yes", "Yes", 1.0, question="Will it be?"),
    ]
    found = paired(records, {"night": "texts"}, seed=0)
    assert {one.example.source for one in found} == {"2", "3"}
    assert {one.text for one in found} == {"No | Yes", "Yes | No"}


@pytest.fixture(scope="module")
def given(demo):
    whole = village(demo, layers=(6,), limit=4)
    subjects = tuple(one for one in whole.subjects if one.name in ("taboo_piano", "taboo_key"))
    some = [one for one in whole.examples() if one.task.endswith("polite")]
    return replace(whole, subjects=subjects, examples=lambda: some)


def test_an_oracle_follows_what_it_is_shown_and_its_prompt_alone_does_not(demo, given):
    evaluation = sensitivity(given)
    targets = {"": demo.target()} | {one.name: demo.target(one.name) for one in evaluation.subjects}
    rows = evaluation.drawn(targets)
    assert {one.task for one in rows} == {
        "classification/polite",
        "taboo, direct",
        "taboo, standard",
    }
    own = Own({name: target.vectors for name, target in targets.items()})

    def say(examples, vectors):
        return demo.oracle.answer(examples, vectors, max_new_tokens=4)

    def blind(examples, vectors):
        return say(examples, [None] * len(vectors))

    answerers = [Shown("oracle", None, own, say), Shown("oracle", "nothing", own, blind)]
    records = [one for who in answerers for one in judged(rows, who, evaluation.grade)]
    found = evaluation.further(records)
    assert {one.example.task for one in found} == {
        f"{name}: {what}"
        for name in ("in distribution", "taboo, direct", "taboo, standard")
        for what in ("answer changed", "right both times")
    }
    for control, bound in ((None, 0.5), ("nothing", 0.2)):
        for what in ("answer changed", "right both times"):
            scores = [
                one.score
                for one in found
                if one.control == control and one.example.task.endswith(what)
            ]
            share = sum(scores) / len(scores)
            # With nothing in them, the number of slots may still turn an answer over.
            assert share < bound if control else share > bound
