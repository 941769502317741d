"""Steering detection: a concept is added to a model's stream; does the oracle say which?

What was put there is known, stands in no text, and may not show in what the model says: an oracle
that names it has read activations. After "Current activation oracles are hard to use" (Jakkli,
Rajamanoharan and Nanda 2026), which finds steering detected before it shows in text.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from activation_oracles.evals.cases import Case
from activation_oracles.evals.grade import contains
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.moments import moments
from activation_oracles.evals.suites.secrets import only
from activation_oracles.models.positions import Span
from activation_oracles.models.push import Push
from activation_oracles.models.steered import Steered
from activation_oracles.models.target import Target

CONCEPTS = tuple("ocean war music money snow garden hospital train".split())
TEMPLATES = ("I keep thinking about the {concept}.", "Tell me more about the {concept}.")
PROMPTS = ("What should I do today?", "Tell me something.", "How are you?")
QUESTIONS = ("Answer with a single word only. What is the model thinking about?",)
STRENGTHS = (0.5, 1.0)
"""How long what is added is, over the length that streams have there."""


def detection(given: Given) -> Evaluation:
    """Ask which concept the base model is steered to, while it reads neutral prompts.

    A concept's direction is what a mention of it adds to the mean over concepts, one block before
    the first layer that is read. `prompts` may hold `concepts`, `concept_texts` (with `{concept}`
    in each) and `talk`; wordings are those for `thought`. A reply is shown up to where it names the
    concept. The unit is the concept.
    """
    concepts = tuple(given.limited(list(given.prompts.get("concepts", CONCEPTS))))
    templates = given.prompts.get("concept_texts", TEMPLATES)
    block = max(0, min(given.layers) - 1)

    def made(base: Target) -> dict[str, Target]:
        directions = _directions(base, concepts, templates, block)
        return {
            _name(concept, strength): Steered(
                base,
                [Push(block, directions[concept][None], strength, unit="absolute")],
                name=_name(concept, strength),
            )
            for concept in concepts
            for strength in STRENGTHS
        }

    def rows(targets: Mapping[str, Target]) -> Iterable[Case]:
        prompts = given.prompts.get("talk", PROMPTS)[: len(PROMPTS)]
        for concept in concepts:
            for strength in STRENGTHS:
                name = _name(concept, strength)
                for moment in moments(targets[name], prompts, given, unsaid=concept):
                    for wording in given.questions.get("thought", QUESTIONS):
                        yield Case(
                            context=moment.context,
                            positions=moment.positions,
                            layers=given.layers,
                            question=wording,
                            answer=concept,
                            task=_task(strength),
                            source=f"{name}/{moment.talk[0][1]}",
                            subject=name,
                            unit=concept,
                            talk=moment.talk,
                        )

    return Evaluation(
        name="steering",
        about="which concept was added to a model's stream (Jakkli et al. 2026)",
        subjects=(),
        made=made,
        rows=lambda targets: list(rows(targets)),
        grade=partial(only, others=concepts) if len(concepts) > 1 else contains,
        choices={_task(one): concepts for one in STRENGTHS} if len(concepts) > 1 else {},
    )


def _directions(
    base: Target, concepts: Sequence[str], templates: Sequence[str], block: int
) -> dict[str, Tensor]:
    """Return a direction for each concept, as long as streams are there."""
    means: list[Tensor] = []
    lengths: list[Tensor] = []
    for concept in concepts:
        mentions = [
            base.read(
                [{"role": "user", "content": one.format(concept=concept)}],
                layers=block,
                positions=Span(concept),
            ).vectors.float()
            for one in templates
        ]
        found = torch.cat(mentions)
        means.append(found.mean(0))
        lengths.append(found.norm(dim=-1))
    length = torch.cat(lengths).median()
    centre = torch.stack(means).mean(0)
    return {
        concept: torch.nn.functional.normalize(mean - centre, dim=0) * length
        for concept, mean in zip(concepts, means, strict=True)
    }


def _name(concept: str, strength: float) -> str:
    return f"steered to {concept}, {strength:g}"


def _task(strength: float) -> str:
    return f"steering, strength {strength:g}"
