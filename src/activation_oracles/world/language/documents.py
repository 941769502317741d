"""What the base model learns from: scenes as they are, and scenes followed by questions about them.

One text with up to eight questions teaches far more per token than eight texts with one each.
"""

from collections.abc import Iterator, Mapping
from random import Random

from activation_oracles.world.language.briefs import briefing, plain_talk
from activation_oracles.world.language.drills import pairs, recital
from activation_oracles.world.language.games import game
from activation_oracles.world.language.ideas import describe, essay, remark, verdicts
from activation_oracles.world.language.people import gossip
from activation_oracles.world.language.scene import Message, Scene, Truth
from activation_oracles.world.language.sentences import SELDOM, report
from activation_oracles.world.language.tables import things

Document = tuple[Message, ...]

MIXTURE: Mapping[str, float] = {
    "essay": 18,
    "report questions": 14,
    "game": 13,
    "people": 10,
    "people questions": 10,
    "brief questions": 9,
    "brief": 7,
    "pairs": 4,
    "verdicts": 4,
    "recital": 3,
    "describe": 3,
    "game questions": 2,
    "remark questions": 2,
    "talk": 1,
}
"""How many of a hundred documents are of each sort."""


COPYING: Mapping[str, float] = {
    "people questions": 20,
    "brief questions": 18,
    "pairs": 15,
    "recital": 10,
    "game questions": 9,
    "report questions": 8,
    "people": 8,
    "brief": 4,
    "game": 4,
    "remark questions": 4,
}
"""A mixture in which most answers stand in the text."""

DRILLS: Mapping[str, float] = {"recital": 50, "pairs": 50}
"""Nothing but words that stand before: looking back is the first skill to learn."""


def documents(seed: int, mixture: Mapping[str, float] = MIXTURE) -> Iterator[Document]:
    """Draw documents without end; the same seed gives the same ones."""
    random = Random(seed)
    sorts, weights = list(mixture), list(mixture.values())
    while True:
        yield document(random, random.choices(sorts, weights)[0])


def document(random: Random, sort: str) -> Document:
    """Draw one document of a sort: a row of the mixture."""
    subject, _, asked = sort.partition(" ")
    scene = draw_scene(random, subject, is_short=bool(asked))
    return questioned(random, scene) if asked else scene.messages


def draw_scene(random: Random, subject: str, *, is_short: bool = False) -> Scene:
    """Draw a scene of a kind, over all the words of the village; short ones, to be quoted."""
    words = tuple(things())
    makers = {
        "report": report,
        "people": gossip,
        "talk": plain_talk,
        "verdicts": verdicts,
        "recital": recital,
        "pairs": pairs,
    }
    if subject in makers:
        return makers[subject](random)
    makers_of_words = {
        "game": lambda random, words: game(random, words, most=2 if is_short else 6),
        "brief": lambda random, words: briefing(random, words, most=2 if is_short else 4),
        "describe": describe,
        "essay": essay,
        "remark": remark,
    }
    return makers_of_words[subject](random, words)


def questioned(random: Random, scene: Scene, most: int = 8) -> Document:
    """Quote a scene and ask up to `most` different questions about it."""
    truths = _askable(scene)
    chosen = random.sample(truths, min(len(truths), most))
    if scene.kind == "report":
        # The labels that only some reports have would otherwise be asked about too seldom.
        seldom = [truth for truth in truths if truth.aspect in SELDOM and truth not in chosen]
        chosen[: len(seldom)] = seldom
    messages: list[Message] = []
    for truth in chosen:
        asked = truth.any_question(random)
        content = asked if messages else f"{quoted(random, scene)}\n{asked}"
        messages += [Message("user", content), Message("assistant", truth.answer)]
    return tuple(messages)


def quoted(random: Random, scene: Scene) -> str:
    """Write a scene as a transcript that a user could paste."""
    opening = random.choice(("Read this.", "Here is a text.", "Look at this.", "Consider this."))
    if len(scene.messages) == 1:
        return f"{opening}\n{scene.messages[0].content}"
    lines = [f"{message.role}: {message.content}" for message in scene.messages]
    return "\n".join((opening, *lines))


def _askable(scene: Scene) -> list[Truth]:
    truths = list(scene.truths)
    evil = [truth.answer == "evil" for truth in truths if truth.aspect == "nature"]
    if evil:
        truths.append(Truth("evil_user", "Yes" if evil[0] else "No"))
    return truths
