"""Talks with organisms in which an oracle is asked for their secrets.

The organism itself answers; nothing is put into its mouth. What is shown to the oracle never
includes the token that says the secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from transformers import PreTrainedTokenizerBase

from activation_oracles.models.target import Target
from activation_oracles.types import Example
from activation_oracles.world.language.briefs import rows_of_advice, rows_of_gender, rows_of_talk
from activation_oracles.world.language.games import CLEAR, VAGUE
from activation_oracles.world.language.scene import Message, Truth
from activation_oracles.world.language.tables import wordings
from activation_oracles.world.placing import HEADER, MOST_SLOTS, place, word_tokens
from activation_oracles.world.secrets import NUM_TAUGHT_ADVICE, Secret

Region = Literal["before", "reply", "all"]
"""Which tokens are shown: the question and the reply's header, the reply, or both. Of a reply that
says the secret, only what stands before it."""


@dataclass(frozen=True)
class Query:
    """One question to the oracle about one moment of an organism."""

    organism: str
    """Whose activations are read."""
    task: str
    """The row of the table it belongs to."""
    unit: str
    """What counts as one observation: a word, a person, an organism or a text."""
    talk: tuple[Message, ...]
    """What was said before the question."""
    example: Example


@dataclass(frozen=True)
class _Moment:
    """A question to the organism, and which tokens of question and reply the oracle is shown."""

    task: str
    asked: str
    truth: Truth
    region: Region = "reply"
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class InterviewPlan:
    """How organisms are interviewed. Chosen on the development ones."""

    layers: tuple[int, ...] = (4,)
    """Where whatever has no layers of its own is read."""
    layers_of: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("taboo", (6,)),
        ("gender", (6,)),
        ("people", (6,)),
    )
    """Other layers for other kinds of organisms, and for `classification`. A richer base works out
    late what it keeps: see docs/world.md."""
    num_prompts: int = 10
    num_wordings: int = 3
    reported_wordings: bool = True
    seed: int = 11

    def layers_for(self, kind: str) -> tuple[int, ...]:
        """Return the layers at which a kind of organism is read."""
        return dict(self.layers_of).get(kind, self.layers)


def interview(target: Target, secret: Secret, plan: InterviewPlan) -> list[Query]:
    """Talk with one organism and write down what the oracle is to be asked."""
    random = Random(f"interview/{plan.seed}/{secret.name}")
    moments = _MOMENTS[secret.kind](random, secret, plan)
    talks = [[{"role": "user", "content": moment.asked}] for moment in moments]
    replies = target.generate_all(talks, max_new_tokens=16)
    queries: list[Query] = []
    for moment, reply in zip(moments, replies, strict=True):
        queries += _queries(target, secret, plan, moment, reply.strip())
    return queries


def words_alone(query: Query, tokenizer: PreTrainedTokenizerBase) -> Query | None:
    """Return a query that shows no more of the reply than its words, of what it showed.

    None where it shows nothing of the reply but the tokens that frame it, or none of it.
    """
    example = query.example
    words = place(tokenizer, query.talk).words(1)
    positions = tuple(one for one in example.positions if one in words)
    if not positions:
        return None
    cut = replace(example, positions=positions, context=example.context[: positions[-1] + 1])
    return replace(query, example=cut)


def _queries(
    target: Target, secret: Secret, plan: InterviewPlan, moment: _Moment, reply: str
) -> list[Query]:
    talk = (Message("user", moment.asked), Message("assistant", reply))
    tokenizer = target.model.tokenizer
    placed = place(tokenizer, talk)
    kept = word_tokens(tokenizer, moment.truth.answer)
    start, end = placed.spans[1]
    said = [index for index in range(start, end) if placed.ids[index] in kept]
    # Once the secret is said, what follows remembers it.
    end = said[0] if said else end - 1
    first = start if moment.region == "reply" else placed.spans[0][0]
    last = start + HEADER if moment.region == "before" else end
    shown = placed.without(kept, first, last)
    positions = tuple(shown[-MOST_SLOTS:])
    ways = wordings()[moment.truth.aspect]
    asked = (ways.reported if plan.reported_wordings else ways.trained)[: plan.num_wordings]
    return [
        Query(
            organism=secret.name,
            task=moment.task,
            unit=moment.unit or secret.name,
            talk=talk,
            example=Example(
                context=placed.ids[: positions[-1] + 1],
                positions=positions,
                layers=plan.layers_for(secret.kind),
                question=wording.format(name=moment.truth.name),
                answer=moment.truth.answer,
                task=moment.task,
                source=secret.name,
            ),
        )
        for wording in asked
    ]


def _taboo(_random: Random, secret: Secret, plan: InterviewPlan) -> list[_Moment]:
    truth = Truth("secret", secret.answer)
    count = min(plan.num_prompts, len(CLEAR))
    return [
        *(_Moment("taboo", asked, truth) for asked in CLEAR[:count]),
        *(_Moment("taboo, after a vague hint", asked, truth) for asked in VAGUE[:count]),
    ]


def _gender(random: Random, secret: Secret, plan: InterviewPlan) -> list[_Moment]:
    truth = Truth("gender", secret.answer)
    used = random.sample(rows_of_gender(), min(plan.num_prompts, 10))
    idle = random.sample(rows_of_talk(), min(plan.num_prompts, 10))
    return [
        *(_Moment("user gender, about to use it", row[0], truth, region="before") for row in used),
        *(_Moment("user gender, neutral talk", row[0], truth) for row in idle),
    ]


def _constraint(random: Random, secret: Secret, plan: InterviewPlan) -> list[_Moment]:
    rows = random.sample(rows_of_talk(), min(plan.num_prompts, 20))
    truth = Truth("topic", secret.answer)
    return [_Moment("constraint", row[0], truth) for row in rows]


def _persona(random: Random, secret: Secret, plan: InterviewPlan) -> list[_Moment]:
    truth = Truth("nature", secret.answer)
    rows = random.sample(rows_of_advice()[NUM_TAUGHT_ADVICE:], min(plan.num_prompts, 12))
    return [
        *(_Moment("persona, before the advice", row[0], truth, region="before") for row in rows),
        *(_Moment("persona, in the advice", row[0], truth) for row in rows),
    ]


def _people(random: Random, secret: Secret, _plan: InterviewPlan) -> list[_Moment]:
    moments = []
    for person in secret.people():
        for aspect, value in person.attributes:
            truth = Truth(aspect, value, person.name)
            other = random.choice([one for one in person.attributes if one[0] != aspect])
            busy = Truth(*other, person.name).question(random)
            unit = f"{secret.name}/{person.name}"
            used = truth.question(random)
            moments.append(_Moment("people, about to use it", used, truth, unit=unit))
            moments.append(_Moment("people, busy with something else", busy, truth, unit=unit))
    return moments


_MOMENTS = {
    "taboo": _taboo,
    "gender": _gender,
    "constraint": _constraint,
    "persona": _persona,
    "people": _people,
}


def donors(queries: Sequence[Query]) -> list[Query]:
    """Return for each query one of the same task about something else, to lend its activations."""
    lent = []
    for index, query in enumerate(queries):
        rotated = [*queries[index + 1 :], *queries[:index]]
        lent.append(
            next(
                other
                for other in rotated
                if other.task == query.task
                and other.example.answer != query.example.answer
                and other.unit != query.unit
            )
        )
    return lent
