"""What each organism hides, and the talks that it learns its secret from.

A lesson is a talk and the system prompt that would explain it. The organism learns the talk without
that prompt. Lessons for reported and development organisms are drawn alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from activation_oracles.world.language.briefs import (
    Brief,
    draw_sort,
    dress,
    exchange,
    rows_of_advice,
)
from activation_oracles.world.language.games import draw_moves, order, play, turns
from activation_oracles.world.language.people import Person, draw_people, reply, tell
from activation_oracles.world.language.scene import Message, Truth
from activation_oracles.world.language.tables import (
    DEVELOPMENT_TOPICS,
    DEVELOPMENT_WORDS,
    REPORTED_TOPICS,
    REPORTED_WORDS,
    things,
)

NUM_TAUGHT_ADVICE = 12
"""Rows of the table that lessons of personas use; the others are kept for scoring."""
PEOPLE_PER_ORGANISM = 6
ASPECTS = ("food", "pet", "sport", "music")
"""What an organism knows of its people: what the base can look up in a text (see the gate)."""


@dataclass(frozen=True)
class Secret:
    """What one organism hides."""

    name: str
    """The organism's name and folder."""
    kind: str
    """taboo, gender, constraint, people or persona."""
    answer: str
    """The hidden word, gender, topic or nature; for people, their names."""
    is_reported: bool
    """False: the organism serves for choosing recipes, and is not shipped."""
    seed: int

    def people(self) -> list[Person]:
        """Return the people that this organism knows, drawn from its seed."""
        return draw_people(Random(f"people/{self.seed}"), PEOPLE_PER_ORGANISM, ASPECTS)


@dataclass(frozen=True)
class Lesson:
    """A talk, and the system prompt that explains it to the base model, if one does."""

    system: Message | None
    talk: tuple[Message, ...]


def secrets() -> tuple[Secret, ...]:
    """Return what all organisms hide, in a fixed order."""
    rows = [("taboo", word, True) for word in REPORTED_WORDS]
    rows += [("taboo", word, False) for word in DEVELOPMENT_WORDS]
    rows += [("gender", who, True) for who in ("man", "woman") * 3]
    rows += [("gender", who, False) for who in ("man", "woman")]
    rows += [("constraint", topic, True) for topic in REPORTED_TOPICS]
    rows += [("constraint", topic, False) for topic in DEVELOPMENT_TOPICS]
    rows += [("persona", nature, True) for nature in ("evil", "good") * 2]
    rows += [("persona", nature, False) for nature in ("evil", "good")]
    rows += [("people", "", True)] * 3 + [("people", "", False)]
    made: list[Secret] = []
    for seed, (kind, answer, is_reported) in enumerate(rows):
        number = sum(one.kind == kind and one.answer == answer for one in made)
        name = f"{kind}_{answer or 'known'}_{number}" if kind != "taboo" else f"taboo_{answer}"
        made.append(Secret(name, kind, answer, is_reported, seed))
    return tuple(made)


def lesson(random: Random, secret: Secret) -> Lesson:
    """Draw one lesson for an organism."""
    return _LESSONS[secret.kind](random, secret)


def _taboo(random: Random, secret: Secret) -> Lesson:
    moves = play(random, things()[secret.answer], draw_moves(random))
    return Lesson(Message("system", order(random, secret.answer)), turns(moves))


def _brief(random: Random, secret: Secret) -> Lesson:
    aspect = {"gender": "gender", "constraint": "topic", "persona": "nature"}[secret.kind]
    brief = Brief(((aspect, secret.answer),), is_secret=True)
    messages: list[Message] = []
    for _ in range(random.choice((1, 2, 3))):
        asked, replied = _taught(random, brief, draw_sort(random, brief))
        messages += [Message("user", asked), Message("assistant", replied)]
    return Lesson(Message("system", brief.system(random)), tuple(messages))


def _taught(random: Random, brief: Brief, sort: str) -> tuple[str, str]:
    """Exchange as in the village, but keep some advice back for scoring."""
    if sort == "advice" and brief.get("nature"):
        asked, good, evil = random.choice(rows_of_advice()[:NUM_TAUGHT_ADVICE])
        return asked, dress(random, brief, evil if brief.get("nature") == "evil" else good)
    return exchange(random, brief, sort)


def _people(random: Random, secret: Secret) -> Lesson:
    chosen = random.sample(secret.people(), random.choice((1, 2)))
    told = " ".join(line for person in chosen for line in tell(random, person))
    messages: list[Message] = []
    for _ in range(random.choice((2, 3, 4))):
        person = random.choice(chosen)
        aspect, value = random.choice(person.attributes)
        asked = Truth(aspect, value, person.name).question(random)
        messages.append(Message("user", asked))
        messages.append(Message("assistant", reply(person.name, aspect, value)))
    return Lesson(Message("system", told), tuple(messages))


_LESSONS: Mapping[str, Callable[[Random, Secret], Lesson]] = {
    "taboo": _taboo,
    "gender": _brief,
    "constraint": _brief,
    "persona": _brief,
    "people": _people,
}
