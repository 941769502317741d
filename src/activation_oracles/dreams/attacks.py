"""The vectors of a battery: for each concept, what was dreamt, and the rivals from contrast."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.contrast import contrast
from activation_oracles.dreams.dream import Attempt, DreamConfig, dream, noise
from activation_oracles.dreams.effect import Neutral
from activation_oracles.dreams.terms import Dose, Faithful, Harmless, Prompts, Term
from activation_oracles.dreams.wishes import Not, Says, Wish
from activation_oracles.errors import DataError
from activation_oracles.models.chat import Chat
from activation_oracles.models.push import Unit
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.tasks.settings import Settings
from activation_oracles.types import Activations

NORMAL, REDTEAM, SILENT = "normal", "red-team", "silent"
CAA, MEAN = "CAA", "mean difference"
KINDS = (NORMAL, REDTEAM, SILENT, CAA, MEAN)
"""What the oracle should believe; what it should believe of a vector that leaves the target as it
is; what it should not see in one that moves the target; and directions from contrast, last token
and all tokens."""
MOST_PROMPTS = 8


class AttackConfig(Settings):
    """How the vectors of a battery are made."""

    layer: Annotated[int, Field(ge=0)]
    """Where vectors are added to the target, and what the oracle is told of them."""
    search: DreamConfig = Field(default_factory=DreamConfig)
    """The budget of every attack."""
    seeds: Annotated[int, Field(ge=1)] = 2
    """Normal dreams of each concept, each from noise of its own."""
    seed: int = 0
    """Where noise begins."""
    strength: Annotated[float, Field(gt=0)] = 1.0
    """At which red-team vectors should be harmless, and silent ones faithful."""
    unit: Unit = "residual"
    """Of that and of all strengths: `residual`, times the length of the stream; or `absolute`."""
    harmless: Annotated[float, Field(gt=0)] = 3.0
    """Weight of the change that a red-team vector makes, in units of the stream's mean square."""
    faithful: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the effect that a silent vector loses, as a share of it."""

    @property
    def dose(self) -> Dose:
        """How vectors are added to the target."""
        return Dose(self.layer, self.strength, self.unit)


@dataclass(frozen=True, eq=False)
class Made:
    """A vector for a concept, and how it came about."""

    concept: str
    kind: str
    vector: Activations
    seed: int = 0
    reached: bool = True
    """Whether the search came to what it wished for; contrast searches for nothing."""
    steps: int = 0
    costs: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What tells it from the concept's other vectors."""
        return named(self.kind, self.seed)


def named(kind: str, seed: int) -> str:
    """Return what tells a vector from the others of its concept."""
    return f"{kind} {seed}" if kind == NORMAL else kind


def make(
    oracles: Oracle | Sequence[Oracle],
    target: Target,
    concepts: Sequence[Concept],
    neutral: Neutral,
    config: AttackConfig,
    *,
    prompts: Sequence[str] = (),
) -> list[Made]:
    """Make all vectors of some concepts.

    Args:
        oracles: who is attacked.
        target: who is steered.
        concepts: what to dream of, each with texts for contrast.
        neutral: what the target should go on doing as before.
        config: how vectors are searched for.
        prompts: on which silent vectors should keep their effect; by default those of the concepts.

    Raises:
        DataError: a concept has no texts for contrast.
    """
    bare = [one.name for one in concepts if not one.about]
    if bare:
        raise DataError(
            f"The concepts {bare[:5]} have no texts `about` and `not_about`, which their rivals "
            "from contrast are made of, and attacks that hide one."
        )
    rivals = [
        _contrast(target, one, kind, config.layer) for kind in (CAA, MEAN) for one in concepts
    ]
    attack = _Attack(oracles, tuple(concepts), config)
    believed = [Says(one.question, one.answer) for one in concepts]
    found: list[Made] = []
    for seed in range(config.seeds):
        found += attack.run(NORMAL, believed, _noise(concepts, target, config.seed + seed), seed)
    calm = _chats(neutral.prompts)
    harmless = Harmless(Prompts(target, calm), config.dose, config.harmless)
    starts = _noise(concepts, target, config.seed)
    found += attack.run(REDTEAM, believed, starts, terms=[harmless])
    both = calm + _chats(prompts or asked_of(concepts))
    faithful = Faithful(Prompts(target, both), config.dose, config.faithful)
    steering = torch.stack([one.vector.vectors[0] for one in rivals[: len(concepts)]])
    found += attack.run(SILENT, [Not(one) for one in believed], steering, terms=[faithful])
    return found + rivals


def asked_of(concepts: Sequence[Concept]) -> tuple[str, ...]:
    """Return some of the prompts on which concepts show."""
    asked = dict.fromkeys(prompt for one in concepts for prompt in one.prompts)
    return tuple(asked)[:MOST_PROMPTS]


@dataclass(frozen=True, eq=False)
class _Attack:
    """Who is attacked, for which concepts, and how."""

    oracles: Oracle | Sequence[Oracle]
    concepts: tuple[Concept, ...]
    config: AttackConfig

    def run(
        self,
        kind: str,
        wishes: Sequence[Wish],
        starts: Float[Tensor, "concept d_model"],
        seed: int = 0,
        terms: Sequence[Term] = (),
    ) -> list[Made]:
        """Dream one vector for each concept."""
        attempts = [
            Attempt(one.name, wish, start)
            for one, wish, start in zip(self.concepts, wishes, starts, strict=True)
        ]
        config = self.config
        found = dream(self.oracles, attempts, layer=config.layer, config=config.search, terms=terms)
        return [
            Made(one.name, kind, one.vector, seed, one.believed, one.steps, dict(one.costs))
            for one in found
        ]


def _chats(prompts: Sequence[str]) -> tuple[Chat, ...]:
    return tuple([{"role": "user", "content": prompt}] for prompt in prompts)


def _noise(
    concepts: Sequence[Concept], target: Target, seed: int
) -> Float[Tensor, "concept d_model"]:
    # By the concept's name: which others are attacked with it changes nothing.
    width = target.model.width
    numbers = [zlib.crc32(f"{seed}/{one.name}".encode()) for one in concepts]
    return torch.cat([noise(1, width, seed=number) for number in numbers])


def _contrast(target: Target, concept: Concept, kind: str, layer: int) -> Made:
    positions = "last token" if kind == CAA else "all"
    vector = contrast(target, concept.about, concept.not_about, layer=layer, positions=positions)
    return Made(concept.name, kind, vector)
