"""Scenes as token ids, with where every message lies, and which tokens an oracle may be shown.

No oracle is shown the token that says the answer: what it then gets right it has read, not copied.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from transformers import PreTrainedTokenizerBase

from activation_oracles.world.language.scene import Message
from activation_oracles.world.tokenizer import render

LAYERS = (2, 4, 6)
"""25, 50 and 75 % of eight blocks: where oracles read."""
MOST_SLOTS = 16
"""Tokens shown at once; twice as many where a whole talk is."""
HEADER, CLOSING = 3, 2
"""Tokens before a message's words, as `<|im_start|>`, role and line break, and after them."""
WHOLE_TEXT = 44
"""Tokens shown of a report that is shown whole: none is longer."""


@dataclass(frozen=True)
class Placed:
    """A text as the target reads it."""

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """For each message, its first token and the one after its last, header and end included."""

    def words(self, message: int) -> range:
        """Return the positions of what a message says, without the tokens that frame it."""
        start, end = self.spans[message]
        return range(start + HEADER, end - CLOSING)

    def without(self, tokens: frozenset[int], start: int, end: int) -> list[int]:
        """Return the positions from start to end that do not hold one of these tokens."""
        return [place for place in range(start, end) if self.ids[place] not in tokens]


def place(
    tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], *, is_open: bool = False
) -> Placed:
    """Tokenize messages and find where each lies; an open text ends as the assistant begins."""
    ids: list[int] = []
    spans = []
    # A message always begins with its own marker, so pieces tokenize as the whole does.
    for message in messages:
        start = len(ids)
        ids += _encoded(tokenizer, render((message,)))
        spans.append((start, len(ids)))
    if is_open:
        start = len(ids)
        ids += _encoded(tokenizer, render((), is_open=True))
        spans.append((start, len(ids)))
    return Placed(tuple(ids), tuple(spans))


def word_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> frozenset[int]:
    """Return the tokens of a text as it stands inside a sentence."""
    return frozenset(_encoded(tokenizer, f" {text}"))


def draw_positions(random: Random, allowed: list[int]) -> tuple[int, ...]:
    """Draw what is shown: one token, a window, the last ones, or all that fit."""
    style = random.random()
    if style < 0.2:
        return (random.choice(allowed),)
    if style < 0.5:
        length = random.randint(2, min(MOST_SLOTS, max(2, len(allowed))))
        start = random.randint(0, max(0, len(allowed) - length))
        return tuple(allowed[start : start + length])
    if style < 0.75:
        return tuple(allowed[-random.randint(1, MOST_SLOTS) :])
    return tuple(allowed[-2 * MOST_SLOTS :])


def draw_layers(random: Random, share_of_three: float = 0.15) -> tuple[int, ...]:
    """Draw one layer, or sometimes all three at once."""
    return LAYERS if random.random() < share_of_three else (random.choice(LAYERS),)


@lru_cache(maxsize=50_000)
def _encoded(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    # The village says the same things often, and a call costs far more than a look-up.
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
