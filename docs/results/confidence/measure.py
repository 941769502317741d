"""What an oracle of the village says to questions with an answer and without, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from activation_oracles.evals.calibrating import Judged, fitted, halves
from activation_oracles.evals.grade import exact
from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Decoding
from activation_oracles.oracle.calibrator import Calibrator, fit
from activation_oracles.oracle.confidence import abstains
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Example
from activation_oracles.world.interviews import interview, words_alone
from activation_oracles.world.language.tables import WITHHELD_GROUPS
from activation_oracles.world.load import Demo
from activation_oracles.world.questions import SHARES, questions
from activation_oracles.world.scores import PLAN, classification_queries
from activation_oracles.world.unanswered import ANSWER, READ, unanswered

COUNT = 600
LONGEST = 8
PRECISION = 0.9


@dataclass(frozen=True)
class Said:
    """One question, and what was said to it."""

    example: Example
    group: str
    """Which rows of the tables it belongs to."""
    unit: str
    refused: bool
    """Whether the oracle said that it cannot tell."""
    guess: str
    """What it said, or would have said."""
    confidence: float
    """How likely it found that, as `--how-sure likelihood` states it."""

    @property
    def right(self) -> float:
        """1 where the guess is right; nothing is right where there is no answer."""
        return exact(self.guess, self.example.answer) or 0.0


@dataclass(frozen=True)
class Found:
    """All that one oracle said, and the curve that was fitted on half of what is about the base."""

    said: tuple[Said, ...]
    development: tuple[Said, ...]
    """Of other organisms: other words, topics and people."""
    curve: Calibrator
    threshold: float | None
    other_half: tuple[Said, ...]


@dataclass(frozen=True)
class Asked:
    """An oracle, and perhaps another that says of what there is no answer to."""

    oracle: Oracle
    abstainer: Oracle | None = None


def measure(demo: Demo, oracle: Asked, development: Sequence[Said]) -> Found:
    """Ask an oracle everything; wordings are those that no oracle trains on.

    Args:
        demo: the village.
        oracle: of its base, in its model.
        development: what the same oracle said of organisms on which things may be chosen.
    """
    tokenizer, base = demo.model.tokenizer, demo.target()
    shares = {task: SHARES[task] for task in READ}
    asked = questions(tokenizer, seed=502, count=COUNT, shares=shares, reported=True)
    said = _said(oracle, asked, list(base.vectors(asked)), "answerable")
    kinds = {"absent": 1.0, "nothing": 1.0, "random": 1.0}
    without = unanswered(tokenizer, seed=501, count=COUNT, kinds=kinds, reported=True)
    said += _said(oracle, without, _shown(base, without), "")
    texts = classification_queries(base, PLAN, WITHHELD_GROUPS, 60)
    withheld = [query.example for query in texts if query.example.task in WITHHELD_GROUPS]
    said += _said(oracle, withheld, list(base.vectors(withheld)), "withheld groups")
    said += interviewed(demo, oracle)
    said += interviewed(demo, oracle, bare=True)
    own = [one for one in said if one.group in ("answerable", *kinds)]
    first, second = halves([_judged(one) for one in own], _text)
    result = fitted(first, second, platt, unit=_text, precision=PRECISION)
    chosen = {id(row.example) for row in second}
    others = tuple(one for one in own if id(one.example) in chosen)
    assert isinstance(result.curve, Calibrator)
    return Found(tuple(said), tuple(development), result.curve, result.threshold, others)


def interviewed(demo: Demo, oracle: Asked, *, bare: bool = False) -> list[Said]:
    """Ask an oracle of all organisms of a village, as its scoreboard does.

    Args:
        demo: the village.
        oracle: who is asked.
        bare: show of a reply no more than its words; what is read before one is left out.
    """
    said: list[Said] = []
    for card in demo.organisms:
        target = demo.target(card.name)
        queries = interview(target, card.secret, PLAN)
        if bare:
            found = [words_alone(query, demo.model.tokenizer) for query in queries]
            queries = [query for query in found if query is not None]
        examples = [query.example for query in queries]
        units = [query.unit for query in queries]
        group = "organisms, words alone" if bare else "organisms"
        said += _said(oracle, examples, list(target.vectors(examples)), group, units)
    return said


def platt(confidences: Sequence[float], right: Sequence[float]) -> Calibrator:
    return fit("likelihood", "platt", confidences, right)


def _text(example: Example) -> str:
    return repr((example.context, example.source))


def _judged(one: Said) -> Judged:
    return Judged(one.example, one.guess, one.confidence, one.right)


def _shown(base: Target, examples: Sequence[Example]) -> list[Tensor | None]:
    """Return what stands in the slots: a reading, nothing, or random directions."""
    read = iter(base.vectors([one for one in examples if one.shown == "reading"]))
    noise = torch.Generator().manual_seed(0)
    width, found = base.model.width, []
    for one in examples:
        size = (len(one.layers) * len(one.positions), width)
        shown = {"nothing": None, "random": torch.randn(size, generator=noise)}
        found.append(shown[one.shown] if one.shown in shown else next(read))
    return found


def _said(
    asked: Asked,
    examples: Sequence[Example],
    vectors: Sequence[Tensor | None],
    group: str,
    units: Sequence[str] | None = None,
) -> list[Said]:
    oracle = asked.oracle
    said = oracle.answer(examples, vectors, max_new_tokens=LONGEST)
    refused = [row for row, text in enumerate(said) if abstains(text)]
    guesses = list(said)
    if refused:
        (refusal,) = oracle.prompts([replace(examples[0], answer=ANSWER)])
        how = Decoding(max_new_tokens=LONGEST, avoiding=(refusal.ids[refusal.answer_start],))
        rows = [examples[row] for row in refused], [vectors[row] for row in refused]
        for row, [drawn] in zip(refused, oracle.samples(*rows, how), strict=True):
            guesses[row] = drawn.text
    if asked.abstainer is not None:
        both = oracle.with_abstainer(asked.abstainer)
        others = both.refusals(examples, vectors, guesses)
        refused = [row for row, text in enumerate(others) if text is not None]
    believed = [
        replace(one, answer=text or " ") for one, text in zip(examples, guesses, strict=True)
    ]
    sure = oracle.likelihood_of(believed, vectors)
    return [
        Said(
            one,
            group or one.task.removeprefix("unanswered/"),
            units[row] if units else _text(one),
            row in refused,
            guesses[row],
            sure[row],
        )
        for row, one in enumerate(examples)
    ]
