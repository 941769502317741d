"""Turns are found under the published families' templates, written from their documentation."""

import pytest

from activation_oracles.errors import DataError
from activation_oracles.models.chat import encode_chat
from activation_oracles.models.positions import resolve
from activation_oracles.oracle.prompt import Template

QWEN3 = (
    "{%- for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}<|im_start|>"
    "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<|im_end|>"
    "\n{% endfor %}{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)
LLAMA3 = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n\nCutting Knowledge Date: 2023"
    "<|im_end|>{% endif %}{% for m in messages %}<|im_start|>{{ m['role'] }}\n\n"
    "{{ m['content'] | trim }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n\n{% endif %}"
)
TALK = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}Bot: {{ m['content'] }}<|endoftext|>\n"
    "{% else %}User: {{ m['content'] }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Bot:{% endif %}"
)
TEMPLATES = {"qwen3": QWEN3, "gemma": GEMMA, "llama-3": LLAMA3, "talk": TALK}

CHAT = [
    {"role": "user", "content": "What is the moon?"},
    {"role": "assistant", "content": "model"},
    {"role": "user", "content": "user"},
    {"role": "assistant", "content": "It is a stone."},
]


@pytest.fixture(params=TEMPLATES)
def tokenizer(request, tiny_tokenizer):
    saved, tiny_tokenizer.chat_template = tiny_tokenizer.chat_template, TEMPLATES[request.param]
    yield tiny_tokenizer
    tiny_tokenizer.chat_template = saved


def test_every_turn_s_words_are_its_content(tokenizer):
    text = encode_chat(tokenizer, CHAT)
    assert len(text.turns) == len(CHAT)
    for number, message in enumerate(CHAT):
        said = "".join(text.pieces[p] for p in resolve(f"turn {number}", text))
        assert said.strip() == message["content"]
        assert text.turns[number].role == message["role"]


def test_turns_lie_behind_one_another_without_gap(tokenizer):
    text = encode_chat(tokenizer, CHAT[:3])
    bounds = [(turn.start, turn.content_start, turn.content_end, turn.end) for turn in text.turns]
    flat = [place for bound in bounds for place in bound]
    assert flat == sorted(flat)
    assert [turn.start for turn in text.turns[1:]] == [turn.end for turn in text.turns[:-1]]
    assert set(text.roles[text.turns[-1].end :]) == {"assistant"}


def test_slots_and_answers_are_placed_under_every_template(tokenizer):
    prompt = Template(tokenizer, " ?").build((1, 2), 3, "What is it? ", "moon")
    assert [prompt.ids[slot] for slot in prompt.slots] == tokenizer.encode(" ?") * 6
    answer = tokenizer.decode(prompt.ids[prompt.answer_start : prompt.answer_end])
    assert answer.strip() == "moon"


def test_tools_stand_before_the_turns_and_move_none_of_them(tokenizer):
    tools = [{"name": "search"}]
    plain = encode_chat(tokenizer, CHAT)
    with pytest.raises(DataError, match="leaves tools out"):
        encode_chat(tokenizer, CHAT, tools=tools)
    told = "{% for tool in tools or [] %}{{ tool['name'] }}: user assistant\n{% endfor %}"
    tokenizer.chat_template = told + tokenizer.chat_template
    text = encode_chat(tokenizer, CHAT, tools=tools)
    assert text.rendered == f"search: user assistant\n{plain.rendered}"
    for number, message in enumerate(CHAT):
        said = "".join(text.pieces[p] for p in resolve(f"turn {number}", text))
        assert said.strip() == message["content"]


def test_what_a_template_refuses_is_an_error_that_says_so(tiny_tokenizer, monkeypatch):
    monkeypatch.setattr(tiny_tokenizer, "chat_template", GEMMA)
    with pytest.raises(DataError, match="no system role"):
        encode_chat(tiny_tokenizer, [{"role": "system", "content": "Be kind."}, *CHAT])
