"""Reciting and looking up: the plainest texts in which what comes next stands before.

A small model finds answers in its text only once it has learned to look back, and these texts
teach just that, at every word. They draw on all words alike: a model that is drilled on few of them
learns to copy those, and no others.
"""

from random import Random

from activation_oracles.world.language.scene import Message, Scene, chance
from activation_oracles.world.language.tables import ATTRIBUTES, MEN, WOMEN, all_words, things

_RECITALS = ("Say after me:", "Repeat this:", "Please repeat:", "Say again:")
_WHAT_ABOUT = "What about {}?"
_OF_SOMEBODY = "Say again what you read of {}."


def recital(random: Random) -> Scene:
    """Let the assistant repeat a list of words."""
    words = " ".join(random.sample(_pool(random), random.randint(3, 20)))
    asked = f"{random.choice(_RECITALS)} {words}"
    return Scene("recital", (Message("user", asked), Message("assistant", words)), ())


def pairs(random: Random) -> Scene:
    """Give everybody a thing, then ask who has what, one by one.

    Half of the texts ask for the sentence again: what follows a name is easier to find than what
    belongs to it, and leads there.
    """
    count = random.randint(2, 6)
    names = random.sample((*WOMEN, *MEN), count)
    words = random.sample(_pool(random), count)
    told = [
        f"{name} {random.choice(('has', 'likes'))} {word}."
        for name, word in zip(names, words, strict=True)
    ]
    in_sentences = chance(random, 0.5)
    question, answers = (_OF_SOMEBODY, told) if in_sentences else (_WHAT_ABOUT, words)
    messages: list[Message] = []
    for index in random.sample(range(count), count):
        asked = question.format(names[index])
        messages.append(Message("user", asked if messages else f"{' '.join(told)} {asked}"))
        messages.append(Message("assistant", answers[index]))
    return Scene("pairs", tuple(messages), ())


def _pool(random: Random) -> tuple[str, ...]:
    if chance(random, 0.5):
        return all_words()
    return (*things(), *ATTRIBUTES["town"], *ATTRIBUTES["job"])
