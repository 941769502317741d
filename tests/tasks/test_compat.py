"""What is done as published on request only, and the sizes of sides."""

import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.errors import DataError
from activation_oracles.tasks.asking import Questions
from activation_oracles.tasks.classification import Classification, Sides
from activation_oracles.tasks.context import ContextPrediction
from activation_oracles.tasks.sources import Document, Row
from activation_oracles.tasks.system_prompt import Asked, SystemPrompt
from activation_oracles.tasks.windows import Layers

WORDS = "The old mill stands by the river, and Anna likes green apples there.".split()


def text(number):
    return " ".join(random.Random(number).choices(WORDS, k=30)) + f" {number}."


THINKING = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if loop.last and message['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Empty thoughts before a last reply, as in Qwen3's template."""


def test_the_published_mask_drops_the_beginning_of_what_follows(tiny_tokenizer):
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = THINKING
    said = ("Be kind.", "I will.", "How are you? " + text(1), "Well, dear.")
    messages = tuple(
        {"role": ("user", "assistant")[at % 2], "content": content}
        for at, content in enumerate(said)
    )
    asked = [
        Asked(messages[:count], 2, "What?", "Kind.", f"key {n}", f"row:{n}")
        for n, count in enumerate((3, 4) * 20)
    ]
    shown = {}
    for compat in ("none", "paper"):
        task = SystemPrompt(asked, tokenizer, Layers((1,)), held_out_fraction=0.0, compat=compat)
        examples = list(task.examples("train", seed=0))
        assert len(examples) == len(asked)
        whole = [one for one in examples if one.positions[-1] == len(one.context) - 1]
        shown[compat] = {one.source: one.positions[0] for one in whole}
        # A generation prompt follows what a user said, and no reply.
        ends = [tokenizer.decode(list(one.context)).endswith("assistant\n") for one in examples]
        assert ends == [True, False] * 20
        if compat == "none":
            for one in whole:
                words = tokenizer.decode([one.context[at] for at in one.positions])
                assert words.startswith("<|im_start|>user\nHow are you?")
    thoughts = len(tokenizer("<think>\n\n</think>\n\n")["input_ids"])
    both = set(shown["none"]) & set(shown["paper"])
    assert both
    assert {shown["paper"][one] - shown["none"][one] for one in both} == {thoughts}


def test_a_text_begins_with_the_bos_string_as_published_only_on_request(tiny_tokenizer):
    documents = [Document(text(n), f"doc:{n}") for n in range(10)]

    def first(compat):
        task = ContextPrediction(
            documents, tiny_tokenizer, Layers((1,)), held_out_fraction=0.0, compat=compat
        )
        return {one.context[0] for one in task.examples("train", seed=0)}

    assert first("paper") == {tiny_tokenizer.eos_token_id}
    assert tiny_tokenizer.eos_token_id not in first("none")


@given(st.integers(20, 60), st.integers(0, 2**32))
def test_sides_have_the_wanted_sizes_and_nothing_in_common(count, seed):
    rows = [Row(f"text {n}", "ab"[n % 2], str(n)) for n in range(count)]
    sides = Sides(0.3, train_rows=5, held_out_rows=4)
    train, wanted = sides.choose(rows, "train", seed, ("a", "1"))
    held_out, most = sides.choose(rows, "held_out", seed, ("a", "1"))
    assert (wanted, most) == (5, 4)
    assert not set(train) & set(held_out)
    assert sides.choose(rows, "train", seed, ("a", "2")) == (train, wanted)
    whole = Sides(0.3, train_rows=0)
    assert whole.choose(rows, "train", seed, ("a", "1"))[0] == []
    assert len(whole.choose(rows, "held_out", seed, ("a", "1"))[0]) == count


def test_a_group_with_too_few_texts_is_refused(tiny_tokenizer):
    rows = [Row(text(n), "AB"[n % 2], f"row:{n}") for n in range(20)]
    task = Classification(
        "few",
        rows,
        tiny_tokenizer,
        Layers((1,)),
        Questions(about_label=("Is it {}?",)),
        sides=Sides(0.1, train_rows=30),
    )
    with pytest.raises(DataError, match="30 are wanted"):
        list(task.examples("train", seed=0))
