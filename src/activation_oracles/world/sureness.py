"""How often the village's oracle is right, by how likely it finds what it says.

Fitted on the organisms on which recipes are chosen: their words, topics and people are others than
those of the organisms that are shipped and reported. A curve that is fitted on the base's own texts
is worse than none there: see docs/results/confidence.md.
"""

import hashlib
from dataclasses import replace

from activation_oracles.evals.calibration import threshold_for
from activation_oracles.evals.grade import exact
from activation_oracles.oracle.calibrator import Calibrator, fit
from activation_oracles.world.interviews import InterviewPlan, interview
from activation_oracles.world.load import Demo
from activation_oracles.world.scores import PLAN

LONGEST = 8
"""Tokens at which an answer is cut."""


def curve(demo: Demo, *, precision: float, plan: InterviewPlan = PLAN) -> Calibrator:
    """Fit how likely the oracle finds its answers about organisms to how often they are right.

    Args:
        demo: the village, with its development organisms.
        precision: how often an answer should be right that is not replaced by `cannot tell`.
        plan: how organisms are interviewed.

    Raises:
        DataError: the organisms are too few, or the oracle is always right or never.
    """
    stated: list[float] = []
    right: list[float] = []
    asked: list[str] = []
    for card in demo.organisms:
        target = demo.target(card.name)
        examples = [query.example for query in interview(target, card.secret, plan)]
        vectors = target.vectors(examples)
        said = demo.oracle.answer(examples, vectors, max_new_tokens=LONGEST)
        believed = [replace(one, answer=text) for one, text in zip(examples, said, strict=True)]
        stated += demo.oracle.likelihood_of(believed, vectors)
        right += [
            float(exact(text, one.answer) or 0.0) for one, text in zip(examples, said, strict=True)
        ]
        asked += map(repr, examples)
    found = fit("likelihood", "platt", stated, right)
    chosen = threshold_for([found.apply(one) for one in stated], right, precision)
    digest = hashlib.sha256("\n".join(sorted(asked)).encode()).hexdigest()[:16]
    return found.model_copy(
        update={
            "threshold": None if chosen is None else chosen.threshold,
            "precision": precision,
            "data": digest,
        }
    )
