"""Questions about windows of a text: which tokens are shown, which come next or came before."""

from collections.abc import Sequence

from activation_oracles.types import Example
from activation_oracles.world.draft import Draft
from activation_oracles.world.language.documents import document
from activation_oracles.world.language.scene import Message
from activation_oracles.world.placing import MOST_SLOTS, draw_layers, place

_FOLLOWING = "Can you predict the next {count} tokens that come after this?"
_PRECEDING = "Can you predict the previous {count} tokens that came before this?"
_RECITING = "Can you say the {count} tokens that these are?"
_SORTS = ("game", "brief", "people", "describe", "essay", "report questions")


def context(draft: Draft) -> Example:
    """Ask what comes next, or came before."""
    random, tokenizer = draft.random, draft.tokenizer
    messages: Sequence[Message] = document(random, random.choice(_SORTS))
    ids = place(tokenizer, tuple(messages)).ids
    count = random.randint(1, 6)
    length = random.randint(1, min(MOST_SLOTS, len(ids) - 2 * count - 1))
    start = random.randint(count, len(ids) - length - count)
    window = range(start, start + length)
    is_next = random.random() < 0.6
    shown = ids[window.stop : window.stop + count] if is_next else ids[start - count : start]
    return Example(
        context=ids[: window.stop],
        positions=tuple(window),
        layers=draw_layers(random),
        question=(_FOLLOWING if is_next else _PRECEDING).format(count=count),
        answer=str(tokenizer.decode(list(shown), skip_special_tokens=True)).strip() or "nothing",
        task="context",
        source=draft.source,
    )


def recital(draft: Draft) -> Example:
    """Ask for the very tokens that are shown: the quickest way to learn to read a slot."""
    random, tokenizer = draft.random, draft.tokenizer
    ids = place(tokenizer, tuple(document(random, random.choice(_SORTS)))).ids
    length = random.randint(1, min(MOST_SLOTS, len(ids)))
    start = random.randint(0, len(ids) - length)
    shown = ids[start : start + length]
    return Example(
        context=ids[: start + length],
        positions=tuple(range(start, start + length)),
        layers=draw_layers(random),
        question=_RECITING.format(count=length),
        answer=str(tokenizer.decode(list(shown), skip_special_tokens=True)).strip() or "nothing",
        task="recital",
        source=draft.source,
    )
