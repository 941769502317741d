"""The vectors of a battery: for each concept, what was dreamt, and the rivals from contrast."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Literal

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
Kind = Literal["normal", "red-team", "silent", "CAA", "mean difference"]
KINDS: tuple[Kind, ...] = (NORMAL, REDTEAM, SILENT, CAA, MEAN)
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
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = KINDS
    """Which vectors are made of each concept."""
    seeds: Annotated[int, Field(ge=1)] = 2
    """Normal dreams of each concept, each from noise of its own."""
    contrasts: Annotated[int, Field(ge=1)] = 1
    """Directions from contrast of each concept and kind: one from all its texts, and others from
    the halves of them that are drawn."""
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
    several = kind == NORMAL or (seed > 0 and kind in (CAA, MEAN))
    return f"{kind} {seed}" if several else kind


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
    if bare and {SILENT, CAA, MEAN} & set(config.kinds):
        raise DataError(
            f"The concepts {bare[:5]} have no texts `about` and `not_about`, which their rivals "
            "from contrast are made of, and attacks that hide one."
        )
    attack = _Attack(oracles, target, tuple(concepts), config)
    found: list[Made] = []
    if NORMAL in config.kinds:
        for seed in range(config.seeds):
            found += attack.believed(NORMAL, seed)
    calm = _chats(neutral.prompts)
    if REDTEAM in config.kinds:
        harmless = Harmless(Prompts(target, calm), config.dose, config.harmless)
        found += attack.believed(REDTEAM, terms=[harmless])
    if SILENT in config.kinds:
        both = calm + _chats(prompts or asked_of(concepts))
        found += attack.unseen([Faithful(Prompts(target, both), config.dose, config.faithful)])
    for kind in (CAA, MEAN):
        for seed in range(config.contrasts if kind in config.kinds else 0):
            found += attack.contrasted(kind, seed)
    return found


def asked_of(concepts: Sequence[Concept]) -> tuple[str, ...]:
    """Return some of the prompts on which concepts show."""
    asked = dict.fromkeys(prompt for one in concepts for prompt in one.prompts)
    return tuple(asked)[:MOST_PROMPTS]


@dataclass(frozen=True, eq=False)
class _Attack:
    """Who is attacked, for which concepts, and how."""

    oracles: Oracle | Sequence[Oracle]
    target: Target
    concepts: tuple[Concept, ...]
    config: AttackConfig

    def believed(self, kind: str, seed: int = 0, terms: Sequence[Term] = ()) -> list[Made]:
        """Dream of what the oracle should believe, each from noise of its own."""
        # By the concept's name: which others are attacked with it changes nothing.
        drawn = self.config.seed + seed
        numbers = [zlib.crc32(f"{drawn}/{one.name}".encode()) for one in self.concepts]
        starts = [noise(1, self.target.model.width, seed=number) for number in numbers]
        wishes = [Says(one.question, one.answer) for one in self.concepts]
        return self._run(kind, wishes, torch.cat(starts), seed, terms)

    def unseen(self, terms: Sequence[Term]) -> list[Made]:
        """Dream of what the oracle should not see, each from what steers."""
        starts = torch.cat([one.vector.vectors for one in self.contrasted(CAA)])
        wishes = [Not(Says(one.question, one.answer)) for one in self.concepts]
        return self._run(SILENT, wishes, starts, 0, terms)

    def contrasted(self, kind: str, seed: int = 0) -> list[Made]:
        """Return directions from contrast: from all texts, or with a seed from half of them."""
        positions = "last token" if kind == CAA else "all"
        layer, found = self.config.layer, list[Made]()
        for one in self.concepts:
            texts = [one.about, one.not_about]
            if seed:
                numbers = Random(f"{self.config.seed}/{one.name}/{kind}/{seed}")
                texts = [numbers.sample(some, -(-len(some) // 2)) for some in texts]
            vector = contrast(self.target, *texts, layer=layer, positions=positions)
            found.append(Made(one.name, kind, vector, seed))
        return found

    def _run(
        self,
        kind: str,
        wishes: Sequence[Wish],
        starts: Float[Tensor, "concept d_model"],
        seed: int,
        terms: Sequence[Term],
    ) -> list[Made]:
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
