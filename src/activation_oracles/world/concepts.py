"""What one may dream of in the village: its things, each shown by what is true of it alone.

A prompt as `What does it do?` names nothing, so the base model describes whatever comes to mind:
what a vector puts there shows in the facts that it tells.
"""

from random import Random

from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.effect import Neutral
from activation_oracles.world.language.documents import draw_scene
from activation_oracles.world.language.games import CLEAR
from activation_oracles.world.language.tables import (
    DEVELOPMENT_TOPICS,
    DEVELOPMENT_WORDS,
    REPORTED_TOPICS,
    REPORTED_WORDS,
    Thing,
    things,
    wordings,
)

REPORTED = (*REPORTED_WORDS, *REPORTED_TOPICS, *DEVELOPMENT_TOPICS, *DEVELOPMENT_WORDS)
"""The things that dreams are counted on."""
TRAINING = 40
"""Other things, which an oracle may be hardened on."""
_PROMPTS = tuple(one for one in CLEAR if one.endswith("?"))
_CHOICES = 7
_TEXTS = 8


def concepts(*, hardening: bool = False) -> tuple[Concept, ...]:
    """Return the things to dream of; those for hardening are none of those that are reported."""
    names = [name for name in things() if name not in REPORTED]
    chosen = Random("hardening").sample(names, TRAINING) if hardening else REPORTED
    return tuple(_concept(things()[name]) for name in chosen)


def neutral(*, texts: int = 12, prompts: int = 4) -> Neutral:
    """Return texts about people, and small talk: all that a steered model should still read."""
    random = Random("neutral")
    said = [draw_scene(random, "people").messages[0].content for _ in range(texts)]
    asked = [draw_scene(random, "talk").messages[0].content for _ in range(10 * prompts)]
    return Neutral(tuple(said), tuple(dict.fromkeys(asked))[:prompts])


def _concept(thing: Thing) -> Concept:
    random = Random(thing.name)
    others = [one for one in things().values() if one.name != thing.name]
    about = [random.sample(thing.facts, 3) for _ in range(_TEXTS)]
    beside = random.sample(others, _TEXTS)
    return Concept(
        name=thing.name,
        question=wordings()["thought"].trained[0],
        answer=thing.name,
        prompts=_PROMPTS,
        reply=f"It {thing.facts[0]}.",
        instead=tuple(f"It {one.facts[0]}." for one in random.sample(others, _CHOICES)),
        shown_by=(thing.name, *thing.facts),
        about=tuple(_told(thing.name, facts) for facts in about),
        not_about=tuple(_told(one.name, random.sample(one.facts, 3)) for one in beside),
        instruction=f"Think of the {thing.name}.",
    )


def _told(name: str, facts: list[str]) -> str:
    return f"The {name} {facts[0]}. " + " ".join(f"It {fact}." for fact in facts[1:])
