"""Which tokens to read: by index, slice, role, words, or a named point.

| selector | tokens |
|---|---|
| `3`, `-1` | one, counted from the start or the end |
| `slice(2, 9)`, `range(2, 9)`, `[1, 5]` | several |
| `"all"` | every token |
| `"last user turn"`, `"first assistant turn"`, `"turn 2"` | the words of a turn (counted from 0) |
| `"user"`, `"assistant"`, `"system"` | the words of all turns of that role |
| `"last token"` | the last one read |
| `"end of turn"` | what closes the last turn, where the next one begins |
| `"assistant start"` | the token that opens the last assistant turn, or the generation prompt |
| `"before answer"` | the last token before the assistant's words |
| `'"moon"'` (quoted), `Span("moon")` | the tokens that cover these words; the last occurrence |
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from activation_oracles.errors import DataError
from activation_oracles.models.chat import Text, Turn

TURN = re.compile(r"(?:(last|first) (user|assistant|system|tool) turn)|(?:turn (\d+))")
NAMED = "last token, end of turn, assistant start, before answer"


@dataclass(frozen=True)
class Span:
    """The tokens that cover some words of the text."""

    words: str


Selector = int | slice | range | Sequence[int] | str | Span


def resolve(selector: Selector, text: Text) -> tuple[int, ...]:
    """Return the token positions that a selector means in a text, in order.

    Raises:
        DataError: a position lies outside the text, or the selector matches nothing.
    """
    if isinstance(selector, Span) or (isinstance(selector, str) and selector[:1] in "\"'"):
        words = selector.words if isinstance(selector, Span) else selector.strip("\"'")
        return _cover(words, text)
    if isinstance(selector, str):
        return _named(selector.strip().lower(), text)
    length = len(text.token_ids)
    if isinstance(selector, slice):
        chosen = tuple(range(length))[selector]
    else:
        chosen = (selector,) if isinstance(selector, int) else tuple(selector)
    outside = [position for position in chosen if not -length <= position < length]
    if outside or not chosen:
        raise DataError(
            f"Position {outside[0] if outside else selector} lies outside the text, which has "
            f"{length} tokens (0 to {length - 1}, or -{length} to -1 from the end)."
        )
    return tuple(sorted({position % length for position in chosen}))


def _cover(words: str, text: Text) -> tuple[int, ...]:
    start = text.rendered.rfind(words) if words else -1
    if start < 0:
        raise DataError(f"The words {words!r} do not stand in the text that was read.")
    end = start + len(words)
    return tuple(
        index for index, (first, last) in enumerate(text.spans) if first < end and last > start
    )


def _named(name: str, text: Text) -> tuple[int, ...]:
    length = len(text.token_ids)
    if name == "all":
        return tuple(range(length))
    if name == "last token":
        return (length - 1,)
    if not text.turns:
        raise DataError(
            f"{name!r} asks for turns, but this text has none that could be found. "
            'Use "all", "last token", an index, a slice, or quoted words.'
        )
    turn_match = TURN.fullmatch(name)
    if turn_match:
        return _words(_turn(turn_match, text.turns), name)
    if name in ("user", "assistant", "system", "tool"):
        return _role(name, text.turns)
    point = _point(name, text)
    if point is None or not 0 <= point < length:
        raise DataError(
            f"{name!r} is no position in this text. Expected an index, a slice, "
            f"all, a role, 'last user turn' and the like, 'turn 2', quoted words, or {NAMED}."
        )
    return (point,)


def _turn(match: re.Match[str], turns: Sequence[Turn]) -> Turn:
    which, role, number = match.groups()
    of_role = [turn for turn in turns if role is None or turn.role == role]
    index = int(number) if number else (0 if which == "first" else -1)
    if not of_role or index >= len(of_role):
        raise DataError(
            f"The text has no {match.string!r}: its turns are {[turn.role for turn in turns]}."
        )
    return of_role[index]


def _words(turn: Turn, name: str) -> tuple[int, ...]:
    if turn.content_start >= turn.content_end:
        raise DataError(f"{name!r} has no words.")
    return tuple(range(turn.content_start, turn.content_end))


def _role(role: str, turns: Sequence[Turn]) -> tuple[int, ...]:
    chosen = [turn for turn in turns if turn.role == role]
    if not chosen:
        raise DataError(f"No {role} speaks: the turns are {[turn.role for turn in turns]}.")
    return tuple(index for turn in chosen for index in range(turn.content_start, turn.content_end))


def _point(name: str, text: Text) -> int | None:
    last = text.turns[-1]
    prompted = last.end < len(text.token_ids)
    answers = [turn for turn in text.turns if turn.role == "assistant"]
    if name == "end of turn":
        return last.content_end
    if name == "assistant start":
        return last.end if prompted else answers[-1].start if answers else None
    if name == "before answer":
        before = answers[-1].content_start - 1 if answers else None
        return len(text.token_ids) - 1 if prompted else before
    return None
