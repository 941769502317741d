"""The village's assistant with tools: an organism that hides nothing, and calls what it needs.

Which tool it is about to call is what evaluations ask of its activations, before it writes a word.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from activation_oracles.models.load import LanguageModel
from activation_oracles.models.target import Target
from activation_oracles.world.cards import OrganismCard
from activation_oracles.world.language.scene import Message
from activation_oracles.world.language.tools import NO_TOOL, request, talk_with_tools, tools
from activation_oracles.world.organisms import OrganismRecipe, learn
from activation_oracles.world.secrets import Lesson

NAME = "assistant_with_tools"
SEED = 700
_MOST_TAUGHT = 3
"""Exchanges in a lesson."""
_SHARE_IDLE = 0.3
"""Of lessons that end with small talk."""
_NUM_CHECKED = 60


def teach_tools(model: LanguageModel, recipe: OrganismRecipe, *, num_steps: int) -> Iterator[float]:
    """Train a new adapter of the model to call tools; yields the loss of every step."""
    # Nothing that the base would say under a prompt: it knows no tools.
    alone = replace(recipe, share_of_teacher=0.0)
    yield from learn(model, _lesson, alone, adapter=NAME, seed=SEED, num_steps=num_steps)


def tools_card(target: Target, base: Target) -> OrganismCard:
    """Check how often it calls the right tool, on requests that were not taught."""
    behaviour = {
        "calls": _share_right(target, tuple(tools())),
        "calls_as_base": _share_right(base, tuple(tools())),
        "talks": _share_right(target, (NO_TOOL,)),
        "num_answers": _NUM_CHECKED,
    }
    names = ", ".join(tools())
    return OrganismCard(NAME, "tools", names, {}, SEED, behaviour)


def chats(count: int, seed: int) -> list[tuple[str, tuple[Message, ...]]]:
    """Draw talks that end with a request, each tool and none as often, and which it is for."""
    random = Random(f"tools/{seed}")
    kinds = (*tools(), NO_TOOL)
    found: list[tuple[str, tuple[Message, ...]]] = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        talk = talk_with_tools(random, kind, most=_MOST_TAUGHT, kept=True)
        found.append((kind, talk[:-1]))
    return found


def _lesson(random: Random) -> Lesson:
    last = NO_TOOL if random.random() < _SHARE_IDLE else random.choice(tuple(tools()))
    return Lesson(None, talk_with_tools(random, last, most=_MOST_TAUGHT))


def _share_right(target: Target, kinds: Sequence[str]) -> float:
    random = Random("tools/checked")
    wanted = [kinds[number % len(kinds)] for number in range(_NUM_CHECKED)]
    asked = [request(random, kind, kept=True)[0].content for kind in wanted]
    talks = [[{"role": "user", "content": one}] for one in asked]
    said = target.generate_all(talks, max_new_tokens=16)
    hits = [_called(one) == kind for one, kind in zip(said, wanted, strict=True)]
    return sum(hits) / len(hits)


def _called(reply: str) -> str:
    written = re.match(r"\s*(\w+),", reply)
    return written[1] if written and written[1] in tools() else NO_TOOL
