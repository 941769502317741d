"""What is asked was told at one turn, and only a later one is shown."""

from collections import Counter

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.dialogue import dialogue, without
from activation_oracles.evals.suites.talks import Told
from activation_oracles.world.suites import village
from activation_oracles.world.talks import ASKED, UNASKED

ROLES = {"u": "user", "a": "assistant", "s": "system"}


def told(order, turn, **fields):
    """Return a dialogue in which speakers come in this order and one turn tells of soup."""
    messages = [
        {"role": ROLES[who], "content": "Ida likes soup." if n == turn else f"Words {n}."}
        for n, who in enumerate(order)
    ]
    held = {"question": "What does Ida like?", "answer": "soup", "source": "one"}
    return Told.model_validate(held | {"messages": messages, "turn": turn} | fields)


def drawn(demo, *dialogues, at="all"):
    given = Given(layers=(4,), dialogues=lambda: dialogues, at=at)
    return dialogue(given).drawn({"": demo.target()})


def decoded(demo, case, positions=None):
    ids = case.context if positions is None else [case.context[one] for one in positions]
    return demo.model.tokenizer.decode(list(ids))


def test_only_the_last_turn_is_shown_and_the_header_of_a_reply(demo):
    cases = {"uauau": "user\n Words 4.<|im_end|>\n<|im_start|>assistant\n"}
    cases |= {"uaua": "assistant\n Words 3.<|im_end|>\n"}
    for order, shown in cases.items():
        rows = drawn(demo, told(order, 0))
        for one in rows:
            assert decoded(demo, one, one.positions) == f"<|im_start|>{shown}"
    (one, _) = drawn(demo, told("uauau", 0), at=-1)
    assert decoded(demo, one, one.positions) == "\n"
    (one, _) = drawn(demo, told("uauau", 0), at="last assistant turn")
    assert decoded(demo, one, one.positions) == "<|im_start|>assistant\n"
    with pytest.raises(DataError, match="no token of the last turn"):
        drawn(demo, told("uauau", 0), at=0)


def test_the_control_never_heard_it(demo):
    told_row, untold = drawn(demo, told("uauau", 2, group="facts"))
    assert (told_row.task, untold.task) == ("facts, 2 turns back", "facts, not told")
    assert (told_row.answer, untold.answer) == ("soup", "soup")
    assert "soup" in decoded(demo, told_row)
    assert "soup" not in decoded(demo, untold)
    assert told_row.unit == untold.unit


@pytest.mark.parametrize(
    ("order", "turn", "left"),
    [("uauau", 0, [2, 3, 4]), ("uauau", 1, [2, 3, 4]), ("sua", 0, [1, 2]), ("uuau", 0, [1, 2, 3])],
)
def test_with_what_was_told_goes_what_belongs_to_it(order, turn, left):
    assert [text for _, text in without(told(order, turn))] == [f"Words {n}." for n in left]


def test_a_dialogue_that_ends_with_the_reply_to_it_is_refused():
    with pytest.raises(DataError, match="go on for a turn"):
        without(told("ua", 0))


def test_other_words_may_take_its_place():
    found = without(told("uau", 0, untold="Ida has a dog."))
    assert found == (("user", "Ida has a dog."), ("assistant", "Words 1."), ("user", "Words 2."))
    with pytest.raises(ValueError, match="stands in `untold`"):
        told("uau", 0, untold="Otto likes soup.")


def test_the_village_tells_it_once_and_as_often_at_every_distance(demo):
    rows = village(demo, layers=(4,), limit=24).dialogues()
    assert [len(one.messages) - 1 - one.turn for one in rows] == [2, 4, 8, 16] * 6
    assert Counter(one.group for one in rows) == dict.fromkeys((ASKED, UNASKED), 12)
    for one in rows:
        (name,) = {word.strip("?.") for word in one.question.split()[1:] if word[0].isupper()}
        assert name in one.messages[one.turn].content
        assert len(one.untold.split(".")) == len(one.messages[0].content.split(".")) - 1
        assert (name in one.messages[-1].content) == (one.group != UNASKED)


def test_dialogues_are_needed():
    with pytest.raises(DataError, match=r"dialogues\.jsonl"):
        dialogue(Given(layers=(4,)))
