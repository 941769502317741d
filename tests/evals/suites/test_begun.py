"""What a model wrote stays as it wrote it, and is cut before what may not be shown."""

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.suites.begun import replies, said_at, shown
from activation_oracles.models.positions import resolve

TALK = (("user", "Is it big?"),)
WORDS = " It is bîg \U0001f642, so yes."


@pytest.fixture
def reply(scripted):
    (found,) = replies(scripted(lambda _: WORDS), [TALK], most=20)
    return found


def test_a_cut_keeps_whole_tokens_and_never_a_character_behind_it(reply, demo):
    decode = demo.model.tokenizer.decode
    assert reply.words == WORDS
    prompt = reply.prompt.token_ids
    for end in range(len(WORDS) + 1):
        text = reply.until(end)
        kept = text.token_ids[len(prompt) :]
        assert text.token_ids[: len(prompt)] == prompt
        assert reply.token_ids[: len(kept)] == kept
        assert WORDS[:end].startswith(decode(list(kept)))
        assert text.rendered == reply.prompt.rendered + decode(list(kept))
        assert len(text.pieces) == len(text.spans) == len(text.roles) == len(text.token_ids)
    assert reply.until(len(WORDS)).token_ids == prompt + reply.token_ids


def test_positions_are_named_in_it_as_in_any_chat(reply):
    text = reply.until(said_at(WORDS, "so"))
    words = resolve("last assistant turn", text)
    assert words[0] == len(reply.prompt.token_ids)
    assert words[-1] == len(text.token_ids) - 1
    assert set(resolve('"It is"', text)) <= set(words)
    with pytest.raises(DataError, match="do not stand"):
        resolve('"yes"', text)


def test_of_a_reply_without_words_its_header_is_shown(reply, demo):
    text = reply.until(0)
    assert text.token_ids == reply.prompt.token_ids
    header = [text.token_ids[place] for place in shown("last assistant turn", text)]
    assert demo.model.tokenizer.decode(header) == "<|im_start|>assistant\n"
    assert shown("all", text) == tuple(range(len(text.token_ids)))
    assert reply.said(0) == ()


def test_words_are_found_whole_and_whatever_their_case():
    assert said_at("Not so. Yes, yes", "yes") == 8
    assert said_at("yesterday", "yes") == -1


def test_a_model_without_chats_is_refused(demo, monkeypatch):
    monkeypatch.setattr(demo.model.tokenizer, "chat_template", None)
    with pytest.raises(DataError, match="no chat template"):
        replies(demo.target(), [TALK], most=4)
