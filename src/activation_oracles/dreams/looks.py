"""What all vectors of a battery look like: each beside its rivals, and each kind on average.

Texts are read once, the output head and each oracle take all vectors at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from activation_oracles.dreams.attacks import CAA, MEAN, NORMAL, Made
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.curves import over_concepts
from activation_oracles.dreams.effect import Neutral
from activation_oracles.dreams.geometry import Around, Asked, Geometry, geometries
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.statistics import Estimate, paired_difference
from activation_oracles.types import Activations

RIVALS = (CAA, MEAN)
"""What every vector is held against, but for itself."""


@dataclass(frozen=True)
class Look:
    """What one vector of a battery looks like."""

    concept: str
    name: str
    """The kind, and which of several."""
    geometry: Geometry


@dataclass(frozen=True)
class Likeness:
    """What vectors of one name look like on average, each concept counted once."""

    name: str
    cosines: Mapping[str, Estimate]
    """By rival, with its interval over concepts; none with itself."""
    overlaps: Mapping[str, Estimate]
    """By rival: share of the largest coordinates that are among the rival's."""
    chance: float
    """The overlap that two random directions have on average."""
    seeds: Estimate | None
    """Mean cosine of all pairs of a concept's normal dreams; None where there are no pairs."""
    skewness: float
    kurtosis: float
    nearest: float | None
    """Cosine with the real reading that is nearest; None where nothing was read."""


def look(
    made: Sequence[Made],
    concepts: Sequence[Concept],
    neutral: Neutral,
    target: Target,
    oracles: Mapping[str, Oracle],
    layers: Sequence[int] = (),
) -> tuple[Look, ...]:
    """Return what vectors look like.

    Each is held against the CAA vector and the mean difference of its concept, a normal dream also
    against the concept's other normal dreams, and all against what the target computes at the
    vector's layer at every token of the concept's texts and of neutral ones.

    Args:
        made: the vectors of all concepts.
        concepts: what they were made for.
        neutral: texts about nothing in particular.
        target: who reads, and whose output head is used.
        oracles: by name, who is asked freely.
        layers: what they are told of where vectors are from, besides the truth.

    Raises:
        ConfigError: the model has no such layer.
    """
    if not made:
        return ()
    own = made[0].vector.layers[0]
    readings = _read(concepts, neutral, target, own)
    arounds = [_around(one, made, readings[one.concept]) for one in made]
    asked = Asked(oracles, tuple(dict.fromkeys((own, *layers))))
    seen = geometries([one.vector for one in made], target, arounds, asked)
    return tuple(Look(m.concept, m.name, one) for m, one in zip(made, seen, strict=True))


def by_kind(looks: Sequence[Look]) -> tuple[Likeness, ...]:
    """Return what vectors of each name look like on average."""
    names = dict.fromkeys(one.name for one in looks)
    return tuple(
        _likeness(name, [one.geometry for one in looks if one.name == name]) for name in names
    )


def _read(
    concepts: Sequence[Concept], neutral: Neutral, target: Target, layer: int
) -> dict[str, list[Activations]]:
    """Read each text once, at all tokens; return by concept its own and the neutral ones."""
    texts = list(dict.fromkeys([*neutral.texts, *(one for own in concepts for one in own.about)]))
    read = dict(zip(texts, target.read(texts, layers=layer), strict=True)) if texts else {}
    return {own.name: [read[one] for one in (*own.about, *neutral.texts)] for own in concepts}


def _around(one: Made, made: Sequence[Made], readings: Sequence[Activations]) -> Around:
    beside = [each for each in made if each.concept == one.concept and each is not one]
    return Around(
        rivals={each.kind: each.vector.vectors[0] for each in beside if each.kind in RIVALS},
        seeds=[each.vector.vectors[0] for each in beside if each.kind == one.kind == NORMAL],
        readings=readings,
    )


def _likeness(name: str, some: Sequence[Geometry]) -> Likeness:
    seeds = [one.seeds[0] for one in some if one.seeds is not None]
    near = [one.nearest[0].cosine for one in some if one.nearest]
    beside = {
        rival: [one.rivals[rival] for one in some] for rival in RIVALS if rival in some[0].rivals
    }
    return Likeness(
        name=name,
        cosines={rival: _mean([one.cosine for one in each]) for rival, each in beside.items()},
        overlaps={
            rival: over_concepts([one.overlap for one in each]) for rival, each in beside.items()
        },
        chance=some[0].chance,
        seeds=_mean(seeds) if seeds else None,
        skewness=fmean(one.skewness for one in some),
        kurtosis=fmean(one.kurtosis for one in some),
        nearest=fmean(near) if near else None,
    )


def _mean(cosines: Sequence[float]) -> Estimate:
    # As differences from nothing: a cosine may be below 0, which a share may not.
    held = [min(1.0, max(-1.0, one)) for one in cosines]
    return paired_difference(held, [0.0] * len(held), range(len(held)))
