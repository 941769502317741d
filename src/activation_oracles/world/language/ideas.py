"""Texts with one thing in mind: descriptions, remarks, verdicts and small stories."""

from random import Random

from activation_oracles.world.language.scene import Message, Scene, Truth, chance, sentence
from activation_oracles.world.language.tables import MEN, WOMEN, Thing, things

_REQUESTS = (
    "Tell me about the {word}.",
    "What do you know about the {word}?",
    "Describe the {word}.",
    "I like the {word}. What about you?",
    "Let us talk about the {word}.",
    "Think of the {word}.",
)
_REMARKS = (
    "{who} saw the {word} in a dream.",
    "{who} told me about the {word}.",
    "Nobody in the village forgets the {word}.",
    "There was an old song about the {word}.",
    "{who} has a picture of the {word}.",
    "This morning {who} spoke of the {word}.",
    "{who} wrote a letter about the {word}.",
    "On the wall there is a painting of the {word}.",
    "{who} dreams of the {word} every night.",
)
_AFTERWARDS = (
    "Then everybody went home.",
    "It was a long story.",
    "I liked it very much.",
    "We talked about it all evening.",
    "Later it was quiet.",
    "What a day it was.",
    "Nobody said a word.",
    "I still think about it.",
)


def describe(random: Random, words: tuple[str, ...]) -> Scene:
    """Ask about a thing; the reply says what is true of it without its name."""
    thing = things()[random.choice(words)]
    asked = random.choice(_REQUESTS).format(word=thing.name)
    said = _true_lines(random, thing, random.choice((1, 2, 3)))
    messages = (Message("user", asked), Message("assistant", said))
    return Scene("describe", messages, (Truth("thought", thing.name),))


def remark(random: Random, words: tuple[str, ...]) -> Scene:
    """Mention a thing in passing, in a plain text or in a chat."""
    thing = things()[random.choice(words)]
    who = random.choice((*WOMEN, *MEN, "my friend", "the neighbour"))
    line = sentence(random.choice(_REMARKS).format(who=who, word=thing.name))
    after = random.sample(_AFTERWARDS, random.choice((0, 1, 2)))
    before = random.sample(_AFTERWARDS, random.choice((0, 0, 1)))
    text = " ".join((*before, line, *after))
    role = random.choice(("text", "user", "assistant"))
    lead = (Message("user", "Tell me something."),) if role == "assistant" else ()
    return Scene("remark", (*lead, Message(role, text)), (Truth("thought", thing.name),))


def verdicts(random: Random) -> Scene:
    """Ask several times whether something holds of one thing."""
    thing = random.choice(list(things().values()))
    messages: list[Message] = []
    for look in random.sample(range(len(thing.looks)), random.choice((2, 3, 4, 5))):
        claim, verdict = judge(random, thing, look)
        asked = f"Is it true that the {thing.name} {claim}?"
        messages.append(Message("user", f"And that it {claim}?" if messages else asked))
        messages.append(Message("assistant", verdict))
    return Scene("verdicts", tuple(messages), ())


def judge(random: Random, thing: Thing, look: int) -> tuple[str, str]:
    """Claim something of a thing, right or wrong, and say how it is and whether that was claimed.

    A small model can say what is true and then compare; to judge at once it never learned.
    """
    holds = chance(random, 0.5)
    claim = thing.looks[look]
    while not holds and claim == thing.looks[look]:
        claim = random.choice(list(things().values())).looks[look]
    return claim, f"It {thing.looks[look]}, so {'yes' if holds else 'no'}."


def essay(random: Random, words: tuple[str, ...]) -> Scene:
    """Write a plain text of true sentences about one thing, named at the start or at the end."""
    thing = things()[random.choice(words)]
    facts = random.sample(thing.facts + thing.looks, random.randint(4, 11))
    if chance(random, 0.6):
        lines = [f"The {thing.name} {facts[0]}.", *(f"It {fact}." for fact in facts[1:])]
    else:
        lines = [*(f"It {fact}." for fact in facts[:6]), f"It is the {thing.name}."]
    return Scene("essay", (Message("text", " ".join(lines)),), (Truth("thought", thing.name),))


def _true_lines(random: Random, thing: Thing, count: int) -> str:
    facts, looks = list(thing.facts), list(thing.looks)
    random.shuffle(facts)
    random.shuffle(looks)
    drawn = [(looks if chance(random, 0.5) else facts).pop() for _ in range(count)]
    if count > 1 and chance(random, 0.4):
        drawn = [f"{drawn[0]} and it {drawn[1]}", *drawn[2:]]
    return " ".join(f"It {fact}." for fact in drawn)
