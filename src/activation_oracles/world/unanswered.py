"""Questions of the village that what is shown cannot answer, so that an oracle may learn to say so.

Either no text was read (nothing, random directions or the mean activation in the slots), or one was
that does not hold what is asked for: which word is kept secret, where none is. Whoever learns that
a question has no answer must learn it from the slots, so every question here is one that the
oracle's ordinary examples ask where it has.
"""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from transformers import PreTrainedTokenizerBase

from activation_oracles.types import Example
from activation_oracles.world.draft import Draft, Ways
from activation_oracles.world.language.documents import draw_scene
from activation_oracles.world.language.scene import Truth
from activation_oracles.world.language.tables import MEN, WOMEN
from activation_oracles.world.placing import draw_layers, draw_positions, place
from activation_oracles.world.questions import SHARES, questions

ANSWER = "I cannot tell."
KINDS: Mapping[str, float] = {"absent": 35, "random": 41, "nothing": 12, "mean": 12}
"""In which proportion they stand. Random directions are told from a reading with most trouble."""
READ = ("secret", "brief", "concept", "people", "classification")
"""Tasks whose questions are asked where no text was read."""
_SILENT: Mapping[str, tuple[str, ...]] = {
    "secret": ("describe", "essay", "remark", "talk", "report", "people"),
    "secret_kind": ("describe", "essay", "remark", "report"),
    "topic": ("describe", "essay", "remark", "report", "people"),
    "persona": ("describe", "essay", "remark", "report", "people"),
    "ending": ("describe", "essay", "report", "people"),
    "food": ("describe", "report", "remark"),
    "town": ("describe", "report", "remark", "essay"),
    "job": ("describe", "report", "remark", "essay"),
    "pet": ("describe", "report"),
    "sport": ("report", "essay"),
    "music": ("report", "essay"),
}
"""What may be asked, and the sorts of text that say nothing of it."""


def unanswered(
    tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
    count: int,
    kinds: Mapping[str, float] = KINDS,
    reported: bool = False,
    ways: Ways = Ways(),  # noqa: B008 - frozen
) -> list[Example]:
    """Draw examples whose answer is that there is none; the same seed gives the same ones.

    Args:
        tokenizer: the village's.
        seed: decides all draws.
        count: how many.
        kinds: in which proportion the kinds stand.
        reported: ask in the wordings on which no oracle trains, to score with.
        ways: how questions are put.
    """
    random = Random(f"unanswered/{seed}")
    drawn = random.choices(list(kinds), list(kinds.values()), k=count)
    shares = {task: SHARES[task] for task in READ}
    asked = questions(
        tokenizer, seed=seed, count=count, shares=shares, reported=reported, ways=ways
    )
    found: list[Example] = []
    for number, (kind, example) in enumerate(zip(drawn, asked, strict=True)):
        source = f"unanswered/{seed}/{number}"
        if kind == "absent":
            found.append(_absent(Draft(random, tokenizer, source, reported, ways)))
        else:
            found.append(_instead(example, kind, source))
    return found


def _instead(example: Example, kind: str, source: str) -> Example:
    """Return an example's question with no text behind its slots."""
    return replace(
        example,
        context=(),
        positions=tuple(range(len(example.positions))),
        answer=ANSWER,
        task=f"unanswered/{kind}",
        source=source,
        shown=kind,
    )


def _absent(draft: Draft) -> Example:
    """Ask a text for what it does not hold."""
    random = draft.random
    aspect = random.choice(list(_SILENT))
    scene = draw_scene(random, random.choice(_SILENT[aspect]))
    while scene.has(aspect):
        scene = draw_scene(random, random.choice(_SILENT[aspect]))
    placed = place(draft.tokenizer, scene.messages)
    message = random.randrange(len(placed.spans))
    start, end = placed.spans[message]
    shown = placed.words(message) if draft.shows_words_only() else range(start, end - 1)
    positions = draw_positions(random, list(shown))
    return Example(
        context=placed.ids[: positions[-1] + 1],
        positions=positions,
        layers=draw_layers(random),
        question=draft.asks(Truth(aspect, ANSWER, random.choice(WOMEN + MEN))),
        answer=ANSWER,
        task="unanswered/absent",
        source=draft.source,
    )
