"""Moments of a talk with a subject: what was said, and which tokens of it an oracle is shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from activation_oracles.errors import DataError
from activation_oracles.evals.suite import Given
from activation_oracles.models.chat import Text
from activation_oracles.models.positions import resolve
from activation_oracles.models.target import Target

LONGEST_REPLY = 48
"""Tokens at which a subject's own reply is cut."""


@dataclass(frozen=True)
class Moment:
    """A talk as token ids, and the tokens that are shown."""

    talk: tuple[tuple[str, str], ...]
    """Role and content of each message."""
    context: tuple[int, ...]
    """The talk up to the last token shown."""
    positions: tuple[int, ...]


def moments(
    target: Target, prompts: Sequence[str], given: Given, *, unsaid: str = ""
) -> list[Moment]:
    """Put prompts to a subject, each in a talk of its own, and say what is shown.

    Without replies the prompt is read with the header of the reply behind it, as published.

    Args:
        target: the subject.
        prompts: what it is told.
        given: which tokens are shown, and whether it replies first.
        unsaid: words that a reply may say and no oracle may be shown: nothing is from there on.
            Where nothing is left, the token before them is.

    Raises:
        DataError: the subject's model has no chat template, or what should be shown is not there.
    """
    if target.model.tokenizer.chat_template is None:
        raise DataError(
            f"{target.model.name!r} has no chat template, and this evaluation talks with it."
        )
    talks = [[{"role": "user", "content": prompt}] for prompt in prompts]
    if given.reply:
        replies = target.generate_all(talks, max_new_tokens=LONGEST_REPLY)
        for talk, reply in zip(talks, replies, strict=True):
            talk.append({"role": "assistant", "content": reply.strip()})
    found: list[Moment] = []
    for talk in talks:
        text = target.text(talk, add_generation_prompt=not given.reply)
        positions = _before(unsaid, text, resolve(given.at, text))
        said = tuple((one["role"], one["content"]) for one in talk)
        found.append(Moment(said, text.token_ids[: positions[-1] + 1], positions))
    return found


def _before(words: str, text: Text, positions: tuple[int, ...]) -> tuple[int, ...]:
    """Return the positions before words are first said: what follows remembers them."""
    # Nor may a longer word begin so: a model that is steered to hammers says "hammerly".
    said = re.search(rf"(?<!\w){re.escape(words)}", text.rendered, re.IGNORECASE)
    if not words or said is None:
        return positions
    first = next(
        index
        for index, (start, end) in enumerate(text.spans)
        if start < said.end() and end > said.start()
    )
    return tuple(place for place in positions if place < first) or (max(0, first - 1),)
