"""Questions about conversations are read at the turns they name, or at those that there are."""

import json
import re
from collections import Counter
from random import Random

import pytest

from activation_oracles.errors import DataError
from activation_oracles.models.chat import encode_chat
from activation_oracles.tasks.conversation import (
    REPLY,
    REQUEST,
    SPEAKER,
    Conversations,
    part,
    read_talks,
)
from activation_oracles.tasks.entries import encode_entry, read_entries
from activation_oracles.tasks.task import Task, split_of
from activation_oracles.tasks.windows import Layers

WORDS = "the old mill stands by a river and Anna likes green apples there".split()


def chat(number: int) -> list[dict]:
    numbers = Random(number)
    turns = [
        {"role": role, "content": f"{number} " + " ".join(numbers.choices(WORDS, k=6))}
        for role in ("user", "assistant", "user", "assistant")
    ]
    return turns[: 3 if number % 3 else 4]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("talks") / "talks.jsonl"
    lines = []
    for number in range(40):
        questions = [
            {"question": "What does the user want?", "answer": f"apples {number}"},
            {"question": "What comes?", "answer": "a reply", "at": "before answer"},
            {"question": "Where?", "answer": "there", "at": ["first user turn", '"Anna"']},
        ]
        lines.append(
            {
                "messages": [*chat(number), {"role": "user", "content": "Is it Anna?"}],
                "questions": questions,
            }
        )
        lines.append({"messages": chat(100 + number)})
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture(scope="module")
def task(path, tiny_tokenizer) -> Task:
    talks, chats = read_talks(path)
    assert (len(talks), len(chats)) == (120, 40)
    layers = Layers((1, 2), "one")
    return Conversations(talks, chats, (), tiny_tokenizer, layers, held_out_fraction=0.3)


def read_at(example, path, tokenizer):
    """Return the conversation of an example as the target reads it."""
    row = json.loads(path.read_text().splitlines()[int(example.source.partition(":")[2]) - 1])
    text = encode_chat(tokenizer, row["messages"])
    assert text.token_ids[: len(example.context)] == example.context
    assert example.positions[-1] == len(example.context) - 1
    return text, row["messages"]


def roles(example, text):
    return {text.roles[at] for at in example.positions}


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_given_questions_are_read_where_they_say_or_at_the_last_turns(
    task, path, tiny_tokenizer, split
):
    found = [one for one in task.examples(split, seed=1) if one.task == "conversation"]
    by_question = Counter()
    for one in found:
        text, messages = read_at(one, path, tiny_tokenizer)
        assert split_of("\n".join(m["content"] for m in messages), 0.3) == split
        by_question[one.question] += 1
        if one.question == "What comes?":
            assert one.positions == (len(text.token_ids) - 1,)
        elif one.question == "What does the user want?":
            assert roles(one, text) in ({"user"}, {"assistant"})
            words = range(text.turns[-1].content_start, text.turns[-1].content_end)
            reply = next(turn for turn in reversed(text.turns) if turn.role == "assistant")
            own = range(reply.content_start, reply.content_end)
            assert set(one.positions) <= set(words) or set(one.positions) <= set(own)
    assert by_question["What does the user want?"] == 2 * by_question["What comes?"]
    assert by_question["Where?"] == 2 * by_question["What comes?"] > 0


def test_chats_without_questions_are_asked_who_speaks_what_was_said_and_what_comes(
    task, path, tiny_tokenizer
):
    found = [one for one in task.examples("train", seed=1) if "/" in one.task]
    assert {one.task for one in found} == {
        f"conversation/{ask}" for ask in ("speaker", "request", "reply")
    }
    for one in found:
        text, messages = read_at(one, path, tiny_tokenizer)
        said = [message["content"] for message in messages]
        at = {
            n
            for n, turn in enumerate(text.turns)
            if turn.content_start <= one.positions[-1] < turn.content_end
        }
        if one.question == SPEAKER:
            assert {f"The {role}." for role in roles(one, text)} == {one.answer}
        elif one.question == REQUEST:
            assert one.answer == said[at.pop() - 1]
        else:
            assert one.question == REPLY
            before = at.pop() if at else None
            replies = [said[before + 1]] if before is not None else said[1::2]
            assert any(reply.startswith(one.answer) for reply in replies)


def test_no_role_is_the_better_guess(task, tiny_tokenizer):
    talkative = [
        {"role": role, "content": f"{role} says {number}"}
        for number, role in enumerate(("user", *["assistant"] * 8))
    ]
    many = Conversations(
        (),
        [type(task.chats[0])(tuple(talkative), f"c:{n}") for n in range(300)],
        (),
        tiny_tokenizer,
        Layers((1,)),
        asks=("speaker",),
        held_out_fraction=0.0,
    )
    counts = Counter(one.answer for one in many.examples("train", seed=1))
    assert 110 < counts["The user."] < 190
    assert sum(counts.values()) == 300


def test_a_part_is_all_or_a_run_within():
    drawn = [part(range(5, 9), Random(seed)) for seed in range(400)]
    assert 150 < sum(len(one) == 4 for one in drawn) < 300
    for one in drawn:
        assert list(one) == list(range(one[0], one[-1] + 1))
        assert set(one) <= set(range(5, 9))
    assert {(one[0], one[-1]) for one in drawn} == {
        (start, end) for start in range(5, 9) for end in range(start, 9)
    }


def test_the_same_seed_makes_the_same_and_another_does_not(task):
    first = list(task.examples("train", seed=1))
    assert first == list(task.examples("train", seed=1)) != list(task.examples("train", seed=2))


def test_a_place_that_a_conversation_does_not_have_is_named(tmp_path, tiny_tokenizer):
    row = {"messages": chat(1)[:1], "question": "Who?", "answer": "I", "at": "last system turn"}
    (tmp_path / "talks.jsonl").write_text(json.dumps(row))
    talks, _ = read_talks(tmp_path / "talks.jsonl")
    task = Conversations(talks, (), (), tiny_tokenizer, Layers((1,)), held_out_fraction=0.0)
    with pytest.raises(DataError, match=r"talks\.jsonl:1: .*last system turn"):
        list(task.examples("train", seed=1))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Hi"}, "messages is a list"),
        ({"questions": ["Who?"]}, "questions is a list of objects"),
        ({"questions": [{"question": "Who?"}]}, "a question has"),
        ({"questions": [{"question": "Who?", "answer": "I", "at": 3}]}, "a question has"),
        ({"questions": [{"question": "Who?", "answer": "I", "where": "end"}]}, "a question has"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path, row, message):
    path = tmp_path / "bad.jsonl"
    good = {"messages": chat(1)}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(row if 'text' in row else good | row)}")
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_talks(path)
    assert "bad.jsonl:2" in str(error.value)


def test_texts_among_chats_make_no_examples(tmp_path, tiny_tokenizer):
    (tmp_path / "some.txt").write_text("User: Hi\nBot: Hello\n\nOnce upon a time.")
    _, chats = read_talks(tmp_path / "some.txt")
    task = Conversations((), chats, (), tiny_tokenizer, Layers((1,)), held_out_fraction=0.0)
    assert {one.source for one in task.examples("train", seed=1)} == {"some.txt:1"}


ENTRY = {
    "id": "one",
    "qa_type": "latentqa_user",
    "response_format": "open_ended",
    "prefix_text": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello ",
    "selected_text": "there, Anna",
    "question": "What was the model told?",
    "answer": "To be kind.",
    "label": "goal-kind",
}


def entries(tmp_path, *rows):
    path = tmp_path / "entries.json"
    path.write_text(json.dumps({"metadata": {}, "entries": list(rows)}))
    return path


def test_published_entries_show_what_is_selected(tmp_path, tiny_tokenizer):
    silent = {**ENTRY, "answer": ""}
    found = read_entries(entries(tmp_path, silent, ENTRY))
    assert len(found) == 1
    ids, shown = encode_entry(tiny_tokenizer, found[0])
    assert tiny_tokenizer.decode([ids[at] for at in shown]).strip() == "there, Anna"
    assert tiny_tokenizer.decode(ids) == ENTRY["prefix_text"] + ENTRY["selected_text"]
    task = Conversations((), (), found, tiny_tokenizer, Layers((1, 2)), held_out_fraction=0.0)
    examples = list(task.examples("train", seed=1))
    assert [one.layers for one in examples] == [(1,), (2,)]
    assert {(one.task, one.context, one.positions, one.answer) for one in examples} == {
        ("conversation/latentqa_user", ids, shown, "To be kind.")
    }


def test_entries_of_one_label_are_on_one_side(tmp_path, tiny_tokenizer):
    rows = [
        {**ENTRY, "label": f"goal-{n % 20}", "selected_text": f"there, Anna {n}"} for n in range(80)
    ]
    found = read_entries(entries(tmp_path, *rows))
    task = Conversations((), (), found, tiny_tokenizer, Layers((1,)), held_out_fraction=0.4)
    sides = {}
    for side in ("train", "held_out"):
        numbers = [int(one.source.partition(":")[2]) - 1 for one in task.examples(side, seed=1)]
        sides[side] = {number % 20 for number in numbers}
    assert all(sides.values())
    assert not sides["train"] & sides["held_out"]


def test_entries_of_another_model_or_form_are_refused(tmp_path, tiny_tokenizer):
    strange = {**ENTRY, "prefix_text": "<start_of_turn>user\nHello "}
    with pytest.raises(DataError, match="rendered for another model: '<start_of_turn>'"):
        encode_entry(tiny_tokenizer, read_entries(entries(tmp_path, strange))[0])
    with pytest.raises(DataError, match=r"entries\.json:2: an entry has the texts"):
        read_entries(entries(tmp_path, ENTRY, {"question": "Who?"}))
    with pytest.raises(DataError, match="no object with a list of `entries`"):
        read_entries(entries(tmp_path))


def test_real_small_talk_makes_examples(shared, tiny_tokenizer):
    _, chats = read_talks(shared / "data" / "chat" / "soda_val.txt")
    task = Conversations((), chats, (), tiny_tokenizer, Layers((1,)), held_out_fraction=0.1)
    counts = Counter(one.task for one in task.examples("train", seed=1))
    assert set(counts) == {f"conversation/{ask}" for ask in ("speaker", "request", "reply")}
    assert min(counts.values()) > 20
