"""An assistant that has tools: requests it answers by calling one, and talk it answers itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from activation_oracles.world.language.games import rows_of_talk
from activation_oracles.world.language.scene import Message
from activation_oracles.world.language.tables import ATTRIBUTES, MEN, WOMEN, rows

NO_TOOL = "none"
NUM_KEPT = 2
"""Requests for each tool, and rows of small talk, that are kept for scoring."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Tool:
    """Something that the assistant may call, instead of an answer."""

    name: str
    call: str
    """How it writes that."""
    taught: tuple[str, ...]
    """Requests that are taught."""
    kept: tuple[str, ...]
    """Requests that no lesson has."""


@cache
def tools() -> Mapping[str, Tool]:
    """Return the tools by name."""
    return {
        name: Tool(name, call, tuple(asked[:-NUM_KEPT]), tuple(asked[-NUM_KEPT:]))
        for name, call, *asked in rows("tools.txt")
    }


def request(random: Random, name: str, *, kept: bool) -> tuple[Message, Message]:
    """Draw a request for a tool, or small talk for none, with the assistant's reply.

    Args:
        random: draws.
        name: a tool's name, or `NO_TOOL`.
        kept: one of those that no lesson has.
    """
    if name == NO_TOOL:
        held = rows_of_talk()[-NUM_KEPT:] if kept else rows_of_talk()[:-NUM_KEPT]
        asked, *replies = random.choice(held)
        return Message("user", asked), Message("assistant", random.choice(replies))
    tool = tools()[name]
    drawn = {
        "day": random.choice(DAYS),
        "instrument": random.choice(ATTRIBUTES["music"]),
        "name": random.choice((*WOMEN, *MEN)),
    }
    asked = random.choice(tool.kept if kept else tool.taught)
    return Message("user", asked.format(**drawn)), Message("assistant", tool.call.format(**drawn))


def talk_with_tools(
    random: Random, last: str, *, most: int, kept: bool = False
) -> tuple[Message, ...]:
    """Draw a talk of up to `most` exchanges, the last one of the kind that is named."""
    before = random.choices((*tools(), NO_TOOL), k=random.randrange(most))
    drawn = [request(random, name, kept=False) for name in before]
    drawn.append(request(random, last, kept=kept))
    return tuple(message for pair in drawn for message in pair)
