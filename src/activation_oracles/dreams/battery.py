"""The battery: what every vector does to the target, what oracles say of it, and how surely.

An effect is how much likelier the concept's reply becomes, at the greatest strength that leaves the
target whole. It is compared with what random directions do to the same concept, and with what the
same kind of vector does that was made for another concept: labels shuffled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from activation_oracles.dreams.attacks import AttackConfig, Made
from activation_oracles.dreams.beliefs import Beliefs
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.dream import noise
from activation_oracles.dreams.effect import (
    Damage,
    Doses,
    Neutral,
    Trial,
    chosen,
    damage,
    spoken,
    strongest,
)
from activation_oracles.dreams.findings import Effect, Measured, Said
from activation_oracles.dreams.judging import Judge
from activation_oracles.dreams.terms import Harmless, Prompts
from activation_oracles.dreams.wishes import Says
from activation_oracles.errors import DataError
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.tasks.settings import Settings

AT_ONCE = 64
"""Vectors that go through a model together."""


class BatteryConfig(Settings):
    """What a battery attacks and how it measures."""

    attack: AttackConfig
    """How vectors are made."""
    doses: Doses = Field(default_factory=Doses)
    """At which strengths they are tried."""
    randoms: Annotated[int, Field(ge=5)] = 20
    """Random directions that every effect is compared with."""
    layers: tuple[int, ...] = ()
    """Other layers that the oracle is told a vector is from."""


@dataclass(frozen=True, eq=False)
class _Tried:
    """A vector, what it breaks, and where to look at what it does."""

    vector: Float[Tensor, " d_model"]
    broken: Mapping[float, Damage]
    ahead: float
    back: float
    change: float


class Battery:
    """Concepts, and all that the vectors made for them are measured with."""

    def __init__(
        self,
        oracles: Mapping[str, Oracle],
        target: Target,
        concepts: Sequence[Concept],
        neutral: Neutral,
        config: BatteryConfig,
    ) -> None:
        """Set up a battery.

        Args:
            oracles: by name; the first is the one that was attacked.
            target: who is steered.
            concepts: what vectors were made for.
            neutral: what the target should go on doing as before.
            config: how to measure.
        """
        self._oracles, self._target, self._neutral = dict(oracles), target, neutral
        self._concepts, self._config = tuple(concepts), config
        self._dose = config.attack.dose

    def measure(self, made: Sequence[Made], judges: Mapping[str, Judge]) -> Measured:
        """Measure vectors: of each name, one for every concept.

        Args:
            made: the vectors.
            judges: by name, who tells whether what the target says shows a concept.

        Raises:
            DataError: a name lacks a concept's vector.
        """
        check_complete(made, self._concepts)
        config, width = self._config, self._target.model.width
        drawn = noise(config.randoms, width, seed=config.attack.seed)
        tried = self._tried([*(one.vector.vectors[0] for one in made), *drawn])
        own, randoms = tried[: len(made)], tried[len(made) :]
        still = self._said([Trial(one) for one in self._concepts], judges)
        asked = self._said([Trial(one, instructed=True) for one in self._concepts], judges)
        base = torch.tensor([one.chosen for one in still])
        by_chance = self._grid(randoms) - base
        names = list(dict.fromkeys(one.name for one in made))
        grids = {name: self._grid(self._ordered(made, own, name)) - base for name in names}
        effects = self._effects(made, own, randoms, grids, by_chance, judges)
        keys = [one.name for one in self._concepts]
        return Measured(
            effects,
            {name: _rows(grid) for name, grid in grids.items()},
            _rows(by_chance),
            dict(zip(keys, still, strict=True)),
            dict(zip(keys, asked, strict=True)),
        )

    def _tried(self, vectors: Sequence[Float[Tensor, " d_model"]]) -> list[_Tried]:
        doses = self._config.doses
        broken = damage(self._target, vectors, self._neutral, self._dose, doses)
        return [
            _Tried(vector, held, strongest(held, doses), strongest(held, doses, sign=-1), change)
            for vector, held, change in zip(vectors, broken, self._changes(vectors), strict=True)
        ]

    def _changes(self, vectors: Sequence[Float[Tensor, " d_model"]]) -> list[float]:
        chats = [[{"role": "user", "content": one}] for one in self._neutral.prompts]
        term = Harmless(Prompts(self._target, tuple(chats)), self._dose)
        device = self._target.model.device
        with torch.no_grad():
            parts = [
                term.cost(part, part)
                for part in torch.stack(list(vectors)).to(device).split(AT_ONCE)
            ]
        return torch.cat(parts).tolist()

    def _ordered(self, made: Sequence[Made], tried: Sequence[_Tried], name: str) -> list[_Tried]:
        """Return the vectors of one name, in the order of the concepts."""
        found = {
            one.concept: held for one, held in zip(made, tried, strict=True) if one.name == name
        }
        return [found[one.name] for one in self._concepts]

    def _grid(self, tried: Sequence[_Tried]) -> Float[Tensor, "vector concept"]:
        """Return how likely each vector makes the reply of each concept."""
        trials = [
            Trial(concept, one.vector, one.ahead) for one in tried for concept in self._concepts
        ]
        found = torch.tensor(chosen(self._target, trials, self._dose))
        return found.view(len(tried), len(self._concepts))

    def _said(self, trials: Sequence[Trial], judges: Mapping[str, Judge]) -> list[Said]:
        length = self._config.doses.max_new_tokens
        likely = chosen(self._target, trials, self._dose)
        replies = spoken(self._target, trials, self._dose, max_new_tokens=length)
        return [
            Said(
                value,
                tuple(texts),
                {name: fmean(judge(texts, trial.concept)) for name, judge in judges.items()},
            )
            for trial, value, texts in zip(trials, likely, replies, strict=True)
        ]

    def _effects(
        self,
        made: Sequence[Made],
        own: Sequence[_Tried],
        randoms: Sequence[_Tried],
        grids: Mapping[str, Float[Tensor, "vector concept"]],
        by_chance: Float[Tensor, "random concept"],
        judges: Mapping[str, Judge],
    ) -> tuple[Effect, ...]:
        place = {one.name: column for column, one in enumerate(self._concepts)}
        concepts = [self._concepts[place[one.concept]] for one in made]
        pairs = list(zip(concepts, own, strict=True))
        ahead = self._said([Trial(one, held.vector, held.ahead) for one, held in pairs], judges)
        back = self._said([Trial(one, held.vector, held.back) for one, held in pairs], judges)
        strengths = self._config.doses.strengths
        likely = chosen(
            self._target,
            [Trial(one, held.vector, s) for one, held in pairs for s in strengths],
            self._dose,
        )
        believed = self._believed(made)
        found: list[Effect] = []
        for index, (one, held) in enumerate(zip(made, own, strict=True)):
            column = place[one.concept]
            grid = grids[one.name]
            others = torch.cat([grid[:column, column], grid[column + 1 :, column]])
            nulls = torch.cat([by_chance[:, column], others])
            effect = grid[column, column]
            doses = likely[index * len(strengths) : (index + 1) * len(strengths)]
            found.append(
                Effect(
                    concept=one.concept,
                    kind=one.kind,
                    name=one.name,
                    reached=one.reached,
                    steps=one.steps,
                    believed=believed[index],
                    change=held.change,
                    change_rank=fmean(float(rand.change <= held.change) for rand in randoms),
                    strength=held.ahead,
                    backwards=held.back,
                    damage=held.broken.get(held.ahead, Damage(1.0, 0.0)),
                    chosen=dict(zip(strengths, doses, strict=True)),
                    effect=float(effect),
                    p_value=(1 + int((nulls >= effect).sum())) / (1 + len(nulls)),
                    ahead=ahead[index],
                    back=back[index],
                )
            )
        return tuple(found)

    def _believed(self, made: Sequence[Made]) -> list[dict[str, float]]:
        """Return what each oracle believes of each vector, told that it is from each layer."""
        wishes = {one.name: Says(one.question, one.answer) for one in self._concepts}
        found: list[dict[str, float]] = [{} for _ in made]
        own = self._config.attack.layer
        for who, oracle in self._oracles.items():
            for layer in dict.fromkeys((own, *self._config.layers)):
                beliefs = Beliefs(oracle, [wishes[one.concept] for one in made], layers=[layer])
                label = who if layer == own else f"{who}, layer {layer}"
                for start in range(0, len(made), AT_ONCE):
                    which = range(start, min(start + AT_ONCE, len(made)))
                    shown = torch.stack([made[index].vector.vectors for index in which])
                    with torch.no_grad():
                        logs = beliefs.log_probabilities(shown.to(oracle.model.device), which)
                    for index, value in zip(which, logs.exp().tolist(), strict=True):
                        found[index][label] = value
        return found


def check_complete(made: Sequence[Made], concepts: Sequence[Concept]) -> None:
    """Refuse vectors that leave a concept out: what is shuffled must be of one kind.

    Raises:
        DataError: a name lacks a concept's vector, or has two of it.
    """
    names = sorted(one.name for one in concepts)
    for name in dict.fromkeys(one.name for one in made):
        held = sorted(one.concept for one in made if one.name == name)
        if held != names:
            odd = sorted(set(held) ^ set(names)) or "some of them twice"
            raise DataError(
                f"Vectors named {name!r} are for {len(held)} concepts, expected one for each of "
                f"{len(names)}: {odd}."
            )


def _rows(grid: Float[Tensor, "vector concept"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in grid.tolist())
