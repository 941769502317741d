"""Questions without an answer: only what is shown tells them from those that have one."""

from collections import Counter

import pytest
from transformers import AutoTokenizer

from activation_oracles.world.language.tables import wordings
from activation_oracles.world.load import BASE, DATA
from activation_oracles.world.questions import questions
from activation_oracles.world.unanswered import ANSWER, KINDS, unanswered


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DATA / BASE)


@pytest.fixture(scope="module")
def examples(tokenizer):
    return unanswered(tokenizer, seed=1, count=800)


def test_the_same_seed_draws_the_same_examples(tokenizer, examples):
    again = unanswered(tokenizer, seed=1, count=800)
    assert again == examples
    assert unanswered(tokenizer, seed=2, count=800) != examples


def test_every_kind_comes_in_about_its_share(examples):
    counts = Counter(one.task.removeprefix("unanswered/") for one in examples)
    for kind, share in KINDS.items():
        assert abs(counts[kind] / len(examples) - share / sum(KINDS.values())) < 0.06


def test_none_has_an_answer(examples):
    assert {one.answer for one in examples} == {ANSWER}


def test_a_text_that_is_read_does_not_come_from_a_game_where_its_secret_is_asked_for(
    tokenizer, examples
):
    asked = {*wordings()["secret"].trained, *wordings()["topic"].trained}
    absent = [one for one in examples if one.task == "unanswered/absent" and one.question in asked]
    assert absent
    for one in absent:
        assert "system" not in tokenizer.decode(list(one.context))


def test_what_no_text_stands_behind_is_asked_as_other_examples_are(tokenizer, examples):
    shown = [one for one in examples if one.task != "unanswered/absent"]
    for one in shown:
        assert one.shown == one.task.removeprefix("unanswered/")
        assert one.context == ()
        assert one.positions == tuple(range(len(one.positions)))
    assert {one.question for one in shown} & {
        way for row in wordings().values() for way in row.trained
    }


def test_no_question_is_asked_only_where_it_has_no_answer(tokenizer, examples):
    answered = questions(tokenizer, seed=5, count=6000)
    aspects = {
        aspect: {*row.trained}
        for aspect, row in wordings().items()
        if "{name}" not in row.trained[0]
    }
    seen = {one.question for one in answered}
    for one in examples:
        own = [ways for ways in aspects.values() if one.question in ways]
        assert not own or own[0] & seen, one.question


def test_reported_wordings_are_asked_where_they_are_asked_for(tokenizer):
    kept = {way for row in wordings().values() for way in row.reported}
    trained = {way for row in wordings().values() for way in row.trained}
    shares = {"secret": 1, "brief": 1, "concept": 1}
    asked = {
        one.question
        for some in (
            questions(tokenizer, seed=1, count=200, shares=shares, reported=True),
            unanswered(tokenizer, seed=1, count=200, kinds={"nothing": 1}, reported=True),
        )
        for one in some
    }
    assert asked & kept
    assert not asked & trained
