"""Texts and chats to token ids, with the place and the role of every turn.

A chat is rendered once by the model's own template. Where its turns lie is learned by rendering it
again with markers for contents, so a message may hold any words, the template's own included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError, ModelError

Message = Mapping[str, str]
Chat = Sequence[Message]
Tools = Sequence[Mapping[str, Any]]
"""Definitions of what a model may call, as its chat template takes them."""
ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Turn:
    """One message of a chat, by token index: `start` up to, not including, `end`."""

    role: str
    start: int
    """Where the turn begins, its header included."""
    content_start: int
    content_end: int
    """Where the words end: the first token of what closes the turn."""
    end: int


@dataclass(frozen=True)
class Text:
    """A text as the target reads it."""

    token_ids: tuple[int, ...]
    pieces: tuple[str, ...]
    """What each token stands for in the text."""
    roles: tuple[str, ...]
    """Who speaks each token; `text` outside any turn."""
    turns: tuple[Turn, ...]
    """Empty for plain text."""
    spans: tuple[tuple[int, int], ...]
    """First and last character of each token, in `rendered`."""
    rendered: str
    """The text that was tokenized."""


def render(
    tokenizer: PreTrainedTokenizerBase,
    chat: Chat,
    *,
    add_generation_prompt: bool,
    tools: Tools = (),
) -> str:
    """Render a chat by the model's template, thinking disabled, as the published oracles were.

    Raises:
        ModelError: the tokenizer has no chat template.
        DataError: the chat is not a list of messages with a role and a content, or the template
            refuses it or the tools, or leaves the tools out.
    """
    if tokenizer.chat_template is None:
        raise ModelError(
            "This model has no chat template, so it cannot read a chat. Give it plain text."
        )
    _check(chat)
    try:
        rendered = tokenizer.apply_chat_template(
            [dict(message) for message in chat],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,
            tools=[dict(one) for one in tools] or None,
        )
    except (ValueError, TypeError, TemplateError) as error:
        raise DataError(f"The model's chat template refuses this chat: {error}") from error
    assert isinstance(rendered, str)
    if tools and rendered == render(tokenizer, chat, add_generation_prompt=add_generation_prompt):
        raise DataError(
            "The model's chat template leaves tools out, so the model would not see them. Say in "
            "a system prompt what it may call, and give the tools' names alone."
        )
    return rendered


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> Text:
    """Tokenize plain text, with the special tokens that the tokenizer itself adds."""
    check_source(text)
    ids, spans = _tokenize(tokenizer, text, special=True)
    return Text(ids, _pieces(tokenizer, ids), ("text",) * len(ids), (), spans, text)


def encode_chat(
    tokenizer: PreTrainedTokenizerBase,
    chat: Chat,
    *,
    add_generation_prompt: bool | None = None,
    tools: Tools = (),
) -> Text:
    """Tokenize a chat; a generation prompt follows unless the assistant has spoken last."""
    _check(chat)
    if add_generation_prompt is None:
        add_generation_prompt = chat[-1]["role"] != "assistant"
    rendered = render(tokenizer, chat, add_generation_prompt=add_generation_prompt, tools=tools)
    ids, spans = _tokenize(tokenizer, rendered, special=False)
    turns = _turns(tokenizer, chat, rendered, spans, tools)
    roles = ["text"] * len(ids)
    for turn in turns:
        roles[turn.start : turn.end] = [turn.role] * (turn.end - turn.start)
    if add_generation_prompt and turns:
        roles[turns[-1].end :] = ["assistant"] * (len(ids) - turns[-1].end)
    return Text(ids, _pieces(tokenizer, ids), tuple(roles), turns, spans, rendered)


def check_source(source: str | Chat) -> None:
    """Refuse what no model can read, before one is loaded.

    Raises:
        DataError: the text is empty, or the chat is no list of messages with role and content.
    """
    if not isinstance(source, str):
        _check(source)
    elif not source:
        raise DataError("The text to read is empty.")


def content_start(tokenizer: PreTrainedTokenizerBase, role: str) -> int:
    """Return the character at which the words of a chat's only message begin."""
    marker = _marker(0)
    rendered = render(tokenizer, [{"role": role, "content": marker}], add_generation_prompt=False)
    return rendered.index(marker)


def _check(chat: Chat) -> None:
    if not chat:
        raise DataError("The chat to read has no messages.")
    for number, message in enumerate(chat):
        if not isinstance(message, Mapping) or not {"role", "content"} <= set(message):
            raise DataError(
                f"Message {number} of the chat is {message!r:.80}; expected a role "
                f"({', '.join(ROLES)}) and a content."
            )
        if message["role"] not in ROLES or not isinstance(message["content"], str):
            raise DataError(
                f"Message {number} has role {message['role']!r}; roles are {', '.join(ROLES)}, and "
                "a content is a string."
            )


def _tokenize(
    tokenizer: PreTrainedTokenizerBase, text: str, *, special: bool
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    if not tokenizer.is_fast:
        raise ModelError(
            f"{type(tokenizer).__name__} cannot say which characters a token covers. Load the fast "
            "tokenizer of this model (tokenizer.json)."
        )
    encoded = tokenizer(text, add_special_tokens=special, return_offsets_mapping=True)
    spans = tuple((int(start), int(end)) for start, end in encoded["offset_mapping"])
    return tuple(encoded["input_ids"]), spans


def _pieces(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(str(tokenizer.decode([token])) for token in ids)


def _marker(number: int) -> str:
    return f"\u2045{number}\u2046"


def _turns(
    tokenizer: PreTrainedTokenizerBase,
    chat: Chat,
    rendered: str,
    spans: Sequence[tuple[int, int]],
    tools: Tools,
) -> tuple[Turn, ...]:
    """Find every turn, or none where the template rewrites contents beyond trimming them."""
    markers = [_marker(number) for number in range(len(chat))]
    skeleton = render(
        tokenizer,
        [{**message, "content": marker} for message, marker in zip(chat, markers, strict=True)],
        add_generation_prompt=False,
        tools=tools,
    )
    if [skeleton.count(marker) for marker in markers] != [1] * len(chat):
        return ()
    gaps = _split(skeleton, markers)
    places = _places(rendered, gaps, [message["content"] for message in chat])
    if not places:
        return ()
    tail = gaps[-1]
    starts = [0]
    for (_, end), gap in zip(places[:-1], gaps[1:-1], strict=True):
        starts.append(end + _shared(gap, tail))
    starts.append(places[-1][1] + len(tail))
    bounds = [_token_at(spans, character) for character in starts]
    return tuple(
        Turn(
            role=message["role"],
            start=start,
            content_start=_token_at(spans, begin),
            content_end=_token_at(spans, finish),
            end=end,
        )
        for message, (start, end), (begin, finish) in zip(
            chat, pairwise(bounds), places, strict=True
        )
    )


def _split(skeleton: str, markers: Sequence[str]) -> list[str]:
    gaps = []
    for marker in markers:
        gap, _, skeleton = skeleton.partition(marker)
        gaps.append(gap)
    return [*gaps, skeleton]


def _places(rendered: str, gaps: Sequence[str], contents: Sequence[str]) -> list[tuple[int, int]]:
    """Lay contents between gaps; a template may have trimmed them, no more."""
    places = []
    cursor = 0
    for gap, content in zip(gaps[:-1], contents, strict=True):
        if not rendered.startswith(gap, cursor):
            return []
        cursor += len(gap)
        found = next(
            (c for c in (content, content.strip()) if rendered.startswith(c, cursor)), None
        )
        if found is None:
            return []
        places.append((cursor, cursor + len(found)))
        cursor += len(found)
    return places if rendered.startswith(gaps[-1], cursor) else []


def _shared(gap: str, tail: str) -> int:
    """Return how much of a gap closes the turn before it; the rest opens the next."""
    length = 0
    while length < min(len(gap), len(tail)) and gap[length] == tail[length]:
        length += 1
    return length


def _token_at(spans: Sequence[tuple[int, int]], character: int) -> int:
    """Return the first token that ends after a character."""
    return next((index for index, (_, end) in enumerate(spans) if end > character), len(spans))
