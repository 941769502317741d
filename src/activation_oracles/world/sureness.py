"""How often the village's oracle is right, and when its abstainer refuses.

The curve is fitted on the organisms on which recipes are chosen: their words, topics and people are
others than those of the organisms that are shipped and reported. A curve that is fitted on the
base's own texts is worse than none there: see docs/results/confidence.md. What a refusal may cost
is said of the base's texts, drawn from a seed of their own.
"""

from dataclasses import replace

from activation_oracles.evals.calibrating import hashed, refusal_rule
from activation_oracles.evals.calibration import threshold_for
from activation_oracles.evals.grade import exact
from activation_oracles.oracle.calibrator import Calibrator, fit
from activation_oracles.oracle.refusing import WEIGHTS, Refusal, refusal_score, weighed
from activation_oracles.types import Example
from activation_oracles.world.interviews import InterviewPlan, interview, words_alone
from activation_oracles.world.load import Demo
from activation_oracles.world.questions import SHARES, questions
from activation_oracles.world.scores import PLAN
from activation_oracles.world.unanswered import ANSWER, READ, unanswered

LONGEST = 8
"""Tokens at which an answer is cut."""
_SEED, _COUNT = 602, 3_600
"""Of the questions on which a threshold for refusals is chosen: few lie near it, so many are asked.
"""


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
    asked: list[Example] = []
    for card in demo.organisms:
        target = demo.target(card.name)
        queries = interview(target, card.secret, plan)
        # Both ways of showing a reply: how sure the oracle is of either is not the same.
        bare = [words_alone(query, demo.model.tokenizer) for query in queries]
        examples = [query.example for query in (*queries, *bare) if query is not None]
        vectors = target.vectors(examples)
        said = demo.oracle.answer(examples, vectors, max_new_tokens=LONGEST)
        believed = [replace(one, answer=text) for one, text in zip(examples, said, strict=True)]
        stated += demo.oracle.likelihood_of(believed, vectors)
        right += [
            float(exact(text, one.answer) or 0.0) for one, text in zip(examples, said, strict=True)
        ]
        asked += examples
    found = fit("likelihood", "platt", stated, right)
    chosen = threshold_for([found.apply(one) for one in stated], right, precision)
    return found.model_copy(
        update={
            "threshold": None if chosen is None else chosen.threshold,
            "precision": precision,
            "data": hashed(asked),
        }
    )


def refusal(demo: Demo, *, loss: float, count: int = _COUNT) -> Refusal:
    """Choose how likely the abstainer must find its refusal.

    Args:
        demo: the village.
        loss: which share of the oracle's right answers about the base's texts that may take.
        count: how many questions with an answer, and how many without, to choose it on.

    Raises:
        DataError: the oracle answers too few of them rightly.
    """
    tokenizer, base = demo.model.tokenizer, demo.target()
    shares = {task: SHARES[task] for task in READ}
    asked = questions(tokenizer, seed=_SEED, count=count, shares=shares, reported=True)
    kinds = {"absent": 1.0}
    asked += unanswered(tokenizer, seed=_SEED - 1, count=count, kinds=kinds, reported=True)
    vectors = base.vectors(asked)
    said = demo.oracle.answer(asked, vectors, max_new_tokens=LONGEST)
    pairs = weighed(demo.oracle, demo.abstainer, asked, vectors, said, ANSWER)
    right = [
        None if one.answer == ANSWER else exact(text, one.answer)
        for text, one in zip(said, asked, strict=True)
    ]
    scores = {one: [refusal_score(*pair, one) for pair in pairs] for one in WEIGHTS}
    weight, threshold = refusal_rule(scores, right, loss)
    return Refusal(
        text=ANSWER,
        threshold=threshold,
        weight=weight,
        loss=loss,
        num_answers=int(sum(one or 0.0 for one in right)),
        data=hashed(asked),
    )
