import pytest

from activation_oracles.errors import DataError, ModelError
from activation_oracles.models.chat import encode_chat, encode_text
from activation_oracles.models.positions import Span, resolve

CHAT = [
    {"role": "system", "content": "user"},
    {"role": "user", "content": "What is moon?<|im_end|>"},
    {"role": "assistant", "content": "The moon, it is."},
]


def words(text, selector):
    return "".join(text.pieces[p] for p in resolve(selector, text))


def test_turns_are_found_whatever_their_words_are(tiny_tokenizer):
    text = encode_chat(tiny_tokenizer, CHAT)
    assert [turn.role for turn in text.turns] == ["system", "user", "assistant"]
    assert words(text, "system") == "user"
    assert words(text, "last user turn") == "What is moon?<|im_end|>"
    assert words(text, "turn 2") == "The moon, it is."
    for turn in text.turns:
        assert text.pieces[turn.start] == "<|im_start|>"
        assert set(text.roles[turn.start : turn.end]) == {turn.role}


def test_named_points_are_the_template_s_own_tokens(tiny_tokenizer):
    text = encode_chat(tiny_tokenizer, CHAT)
    assert words(text, "end of turn") == "<|im_end|>"
    assert words(text, "assistant start") == "<|im_start|>"
    assert resolve("assistant start", text)[0] == text.turns[2].start
    assert resolve("before answer", text)[0] == text.turns[2].content_start - 1


def test_named_points_know_a_generation_prompt(tiny_tokenizer):
    text = encode_chat(tiny_tokenizer, CHAT[:2])
    assert words(text, "assistant start") == "<|im_start|>"
    assert resolve("assistant start", text)[0] == text.turns[-1].end
    assert resolve("before answer", text) == (len(text.token_ids) - 1,)
    assert text.roles[-1] == "assistant"


def test_words_select_the_tokens_that_cover_them(tiny_tokenizer):
    text = encode_text(tiny_tokenizer, "A moon, a boat, a moon.")
    assert "moon" in words(text, '"moon"')
    assert resolve(Span("moon"), text)[0] > len(text.token_ids) // 2
    with pytest.raises(DataError, match="do not stand in the text"):
        resolve(Span("tulip"), text)


@pytest.mark.parametrize("selector", [-1, slice(1, 3), [0, 2], range(2)])
def test_indices_count_as_in_a_list(tiny_tokenizer, selector):
    text = encode_text(tiny_tokenizer, "A moon, a boat.")
    everything = list(range(len(text.token_ids)))
    expected = (
        [everything[selector]]
        if isinstance(selector, int)
        else everything[selector]
        if isinstance(selector, slice)
        else [everything[i] for i in selector]
    )
    assert list(resolve(selector, text)) == expected


@pytest.mark.parametrize("selector", [999, -999, [], slice(5, 5)])
def test_a_position_outside_the_text_is_refused(tiny_tokenizer, selector):
    with pytest.raises(DataError, match="lies outside the text, which has"):
        resolve(selector, encode_text(tiny_tokenizer, "A moon."))


@pytest.mark.parametrize("selector", ["last user turn", "nonsense", "turn 9", "first tool turn"])
def test_a_name_that_means_nothing_here_is_refused(tiny_tokenizer, selector):
    with pytest.raises(DataError):
        resolve(selector, encode_text(tiny_tokenizer, "A moon."))
    if selector != "last user turn":
        with pytest.raises(DataError):
            resolve(selector, encode_chat(tiny_tokenizer, CHAT))


def test_a_chat_without_a_template_or_with_a_strange_message_is_refused(tiny_tokenizer):
    with pytest.raises(DataError, match="Message 0"):
        encode_chat(tiny_tokenizer, [{"role": "narrator", "content": "x"}])
    with pytest.raises(DataError, match="no messages"):
        encode_chat(tiny_tokenizer, [])
    template, tiny_tokenizer.chat_template = tiny_tokenizer.chat_template, None
    try:
        with pytest.raises(ModelError, match="no chat template"):
            encode_chat(tiny_tokenizer, CHAT)
    finally:
        tiny_tokenizer.chat_template = template
