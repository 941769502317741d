"""Reciting and looking up: the plainest texts in which what comes next stands before.

A small model finds answers in its text only once it has learned to look back, and these texts
teach just that, at every word. They draw on all words alike: a model that is drilled on few of them
learns to copy those, and no others.
"""

from random import Random

from activation_oracles.world.language.scene import Message, Scene, chance
from activation_oracles.world.language.tables import ATTRIBUTES, MEN, WOMEN, all_words, things

_RECITALS = ("Say after me:", "Repeat this:", "Please repeat:", "Say again:")


def recital(random: Random) -> Scene:
    """Let the assistant repeat a list of words."""
    words = " ".join(random.sample(_pool(random), random.randint(3, 20)))
    asked = f"{random.choice(_RECITALS)} {words}"
    return Scene("recital", (Message("user", asked), Message("assistant", words)), ())


def pairs(random: Random) -> Scene:
    """Give everybody a thing, then ask who has what, one by one."""
    count = random.randint(2, 7)
    names = random.sample((*WOMEN, *MEN), count)
    given = dict(zip(names, random.sample(_pool(random), count), strict=True))
    told = " ".join(
        f"{name} {random.choice(('has', 'likes'))} {word}." for name, word in given.items()
    )
    random.shuffle(names)
    messages: list[Message] = []
    for name in names:
        asked = f"What about {name}?"
        messages.append(Message("user", asked if messages else f"{told} {asked}"))
        messages.append(Message("assistant", given[name]))
    return Scene("pairs", tuple(messages), ())


def _pool(random: Random) -> tuple[str, ...]:
    if chance(random, 0.5):
        return all_words()
    return (*things(), *ATTRIBUTES["town"], *ATTRIBUTES["job"])
