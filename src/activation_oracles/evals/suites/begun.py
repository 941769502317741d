"""A reply that has begun: what a model read, what it wrote so far, and what of both is shown.

What is about to be said is measured by letting the model say it. What it wrote stays as the very
tokens it wrote, and is cut before the words that would give the answer away.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.models.chat import Text, Turn, encode_chat
from activation_oracles.models.positions import Selector, resolve
from activation_oracles.models.target import Target

LAST_REPLY = "last assistant turn"


@dataclass(frozen=True)
class Reply:
    """A talk as its model reads it, and the model's own greedy reply."""

    talk: tuple[tuple[str, str], ...]
    """Role and content of each message before the reply."""
    prompt: Text
    """The talk with the header of the reply."""
    token_ids: tuple[int, ...]
    ends: tuple[int, ...]
    """For each token, where it ends in `words`."""
    words: str

    def until(self, character: int) -> Text:
        """Return the talk and the reply's tokens that end by this character of its words.

        The reply is the last turn, also where nothing of it is left.
        """
        kept = [end for end in self.ends if end <= character]
        start, length = len(self.prompt.token_ids), len(self.prompt.rendered)
        stop = start + len(kept)
        turns = self.prompt.turns
        if turns:
            turns = (*turns, Turn("assistant", turns[-1].end, start, stop, stop))
        begins = [0, *kept[:-1]] if kept else []
        words = self.words[: kept[-1]] if kept else ""
        return replace(
            self.prompt,
            token_ids=self.prompt.token_ids + self.token_ids[: len(kept)],
            pieces=(
                *self.prompt.pieces,
                *(self.words[a:b] for a, b in zip(begins, kept, strict=True)),
            ),
            roles=self.prompt.roles + ("assistant",) * len(kept),
            turns=turns,
            spans=(
                *self.prompt.spans,
                *((length + a, length + b) for a, b in zip(begins, kept, strict=True)),
            ),
            rendered=self.prompt.rendered + words,
        )

    def said(self, character: int) -> tuple[tuple[str, str], ...]:
        """Return the reply up to this character as a message, or none where it has no words."""
        words = self.words[:character].strip()
        return (("assistant", words),) if words else ()


def replies(
    target: Target,
    talks: Sequence[Sequence[tuple[str, str]]],
    *,
    most: int,
    tools: Sequence[Sequence[Mapping[str, Any]]] | None = None,
) -> list[Reply]:
    """Let a model reply to each talk, greedily.

    Args:
        target: the model.
        talks: role and content of each message; the assistant speaks next.
        most: tokens at which a reply is cut; none lets it say nothing.
        tools: for each talk, definitions that the model's chat template takes.

    Raises:
        DataError: the model has no chat template, or it refuses a talk or a tool.
    """
    model = target.model
    if model.tokenizer.chat_template is None:
        raise DataError(f"{model.name!r} has no chat template, and this evaluation talks with it.")
    prompts = [
        encode_chat(
            model.tokenizer,
            [{"role": role, "content": content} for role, content in talk],
            add_generation_prompt=True,
            tools=tools[number] if tools else (),
        )
        for number, talk in enumerate(talks)
    ]
    if not prompts or not most:
        return [
            Reply(tuple(talk), one, (), (), "") for talk, one in zip(talks, prompts, strict=True)
        ]
    settings = model.decoding(most)
    written = target.continued([one.token_ids for one in prompts], settings)
    ends = settings.eos_token_id
    stops = set(ends if isinstance(ends, list) else [ends])
    return [
        _reply(target, tuple(talk), prompt, tuple(one for one in ids if one not in stops))
        for talk, prompt, ids in zip(talks, prompts, written, strict=True)
    ]


def shown(at: Selector, text: Text) -> tuple[int, ...]:
    """Return which tokens are shown; of a reply without words, its header.

    Raises:
        DataError: the text has no such tokens.
    """
    if text.turns and isinstance(at, str) and at.strip().lower() == LAST_REPLY:
        reply = text.turns[-1]
        if reply.role == "assistant" and reply.content_start == reply.content_end:
            return tuple(range(reply.start, reply.content_start))
    return resolve(at, text)


def said_at(text: str, words: str, *, otherwise: int = -1) -> int:
    """Return at which character a text first says words as whole ones, whatever their case."""
    found = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE)
    return found.start() if found else otherwise


def _reply(
    target: Target, talk: tuple[tuple[str, str], ...], prompt: Text, ids: tuple[int, ...]
) -> Reply:
    # What a token adds is known only beside those before it: some hold half a character.
    said = [
        str(target.model.tokenizer.decode(list(ids[:n]), clean_up_tokenization_spaces=False))
        for n in range(len(ids) + 1)
    ]
    lengths = accumulate(map(len, reversed(said[1:])), min)
    return Reply(talk, prompt, ids, tuple(lengths)[::-1], said[-1])
