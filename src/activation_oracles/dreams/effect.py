"""What vectors do to a target: dose response, damage, and the strength at which to look.

A vector that breaks a model makes it say anything. So each is judged at the greatest strength, of
either sign, at which the target still reads neutral texts well and does not repeat itself; where to
look is never chosen by the effect itself, which would flatter any vector.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor

from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.terms import Dose
from activation_oracles.dreams.under import Case, likelihoods, replies
from activation_oracles.models.target import Target
from activation_oracles.tasks.settings import Settings


class Doses(Settings):
    """At which strengths vectors are tried, and when the target counts as broken."""

    strengths: Annotated[tuple[float, ...], Field(min_length=1)] = (
        *(-2.0, -1.0, -0.5, -0.25),
        *(0.25, 0.5, 1.0, 2.0),
    )
    """In units of the stream's length at each token, or of 1 where the unit is absolute."""
    perplexity: Annotated[float, Field(gt=1)] = 2.0
    """Most that the perplexity of neutral texts may be multiplied by."""
    repetition: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Most that the share of repeated word pairs may grow by, in replies to neutral prompts."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 24
    """Length of replies."""

    @field_validator("strengths")
    @classmethod
    def _some(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if 0 in strengths:
            raise ValueError("0 is no strength: what the target does unsteered is always measured")
        return tuple(sorted(set(strengths)))


@dataclass(frozen=True)
class Neutral:
    """What a target should go on doing as before."""

    texts: tuple[str, ...]
    """Plain texts, whose perplexity is measured."""
    prompts: tuple[str, ...]
    """Asked of it, and looked through for repetition."""


@dataclass(frozen=True)
class Damage:
    """What a vector at one strength breaks."""

    perplexity: float
    """Of neutral texts, over that of the target as it is."""
    repetition: float
    """Share of word pairs in replies to neutral prompts that were said before, less the share
    without steering."""

    def within(self, doses: Doses) -> bool:
        """Tell whether the target is still whole."""
        return self.perplexity <= doses.perplexity and self.repetition <= doses.repetition


def damage(
    target: Target,
    vectors: Sequence[Float[Tensor, " d_model"]],
    neutral: Neutral,
    dose: Dose,
    doses: Doses,
) -> list[dict[float, Damage]]:
    """Return what each vector breaks, by strength."""
    tried = [(vector, strength) for vector in vectors for strength in doses.strengths]
    still: tuple[None, float] = (None, 0.0)
    both = [still, *tried]
    scored = likelihoods(target, [Case(text, *one) for one in both for text in neutral.texts], dose)
    said = replies(
        target,
        [Case(_chat(prompt), *one) for one in both for prompt in neutral.prompts],
        dose,
        max_new_tokens=doses.max_new_tokens,
    )
    texts, prompts = len(neutral.texts), len(neutral.prompts)
    read = [fmean(scored[at : at + texts]) for at in range(0, len(scored), texts)]
    again = [fmean(map(repetition, said[at : at + prompts])) for at in range(0, len(said), prompts)]
    found = [
        Damage(float(torch.tensor(read[0] - one).exp()), more - again[0])
        for one, more in zip(read[1:], again[1:], strict=True)
    ]
    count = len(doses.strengths)
    return [
        dict(zip(doses.strengths, found[at : at + count], strict=True))
        for at in range(0, len(found), count)
    ]


def strongest(broken: dict[float, Damage], doses: Doses, *, sign: int = 1) -> float:
    """Return the greatest strength of a sign at which, and below which, the target stays whole.

    0 where it breaks at the least.
    """
    best = 0.0
    for strength in sorted((one for one in broken if one * sign > 0), key=abs):
        if not broken[strength].within(doses):
            break
        best = strength
    return best


@dataclass(frozen=True, eq=False)
class Trial:
    """A vector at a strength, on a concept."""

    concept: Concept
    vector: Float[Tensor, " d_model"] | None = None
    """None: the target as it is."""
    strength: float = 0.0
    instructed: bool = False
    """Whether the target is asked for the concept in words, before each prompt."""


def chosen(target: Target, trials: Sequence[Trial], dose: Dose) -> list[float]:
    """Return how likely each trial makes the concept's reply, among it and its alternatives.

    Replies are weighed by their log-probability per token; the mean is over the concept's prompts.
    """
    cases = [
        Case(_asked(trial, prompt), trial.vector, trial.strength, reply)
        for trial in trials
        for prompt in trial.concept.prompts
        for reply in (trial.concept.reply, *trial.concept.instead)
    ]
    scores = torch.tensor(likelihoods(target, cases, dose))
    found: list[float] = []
    at = 0
    for trial in trials:
        shape = len(trial.concept.prompts), 1 + len(trial.concept.instead)
        part = scores[at : at + shape[0] * shape[1]].view(shape)
        found.append(float(part.softmax(dim=1)[:, 0].mean()))
        at += part.numel()
    return found


def spoken(
    target: Target, trials: Sequence[Trial], dose: Dose, *, max_new_tokens: int = 24
) -> list[list[str]]:
    """Return what the target says to the concept's prompts in each trial."""
    cases = [
        Case(_asked(trial, prompt), trial.vector, trial.strength)
        for trial in trials
        for prompt in trial.concept.prompts
    ]
    said = iter(replies(target, cases, dose, max_new_tokens=max_new_tokens))
    return [[next(said) for _ in trial.concept.prompts] for trial in trials]


def repetition(text: str) -> float:
    """Return the share of a text's word pairs that it held before; 0 for fewer than two words."""
    words = text.split()
    pairs = Counter(pairwise(words))
    return 1 - len(pairs) / pairs.total() if pairs else 0.0


def _asked(trial: Trial, prompt: str) -> list[dict[str, str]]:
    return _chat(f"{trial.concept.asked_for} {prompt}" if trial.instructed else prompt)


def _chat(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]
