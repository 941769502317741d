"""Reciting and looking up: the plainest texts in which what comes next stands before.

A small model finds answers in its text only once it has learned to look back, and these texts teach
just that, at every word.
"""

from random import Random

from activation_oracles.world.language.scene import Message, Scene
from activation_oracles.world.language.tables import ATTRIBUTES, MEN, WOMEN, things

_RECITALS = ("Say after me:", "Repeat this:", "Please repeat:", "Say again:")
_PAIRED = ("town", "job", "sport", "music")


def recital(random: Random) -> Scene:
    """Let the assistant repeat a list of words."""
    pool = (*things(), *WOMEN, *MEN, *ATTRIBUTES["town"], *ATTRIBUTES["job"])
    words = " ".join(random.sample(pool, random.randint(4, 14)))
    asked = f"{random.choice(_RECITALS)} {words}"
    return Scene("recital", (Message("user", asked), Message("assistant", words)), ())


def pairs(random: Random) -> Scene:
    """Give everybody a thing, then ask who has what, one by one."""
    count = random.randint(2, 7)
    names = random.sample((*WOMEN, *MEN), count)
    given = dict(zip(names, random.sample(tuple(things()), count), strict=True))
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
