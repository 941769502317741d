"""What the base model learns from: scenes as they are, and scenes followed by questions about them.

One text with up to ten questions teaches far more per token than ten texts with one each.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from activation_oracles.world.language.briefs import briefing, plain_talk
from activation_oracles.world.language.drills import pairs, recital
from activation_oracles.world.language.games import game
from activation_oracles.world.language.ideas import describe, essay, remark, verdicts
from activation_oracles.world.language.people import gossip
from activation_oracles.world.language.scene import Message, Scene, Truth
from activation_oracles.world.language.sentences import CONTRASTS, SELDOM, report
from activation_oracles.world.language.tables import things

Document = tuple[Message, ...]

_OPENINGS = ("Read this.", "Here is a text.", "Look at this.", "Consider this.")
_HEADINGS = ("Page", "Note", "Line", "Layer", "Day", "Part")

MIXTURE: Mapping[str, float] = {
    "report questions": 17,
    "essay": 12,
    "people questions": 15,
    "game": 12,
    "brief questions": 8,
    "brief": 7,
    "people": 7,
    "verdicts": 5,
    "pairs": 9,
    "describe": 3,
    "recital": 2,
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

CONTRASTING: Mapping[str, float] = {
    "report contrasts": 40,
    "report questions": 10,
    "people questions": 10,
    "game": 10,
    "brief": 6,
    "brief questions": 6,
    "essay": 6,
    "people": 5,
    "verdicts": 4,
    "pairs": 3,
}
"""A mixture in which what is learned last is asked most, and nothing else is forgotten."""

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
    if not asked:
        return scene.messages
    return questioned(random, scene, of=CONTRASTS if asked == "contrasts" else ())


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


def questioned(random: Random, scene: Scene, most: int = 10, of: Sequence[str] = ()) -> Document:
    """Quote a scene and ask up to `most` different questions about it, of some aspects or all."""
    truths = [truth for truth in _askable(scene) if not of or truth.aspect in of]
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
    """Write a scene as a transcript that a user could paste, below a line of theirs, or none.

    Whoever learned to answer under one opening alone cannot under another, and the oracle's prompt
    has its own.
    """
    lines = [f"{message.role}: {message.content}" for message in scene.messages]
    if len(scene.messages) == 1:
        lines = [scene.messages[0].content]
    style = random.random()
    if style < 0.4:
        lines = [random.choice(_OPENINGS), *lines]
    elif style < 0.8:
        lines = [f"{random.choice(_HEADINGS)}: {random.randint(0, 40)}", *lines]
    return "\n".join(lines) + random.choice(("", " "))


def _askable(scene: Scene) -> list[Truth]:
    truths = list(scene.truths)
    evil = [truth.answer == "evil" for truth in truths if truth.aspect == "nature"]
    if evil:
        truths.append(Truth("evil_user", "Yes" if evil[0] else "No"))
    return truths
