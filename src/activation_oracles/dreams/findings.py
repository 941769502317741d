"""What a battery found: of every vector, of the target without one, and of asking it in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from activation_oracles.dreams.effect import Damage


@dataclass(frozen=True)
class Said:
    """What the target says to a concept's prompts, in one condition."""

    chosen: float
    """How likely the concept's reply is, among it and its alternatives."""
    replies: tuple[str, ...]
    shown: Mapping[str, float]
    """By judge: how much the replies show the concept, from 0 to 1."""


@dataclass(frozen=True)
class Effect:
    """What one vector does, and what oracles say of it."""

    concept: str
    kind: str
    name: str
    """The kind, and which of several."""
    reached: bool
    """Whether its search came to what it wished for."""
    steps: int
    believed: Mapping[str, float]
    """By oracle, and by layer it was told: how likely it is to say the concept's answer."""
    change: float
    """Of the target on neutral prompts, in units of its own stream, at the attack's strength."""
    change_rank: float
    """Share of random directions that change the target no more."""
    strength: float
    """Greatest positive one that leaves the target whole; 0 if none does."""
    backwards: float
    """The same, negative."""
    damage: Damage
    """At `strength`."""
    chosen: Mapping[float, float]
    """How likely the concept's reply is, by strength."""
    effect: float
    """What `strength` adds to how likely it is."""
    p_value: float
    """Share of random and of shuffled vectors that do as much to this concept, itself counted."""
    ahead: Said
    """At `strength`."""
    back: Said
    """At `backwards`."""


@dataclass(frozen=True)
class Measured:
    """All that a battery found."""

    effects: tuple[Effect, ...]
    shuffled: Mapping[str, tuple[tuple[float, ...], ...]]
    """By name: the effect of the vector for concept i on concept j, in the battery's order."""
    randoms: tuple[tuple[float, ...], ...]
    """The effect of random direction i on concept j."""
    unsteered: Mapping[str, Said]
    """By concept: the target as it is."""
    instructed: Mapping[str, Said]
    """By concept: the target when asked for it in words, the strongest rival."""
