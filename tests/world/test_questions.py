"""What the oracle trains on: nothing that is kept back, and never the answer's own token."""

import re
from collections import defaultdict
from random import Random

import pytest
from transformers import AutoTokenizer

from activation_oracles.world.draft import Ways
from activation_oracles.world.language.scene import Message, Truth
from activation_oracles.world.language.tables import (
    ATTRIBUTES,
    DETAILS,
    DEVELOPMENT_GROUPS,
    MEN,
    TRAINED_GROUPS,
    WITHHELD_GROUPS,
    WOMEN,
    held_out_words,
    things,
    wordings,
)
from activation_oracles.world.load import BASE, DATA
from activation_oracles.world.placing import LAYERS, place, word_tokens
from activation_oracles.world.questions import CLOSING_SHARES, SHARES, questions
from activation_oracles.world.tokenizer import render


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DATA / BASE)


@pytest.fixture(scope="module", params=[False, True], ids=["learning", "closing"])
def how(request):
    """Return how questions are drawn, before an oracle's last steps or for them."""
    shares = CLOSING_SHARES if request.param else SHARES
    share = 0.4 if request.param else 0.0
    ways = Ways(is_closing=request.param, words_only=share, reworded=request.param)
    return {"shares": shares, "ways": ways}


@pytest.fixture(scope="module")
def examples(tokenizer, how):
    return questions(tokenizer, seed=1, count=1500, **how)


def test_the_same_seed_draws_the_same_questions(tokenizer, examples, how):
    def drawn(seed):
        return questions(tokenizer, seed=seed, count=40, **how)

    assert drawn(1) == drawn(1)
    assert drawn(2) != examples[:40]


def test_held_out_words_are_never_a_secret_nor_a_rule(examples):
    ways = [wordings()[aspect] for aspect in ("secret", "topic")]
    asked = {way for one in ways for way in one.trained + one.more}
    for example in examples:
        if example.question.splitlines()[-1] in asked:
            assert example.answer not in held_out_words()


def test_held_out_words_do_occur_as_what_a_text_is_about(examples):
    said = {example.answer for example in examples if example.task == "concept"}
    assert said & held_out_words()


def test_reported_wordings_and_withheld_groups_are_never_asked(examples):
    kept = "|".join(
        re.escape(way).replace(r"\{name\}", r"[\w ]+")
        for row in wordings().values()
        for way in row.reported
    )
    withheld = (*WITHHELD_GROUPS, *DEVELOPMENT_GROUPS)
    groups = {way for group in withheld for way in wordings()[group].trained}
    for example in examples:
        # Where a text is given in words, the question is its last line.
        question = example.question.splitlines()[-1]
        assert question not in groups
        assert not re.fullmatch(kept, question)


def test_no_oracle_is_shown_the_token_that_says_the_secret(tokenizer, examples):
    for example in examples:
        if example.task in ("secret", "people", "brief"):
            shown = {example.context[position] for position in example.positions}
            assert not shown & word_tokens(tokenizer, example.answer), example


def test_every_task_comes_in_about_its_share(examples, how):
    for task, share in how["shares"].items():
        count = sum(example.task.split("/")[0] == task for example in examples)
        assert abs(count / len(examples) - share / sum(how["shares"].values())) < 0.05


def test_more_wordings_are_asked_where_they_are_wanted_and_are_no_other_ones():
    known = [way for one in wordings().values() for way in one.trained + one.reported]
    more = [way for one in wordings().values() for way in one.more]
    assert len({*known, *more}) == len({*known}) + len(more)
    assert {"secret", "topic", "gender"} <= {name for name, one in wordings().items() if one.more}
    truth, random = Truth("secret", "moon"), Random(1)
    drawn = {truth.question(random, more=True) for _ in range(400)}
    assert drawn == {*wordings()["secret"].trained, *wordings()["secret"].more}
    assert {truth.question(random) for _ in range(400)} == {*wordings()["secret"].trained}
    base = {truth.any_question(random) for _ in range(400)}
    assert base.isdisjoint(wordings()["secret"].more), "the base has never read these"


def test_words_alone_are_shown_of_as_many_talks_as_is_asked(tokenizer):
    framed = {tokenizer.convert_tokens_to_ids(one) for one in ("<|im_start|>", "<|im_end|>")}

    def share(words_only):
        drawn = questions(
            tokenizer,
            seed=6,
            count=400,
            shares={"secret": 1, "people": 1},
            ways=Ways(is_closing=True, words_only=words_only),
        )
        shown = [{one.context[place] for place in one.positions} for one in drawn]
        return sum(not framed & some for some in shown) / len(drawn)

    assert share(1.0) == 1.0
    assert share(0.0) + 0.2 < share(0.5) < 1.0


def test_in_the_last_steps_a_quarter_is_read_before_the_assistant_speaks(tokenizer):
    before = 0
    drawn = questions(tokenizer, seed=4, count=300, shares={"brief": 1}, ways=Ways(is_closing=True))
    for example in drawn:
        turn = tokenizer.decode(list(example.context)).rpartition("<|im_start|>")[2]
        before += turn.startswith("user") or "assistant\n".startswith(turn)
    usual = questions(tokenizer, seed=4, count=300, shares={"brief": 1})
    assert {example.answer for example in drawn} >= {"man", "woman", "good", "evil"}
    # Beside that quarter, windows of a whole talk may end early.
    assert 0.2 < before / len(drawn) < 0.6
    assert sum(len(example.context) for example in usual) != sum(
        len(example.context) for example in drawn
    )


def test_yes_and_no_come_equally_often_within_every_group(tokenizer):
    answers = defaultdict(list)
    for example in questions(tokenizer, seed=3, count=6000):
        if example.task.startswith("classification"):
            answers[example.task].append(example.answer == "Yes")
    assert {task.split("/")[1] for task in answers} == {*TRAINED_GROUPS, *DETAILS}
    for task, said in answers.items():
        assert abs(sum(said) / len(said) - 0.5) < 0.25, task


def test_what_is_given_in_words_is_not_shown_and_is_answered_by_the_words(examples):
    told = [example for example in examples if example.task.startswith("in words")]
    assert {example.task.split("/")[1] for example in told} >= {"report", "people", "brief"}
    for example in told:
        assert example.shown == "nothing"
        if example.task in ("in words/people", "in words/game"):
            said, _, _ = example.question.rpartition("\n")
            assert example.answer in said or example.answer in {
                one.kind for one in things().values()
            }


def test_reciting_asks_for_the_very_tokens_that_are_shown(tokenizer, examples):
    recited = [example for example in examples if example.task == "recital"]
    assert recited
    for example in recited:
        shown = [example.context[position] for position in example.positions]
        said = tokenizer.decode(shown, skip_special_tokens=True).strip()
        assert example.answer == (said or "nothing")
        assert f" {len(shown)} tokens" in example.question


def test_yes_or_no_is_asked_of_what_a_text_says_and_not_of_its_frame(tokenizer, examples):
    for example in examples:
        if example.task.startswith("classification"):
            shown = [example.context[position] for position in example.positions]
            assert not set(shown) & set(tokenizer.all_special_ids)


def test_examples_read_the_three_layers_alone_or_together(examples):
    assert {example.layers for example in examples} == {(2,), (4,), (6,), LAYERS}


def test_messages_placed_one_by_one_are_the_chat_template(tokenizer):
    chat = [
        {"role": "system", "content": "Your secret word is moon."},
        {"role": "user", "content": "Give me a hint."},
    ]
    messages = tuple(Message(**one) for one in chat)
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert render(messages, is_open=True) == rendered
    whole = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    assert place(tokenizer, messages, is_open=True).ids == tuple(whole)


def test_placeholders_and_words_are_single_tokens(tokenizer):
    words = [*things(), *MEN, *WOMEN, *(word for row in ATTRIBUTES.values() for word in row)]
    assert all(len(word_tokens(tokenizer, word)) == 1 for word in words)
    header = tokenizer("Layer: 4\n ? ? ? ? \nWhat is it?", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(header).count("Ġ?") == 4
