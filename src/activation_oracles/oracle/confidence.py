"""How sure is an answer: what several askings agree on, or how likely its own tokens are.

Agreement across wordings of one question is evidence; across samples of one wording it is hardly
any: a released oracle agreed with itself at .94 over seeds and at .31 over wordings. What an oracle
says of its own confidence is not asked for: it is near chance (arXiv 2605.26045).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from activation_oracles.errors import DataError
from activation_oracles.oracle.asking import Asker, Decoding, Shown
from activation_oracles.oracle.calibrator import Calibrator, Method
from activation_oracles.oracle.refusing import refusal_score
from activation_oracles.oracle.sharing import Asked
from activation_oracles.types import Answer

SMALLEST = 1e-12
"""Below this a probability counts as so much: a lift stays a number."""
CANNOT_TELL = "cannot tell"
"""What an answer says that is too unsure to be given."""
LONGEST_REFUSAL = 8
"""Tokens by which an abstainer has said that it cannot tell."""
_ABSTAINING = ("cannot tell", "can't tell", "cannot say")


@dataclass(frozen=True)
class HowSure:
    """By which method an answer's confidence is found."""

    method: Method
    wordings: tuple[str, ...] = ()
    """Other wordings of the question, for `wordings`; for `choice`, probabilities are averaged
    over them."""

    def __post_init__(self) -> None:
        if self.method == "wordings" and not self.wordings:
            raise DataError(
                "Confidence by wordings needs other wordings of the question: give one or more."
            )
        if self.wordings and self.method not in ("wordings", "choice"):
            raise DataError(f"Confidence by {self.method} takes no other wordings of the question.")
        if not all(map(str.strip, self.wordings)):
            raise DataError("A wording of the question is empty.")


@dataclass(frozen=True)
class Agreed:
    """What several askings come to."""

    text: str
    """The most frequent answer."""
    guess: str | None
    """Where that says that there is none: the most frequent of the others, if any."""
    share: float
    """Of all askings, those that gave the guess; where there is none, the text. 0 where all said
    that there is no answer."""


def abstains(text: str) -> bool:
    """Tell whether an answer says that there is none."""
    return any(words in text.casefold() for words in _ABSTAINING)


def agreed(texts: Sequence[str]) -> "Agreed":
    """Return the most frequent answer, the earliest among equals, and its share.

    Answers are the same that differ in case, spaces and closing punctuation alone, and all that say
    that there is none.
    """
    counts = Counter(map(_plain, texts))
    winner = counts.most_common(1)[0][0]
    said = next(text for text in texts if _plain(text) == winner)
    others = [text for text in texts if not abstains(text)]
    if not abstains(said):
        return Agreed(said, None, counts[winner] / len(texts))
    if not others:
        return Agreed(said, None, 0.0)
    best = agreed(others)
    return Agreed(said, best.text, best.share * len(others) / len(texts))


def likelihoods(asker: Asker, shown: Sequence[Shown], texts: Sequence[str]) -> list[float]:
    """Return the probability of each answer: the geometric mean over its tokens, its end included.

    Answers without words have none: 0.
    """
    asked = [asker.show(one, text or " ") for one, text in zip(shown, texts, strict=True)]
    found = of_answers(asker, asked)
    return [one if text else 0.0 for one, text in zip(found, texts, strict=True)]


def of_answers(asker: Asker, asked: Sequence[Asked]) -> list[float]:
    """Return the probability of each prompt's answer: as `likelihoods`."""
    rows = asker.likelihood(asked)
    lengths = [one.prompt.answer_end - one.prompt.answer_start + 1 for one in asked]
    return [math.exp(sum(row[:length]) / length) for row, length in zip(rows, lengths, strict=True)]


def refusals(
    abstainer: Asker,
    ask: Callable[[str | None], Sequence[Asked]],
    sure: Callable[[], Sequence[float]],
) -> list[str | None]:
    """Return what an abstainer says where it finds no answer, and None where it finds one.

    By its card's rule, in one pass; without one, by what it generates.

    Args:
        abstainer: who may refuse.
        ask: writes its prompts, with this text as the answer of each or to be answered.
        sure: finds how likely the other oracle finds each of its own answers.
    """
    rule = abstainer.card.refusal
    if rule is None:
        drawn = abstainer.generate(ask(None), Decoding(max_new_tokens=LONGEST_REFUSAL))
        return [one.text if abstains(one.text) else None for [one] in drawn]
    likely = of_answers(abstainer, ask(rule.text))
    against = sure() if rule.weight else [0.0] * len(likely)
    scores = [refusal_score(*pair, rule.weight) for pair in zip(likely, against, strict=True)]
    return [rule.text if one > rule.threshold else None for one in scores]


def lifts(asker: Asker, shown: Sequence[Shown], texts: Sequence[str]) -> list[float | None]:
    """Return how many times likelier each answer is than with nothing written over its slots.

    Per token, as `likelihoods`; None where nothing is shown, or the answer has no words.
    """
    rows = [
        row
        for row, (one, text) in enumerate(zip(shown, texts, strict=True))
        if one.written and text
    ]
    if not rows:
        return [None] * len(shown)
    some, said = [shown[row] for row in rows], [texts[row] for row in rows]
    here = likelihoods(asker, some, said)
    blind = likelihoods(asker, [replace(one, written=False) for one in some], said)
    found: list[float | None] = [None] * len(shown)
    for row, ours, theirs in zip(rows, here, blind, strict=True):
        found[row] = ours / max(theirs, SMALLEST)
    return found


def settled(answer: Answer, stated: float, method: Method, curve: Calibrator | None) -> Answer:
    """Return the answer with its confidence, or `cannot tell` where that is too low.

    Where the oracle itself said so and a curve has a threshold, the threshold decides on its guess.

    Args:
        answer: as it was given; with its guess, where it says that there is none.
        stated: the method's own figure.
        method: which one.
        curve: fitted on held-out answers, from the oracle's card; None leaves the figure as it is,
            and says so.
    """
    if curve is None:
        return replace(answer, confidence=stated, confidence_by=f"{method}, not calibrated")
    sure = curve.apply(stated)
    by = f"{method}, {curve.curve} curve fitted on {curve.num_answers} answers"
    known = replace(answer, confidence=sure, confidence_by=by)
    if curve.threshold is None:
        return known
    said = answer.text if answer.guess is None else answer.guess
    if sure >= curve.threshold:
        return replace(known, text=said, guess=None)
    return replace(known, text=CANNOT_TELL, guess=said)


def _plain(text: str) -> str:
    if abstains(text):
        return CANNOT_TELL
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'")
