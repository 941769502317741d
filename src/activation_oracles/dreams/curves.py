"""Dose response: how likely vectors of one name make the reply, strength by strength."""

from collections.abc import Sequence
from dataclasses import dataclass

from activation_oracles.dreams.findings import Effect, Measured
from activation_oracles.statistics import Estimate, clustered


@dataclass(frozen=True)
class Response:
    """What vectors of one name do at one strength."""

    strength: float
    reply: Estimate
    """How likely the concept's reply is, with its interval over concepts."""
    num_whole: int
    """Concepts whose vector leaves the target whole at this strength and below it."""


def dose_response(found: Measured, name: str) -> list[Response]:
    """Return what vectors of one name do, by strength; at 0 the target is as it is."""
    some = [one for one in found.effects if one.name == name]
    return [
        Response(
            strength, over_concepts(_replies(found, some, strength)), _num_whole(some, strength)
        )
        for strength in sorted({0.0, *some[0].chosen})
    ]


def over_concepts(shares: Sequence[float]) -> Estimate:
    """Estimate the mean of one share a concept.

    A probability that rounding put a hair outside 0 and 1 is taken for what it is.
    """
    return clustered([min(1.0, max(0.0, one)) for one in shares], range(len(shares)))


def _replies(found: Measured, some: Sequence[Effect], strength: float) -> list[float]:
    if strength == 0:
        return [found.unsteered[one.concept].chosen for one in some]
    return [one.chosen[strength] for one in some]


def _num_whole(some: Sequence[Effect], strength: float) -> int:
    return sum(one.backwards <= strength <= one.strength for one in some)
