"""A text of the village together with everything that is true of it.

Generators draw the facts, write the text from them and keep them, so no truth is ever guessed back
from the words.
"""

from dataclasses import dataclass
from random import Random

from activation_oracles.world.language.tables import wordings


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True)
class Truth:
    """One thing that holds in a scene, and that somebody may ask about."""

    aspect: str
    """Which question it answers: a row of the table of wordings."""
    answer: str
    name: str = ""
    """The person or detail that the question names; empty where it names none."""

    def question(self, random: Random, *, reported: bool = False, more: bool = False) -> str:
        """Draw a wording: of those an oracle trains on, or of those kept for reporting.

        `more`: of those, too, that are for its last steps alone.
        """
        ways = wordings()[self.aspect]
        drawn = ways.reported if reported else ways.trained + (ways.more if more else ())
        return random.choice(drawn).format(name=self.name)

    def any_question(self, random: Random) -> str:
        """Draw from all wordings: for the base model, which learns the whole language."""
        ways = wordings()[self.aspect]
        return random.choice(ways.trained + ways.reported).format(name=self.name)


@dataclass(frozen=True)
class Scene:
    """A chat or a plain text, and its truths."""

    kind: str
    messages: tuple[Message, ...]
    truths: tuple[Truth, ...]

    def __getitem__(self, aspect: str) -> str:
        """Return the answer for an aspect.

        Raises:
            KeyError: nothing of the kind is true here.
        """
        for truth in self.truths:
            if truth.aspect == aspect:
                return truth.answer
        raise KeyError(aspect)

    def has(self, aspect: str) -> bool:
        """Tell whether the scene holds a truth of that aspect."""
        return any(truth.aspect == aspect for truth in self.truths)


def chance(random: Random, probability: float) -> bool:
    """Toss a coin that shows True with this probability."""
    return random.random() < probability


def sentence(text: str) -> str:
    """Make the first letter a capital, and leave the rest."""
    return text[0].upper() + text[1:]
