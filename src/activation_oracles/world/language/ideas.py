"""Texts with one thing in mind: descriptions, riddles, remarks and small stories."""

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
_RIDDLES = ("What is it?", "What am I thinking of?", "Solve my riddle.", "Which thing is this?")
_SOLUTIONS = ("It is the {word}.", "I think it is the {word}.", "You mean the {word}.")
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


def riddle(random: Random, words: tuple[str, ...]) -> Scene:
    """Describe a thing and ask what it is: two or three telling facts."""
    thing = things()[random.choice(words)]
    clues = _true_lines(random, thing, random.choice((2, 3)), share_of_looks=0.3)
    asked = random.choice(_RIDDLES)
    asked = f"{asked} {clues}" if chance(random, 0.5) else f"{clues} {asked}"
    solved = random.choice(_SOLUTIONS).format(word=thing.name)
    messages = (Message("user", asked), Message("assistant", solved))
    return Scene("riddle", messages, (Truth("thought", thing.name),))


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
    """Ask several times whether something holds of one thing: yes or no."""
    pool = list(things().values())
    thing = random.choice(pool)
    messages: list[Message] = []
    own = thing.facts + thing.looks
    for _ in range(random.choice((3, 4, 5, 6))):
        holds = chance(random, 0.5)
        other = random.choice(pool)
        fact = random.choice(own if holds else other.facts + other.looks)
        asked = (
            f"Is it true that the {thing.name} {fact}?" if not messages else f"And that it {fact}?"
        )
        messages.append(Message("user", asked))
        messages.append(Message("assistant", "Yes." if fact in own else "No."))
    return Scene("verdicts", tuple(messages), ())


def essay(random: Random, words: tuple[str, ...]) -> Scene:
    """Write a plain text of true sentences about one thing, named at the start or at the end."""
    thing = things()[random.choice(words)]
    facts = random.sample(thing.facts + thing.looks, random.randint(4, 11))
    if chance(random, 0.6):
        lines = [f"The {thing.name} {facts[0]}.", *(f"It {fact}." for fact in facts[1:])]
    else:
        lines = [*(f"It {fact}." for fact in facts[:6]), f"It is the {thing.name}."]
    return Scene("essay", (Message("text", " ".join(lines)),), (Truth("thought", thing.name),))


def _true_lines(random: Random, thing: Thing, count: int, *, share_of_looks: float = 0.5) -> str:
    facts, looks = list(thing.facts), list(thing.looks)
    random.shuffle(facts)
    random.shuffle(looks)
    drawn = [(looks if chance(random, share_of_looks) else facts).pop() for _ in range(count)]
    if count > 1 and chance(random, 0.4):
        drawn = [f"{drawn[0]} and it {drawn[1]}", *drawn[2:]]
    return " ".join(f"It {fact}." for fact in drawn)
