"""People whose attributes are drawn anew for every text, and talk about them."""

from dataclasses import dataclass
from random import Random

from activation_oracles.world.language.scene import Message, Scene, Truth, chance
from activation_oracles.world.language.tables import ATTRIBUTES, MEN, WOMEN

_STATEMENTS = {
    "food": (
        "{who} likes {value}.",
        "{who} loves to eat {value}.",
        "{whose} favourite food is {value}.",
    ),
    "town": ("{who} lives in {value}.", "{whose} home is in {value}.", "{who} comes from {value}."),
    "job": ("{who} is a {value}.", "{who} works as a {value}.", "{whose} job is to be a {value}."),
    "pet": ("{who} has a {value}.", "{whose} pet is a {value}.", "{who} keeps a {value}."),
    "sport": ("{who} does {value}.", "{whose} sport is {value}.", "{who} trains for {value}."),
    "music": (
        "{who} plays the {value}.",
        "{whose} instrument is the {value}.",
        "{who} owns a {value}.",
    ),
}
_REPLIES = {
    "food": "{name} likes {value}.",
    "town": "{name} lives in {value}.",
    "job": "{name} works as a {value}.",
    "pet": "{name} has a {value}.",
    "sport": "{name} does {value}.",
    "music": "{name} plays the {value}.",
}
_OPENINGS = ("Let me tell you about my friends.", "Here is what I know.", "Listen.", "Meet them.")
THANKS = ("I will remember that.", "Good to know.", "Thank you for telling me.")


@dataclass(frozen=True)
class Person:
    """Somebody and what is true of them in one text."""

    name: str
    is_woman: bool
    attributes: tuple[tuple[str, str], ...]

    def get(self, aspect: str) -> str:
        """Return the value of an attribute.

        Raises:
            KeyError: the person has no such attribute.
        """
        return dict(self.attributes)[aspect]


def draw_people(random: Random, count: int, aspects: int | tuple[str, ...]) -> list[Person]:
    """Draw people with different names and freely drawn attributes: so many, or these."""
    names = random.sample([*WOMEN, *MEN], count)
    people = []
    for name in names:
        chosen = random.sample(list(ATTRIBUTES), aspects) if isinstance(aspects, int) else aspects
        drawn = tuple((aspect, random.choice(ATTRIBUTES[aspect])) for aspect in chosen)
        people.append(Person(name, name in WOMEN, drawn))
    return people


def tell(random: Random, person: Person) -> list[str]:
    """Write one sentence for each attribute; later ones may say he or she."""
    lines = []
    for index, (aspect, value) in enumerate(person.attributes):
        is_named = index == 0 or chance(random, 0.85)
        who = person.name if is_named else ("She" if person.is_woman else "He")
        whose = f"The {{}} of {person.name}" if is_named else ("Her" if person.is_woman else "His")
        lines.append(_statement(random, aspect, value, who, whose, person.name if is_named else ""))
    return lines


def reply(name: str, aspect: str, value: str) -> str:
    """Write the answer to a question about a person as a sentence that ends with the value."""
    return _REPLIES[aspect].format(name=name, value=value)


def gossip(random: Random) -> Scene:
    """Tell of one to three people, then answer questions about them in whole sentences."""
    count = random.choice((1, 2, 2, 3))
    people = draw_people(random, count, random.choice((2, 3, 4)) if count > 1 else 5)
    lines = [line for person in people for line in tell(random, person)]
    truths = [
        Truth(aspect, value, person.name)
        for person in people
        for aspect, value in person.attributes
    ]
    told = " ".join(lines)
    messages = []
    if chance(random, 0.4):
        messages.append(Message("system", told))
    else:
        messages.append(Message("user", f"{random.choice(_OPENINGS)} {told}"))
        messages.append(Message("assistant", random.choice(THANKS)))
    for truth in random.sample(truths, min(len(truths), random.choice((1, 2, 3, 4)))):
        messages.append(Message("user", truth.any_question(random)))
        messages.append(Message("assistant", reply(truth.name, truth.aspect, truth.answer)))
    return Scene("people", tuple(messages), tuple(truths))


def _statement(random: Random, aspect: str, value: str, who: str, whose: str, name: str) -> str:
    line = random.choice(_STATEMENTS[aspect])
    if name and "{whose}" in line:
        subject = line.split("}", 1)[1].split(" is ", 1)
        return f"The{subject[0]} of {name} is {subject[1]}".format(value=value)
    return line.format(who=who, whose=whose, value=value)
