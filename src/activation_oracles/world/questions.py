"""What the oracle of the village trains on: questions about the base model's own texts.

Held-out words are never a secret and never a rule here, reported wordings never a question,
withheld groups never asked about, and no organism is ever read. Held-out words do occur, as things
that a text mentions: an oracle that has never said a word cannot be expected to find it.

Some questions give their text in words, with empty slots. The base answers those already, and an
oracle that goes on answering them keeps what its base can do with a text, and with it what it was
never asked about activations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from transformers import PreTrainedTokenizerBase

from activation_oracles.types import Example
from activation_oracles.world.draft import Draft, Ways
from activation_oracles.world.language.briefs import briefing
from activation_oracles.world.language.documents import draw_scene, quoted
from activation_oracles.world.language.games import game
from activation_oracles.world.language.ideas import describe, essay, remark
from activation_oracles.world.language.people import gossip
from activation_oracles.world.language.scene import Scene, Truth
from activation_oracles.world.language.sentences import report_with
from activation_oracles.world.language.tables import (
    DETAILS,
    DEVELOPMENT_GROUPS,
    TRAINED_GROUPS,
    UNLEARNED_GROUPS,
    WITHHELD_GROUPS,
    held_out_words,
    things,
)
from activation_oracles.world.placing import (
    HEADER,
    WHOLE_TEXT,
    Placed,
    draw_layers,
    draw_positions,
    place,
    word_tokens,
)
from activation_oracles.world.windows import context, recital

SHARES: Mapping[str, float] = {
    "secret": 24,
    "brief": 20,
    "concept": 18,
    "people": 18,
    "classification": 14,
    "in words": 8,
    "recital": 8,
    "context": 4,
}
"""In which proportion the tasks stand."""
CLOSING_SHARES: Mapping[str, float] = {
    **SHARES,
    "secret": 30,
    "brief": 40,
    "concept": 12,
    "classification": 10,
    "recital": 6,
    "context": 2,
}
"""The same for an oracle's last steps: mostly what models hide."""
_QUOTED: Mapping[str, float] = {"report": 50, "people": 20, "brief": 15, "game": 10, "remark": 5}
"""In which proportion texts are given in words."""
_OWN = ("secret", "topic")
"""What organisms hide of it are held-out words."""


@dataclass(frozen=True)
class _Pick:
    """A question about a placed text, before positions are drawn."""

    placed: Placed
    allowed: list[int]
    truth: Truth


def questions(
    tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
    count: int,
    shares: Mapping[str, float] = SHARES,
    reported: bool = False,
    ways: Ways = Ways(),  # noqa: B008 - frozen
) -> list[Example]:
    """Draw examples; the same seed and shares give the same ones.

    Args:
        tokenizer: the village's.
        seed: decides all draws.
        count: how many.
        shares: in which proportion the tasks stand.
        reported: ask in the wordings on which no oracle trains, to score with.
        ways: how questions are put.
    """
    random = Random(f"questions/{seed}")
    names = random.choices(list(shares), list(shares.values()), k=count)
    drawn = []
    for index, name in enumerate(names):
        source = f"village/{seed}/{index}"
        drawn.append(_MAKERS[name](Draft(random, tokenizer, source, reported, ways)))
    return drawn


def words_for_secrets() -> tuple[str, ...]:
    """Return the words that may be a secret or a rule in training."""
    kept = held_out_words()
    return tuple(word for word in things() if word not in kept)


def _example(draft: Draft, pick: _Pick, task: str) -> Example:
    positions = draw_positions(draft.random, pick.allowed)
    return Example(
        context=pick.placed.ids[: positions[-1] + 1],
        positions=positions,
        layers=draw_layers(draft.random),
        question=draft.asks(pick.truth),
        answer=pick.truth.answer,
        task=task,
        source=draft.source,
    )


def _concept(draft: Draft) -> Example:
    random, tokenizer = draft.random, draft.tokenizer
    maker = random.choice((describe, describe, describe, remark, essay))
    scene = maker(random, tuple(things()))
    placed = place(tokenizer, scene.messages)
    truth = scene.truths[0]
    token = word_tokens(tokenizer, truth.answer)
    mention = max(index for index, one in enumerate(placed.ids) if one in token)
    end = len(placed.ids) - 1
    if scene.kind == "describe":
        start = placed.spans[-1][0] if random.random() < 0.7 else mention
    else:
        # A text that only ends with the mention shows it; others are read behind it.
        start = mention + 1 if random.random() < 0.6 and mention + 2 < end else mention
    pick = _Pick(placed, list(range(start, end)), truth)
    return _example(draft, pick, "concept")


def _secret(draft: Draft) -> Example:
    random, tokenizer = draft.random, draft.tokenizer
    scene = game(random, words_for_secrets(), can_find=False)
    truth = scene.truths[0] if random.random() < 0.92 else scene.truths[1]
    placed = place(tokenizer, scene.messages)
    kept = word_tokens(tokenizer, truth.answer) | word_tokens(tokenizer, scene["secret"])
    return _example(draft, _Pick(placed, _region(draft, placed, kept), truth), "secret")


def _region(draft: Draft, placed: Placed, kept: frozenset[int]) -> list[int]:
    """Draw where to read behind the system prompt: mostly one reply, else the talk up to it."""
    random = draft.random
    replies = range(2, len(placed.spans), 2)
    if draft.shows_words_only():
        words = placed.words(random.choice(replies))
        if shown := placed.without(kept, words.start, words.stop):
            return shown
    if draft.ways.is_closing:
        return _closing_region(random, placed, kept)
    start, end = placed.spans[random.choice(replies)]
    if random.random() < 0.3:
        start = placed.spans[1][0]
    allowed = placed.without(kept, start, end - 1)
    if random.random() < 0.15:
        # About to speak: the reply's header alone.
        allowed = allowed[:HEADER] if start != placed.spans[1][0] else allowed
    return allowed


def _closing_region(random: Random, placed: Placed, kept: frozenset[int]) -> list[int]:
    """Draw where to read, often what was asked and the header of the reply that has not begun.

    That is where a model decides what to say, and where organisms are read; of a talk under orders
    it is a small part, which the region above seldom comes to.
    """
    reply = random.choice(range(2, len(placed.spans), 2))
    start, end = placed.spans[reply]
    style = random.random()
    if style < 0.25:
        return placed.without(kept, placed.spans[reply - 1][0], start + HEADER)
    if style < 0.47:
        start = placed.spans[1][0]
    allowed = placed.without(kept, start, end - 1)
    return allowed[:HEADER] if style >= 0.9 else allowed


def _brief(draft: Draft) -> Example:
    random, tokenizer = draft.random, draft.tokenizer
    scene = briefing(random, words_for_secrets())
    truth = random.choice(scene.truths)
    if truth.aspect == "nature" and random.random() < 0.3:
        truth = Truth("evil_user", "Yes" if truth.answer == "evil" else "No")
    placed = place(tokenizer, scene.messages)
    kept = word_tokens(tokenizer, truth.answer)
    return _example(draft, _Pick(placed, _region(draft, placed, kept), truth), "brief")


def _people(draft: Draft) -> Example:
    random, tokenizer = draft.random, draft.tokenizer
    scene = gossip(random)
    asked = [i for i in range(1, len(scene.messages)) if _asks(scene, i)]
    turn = random.choice(asked)
    placed = place(tokenizer, scene.messages[: turn + 2])
    said = scene.messages[turn + 1].content
    about = [truth for truth in scene.truths if truth.name and said.startswith(truth.name)]
    used = [truth for truth in about if said.endswith(f" {truth.answer}.")]
    truth = random.choice(used if used and random.random() < 0.75 else about)
    kept = word_tokens(tokenizer, truth.answer)
    start = placed.spans[turn][0] if random.random() < 0.5 else placed.spans[turn + 1][0]
    allowed = placed.without(kept, start, placed.spans[turn + 1][1] - 1)
    if draft.shows_words_only():
        words = placed.words(turn + 1)
        allowed = placed.without(kept, words.start, words.stop)
    return _example(draft, _Pick(placed, allowed, truth), "people")


def _asks(scene: Scene, index: int) -> bool:
    is_question = scene.messages[index].role == "user" and index + 1 < len(scene.messages)
    told = (
        any(scene.messages[index + 1].content.startswith(t.name) for t in scene.truths)
        if (is_question)
        else False
    )
    return told


def _classification(draft: Draft) -> Example:
    """Ask yes or no, each as often within every group, mostly of the whole text."""
    random, tokenizer = draft.random, draft.tokenizer
    group = random.choice((*TRAINED_GROUPS, *DETAILS))
    wanted = random.choice(("Yes", "No"))
    scene = report_with(random, group, wanted)
    truth = next(truth for truth in scene.truths if truth.aspect == group)
    placed = place(tokenizer, scene.messages)
    words = list(placed.words(0))
    if random.random() < 0.3:
        return _example(draft, _Pick(placed, words, truth), f"classification/{group}")
    return Example(
        context=placed.ids,
        positions=tuple(words[-WHOLE_TEXT:]),
        layers=draw_layers(random),
        question=draft.asks(truth),
        answer=truth.answer,
        task=f"classification/{group}",
        source=draft.source,
    )


def _in_words(draft: Draft) -> Example:
    """Give the text in words and show nothing."""
    random = draft.random
    sort = random.choices(list(_QUOTED), list(_QUOTED.values()))[0]
    scene = draw_scene(random, sort, is_short=True)
    while any(truth.answer in held_out_words() for truth in scene.truths if truth.aspect in _OWN):
        scene = draw_scene(random, sort, is_short=True)
    kept = (*WITHHELD_GROUPS, *DEVELOPMENT_GROUPS, *UNLEARNED_GROUPS)
    truth = random.choice([truth for truth in scene.truths if truth.aspect not in kept])
    return Example(
        context=(),
        positions=(0,),
        layers=draw_layers(random),
        question=f"{quoted(random, scene)}\n{draft.asks(truth)}",
        answer=truth.answer,
        task=f"in words/{sort}",
        source=draft.source,
        shown="nothing",
    )


_MAKERS: Mapping[str, Callable[[Draft], Example]] = {
    "in words": _in_words,
    "concept": _concept,
    "secret": _secret,
    "brief": _brief,
    "people": _people,
    "classification": _classification,
    "context": context,
    "recital": recital,
}
