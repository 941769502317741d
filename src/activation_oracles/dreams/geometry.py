"""What a vector looks like from outside: beside rivals and seeds, through the head, to the oracle.

None of it steers anything. A vector that an oracle believes need not resemble what a model
computes; here are the ways in which it might.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from activation_oracles.errors import DataError, MismatchError
from activation_oracles.models.target import Target
from activation_oracles.models.unembed import top_tokens, unembedded
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Activations

OPEN = (
    "What is the model thinking about?",
    "What does the model believe?",
    "Describe what this activation is about.",
)
"""What an oracle is asked freely, where nothing else is."""
LARGEST = 100
"""Coordinates that are compared: so many, or an eighth of the width where that is less."""
CONTEXT = 4
"""Tokens that are shown before the one of a reading that is near."""
AT_ONCE = 64
"""Vectors whose logits are held together."""
Vector = Float[Tensor, " d_model"]
Tokens = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Beside:
    """A vector beside another."""

    cosine: float
    overlap: float
    """Share of the largest coordinates, by size, that are among the other's."""


@dataclass(frozen=True)
class Near:
    """A real reading that a vector is near to."""

    text: str
    """The token that was read, with a few before it."""
    layer: int
    position: int
    cosine: float


@dataclass(frozen=True)
class Around:
    """What a vector is held against; whatever is left out is not looked at."""

    rivals: Mapping[str, Vector] = field(default_factory=dict)
    """Other directions for the same thing, by name: a contrast, an attack."""
    seeds: Sequence[Vector] = ()
    """What other starts of the same dream led to; the vector itself is not among them."""
    readings: Sequence[Activations] = ()
    """What the target really computes, for the nearest slots."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Who is asked freely what vectors are."""

    oracles: Mapping[str, Oracle]
    """By name."""
    layers: Sequence[int]
    """What each is told of where vectors are from, one after the other."""
    questions: Sequence[str] = OPEN


@dataclass(frozen=True)
class Geometry:
    """What a vector looks like."""

    length: float
    skewness: float
    """Third standardised moment of the coordinates: 0 where they are symmetric."""
    kurtosis: float
    """Fourth, less 3: 0 where they are as of a normal distribution, more where few are large."""
    rivals: Mapping[str, Beside]
    chance: float
    """The overlap that two random directions have on average."""
    seeds: tuple[float, float, float] | None
    """Mean, least and greatest cosine over all pairs of seeds, this vector's own among them. None
    where there are no others."""
    promoted: Tokens
    """Tokens that the target's output head speaks for most, and half the logit's difference between
    the vector and its negative, so that what the head says of any vector drops out."""
    demoted: Tokens
    """Those it speaks against, the strongest first."""
    nearest: tuple[Near, ...]
    """Real readings, the nearest first; none where none were given."""
    said: Mapping[str, Mapping[str, str]]
    """By oracle, and the layer that it is told where that is not the vector's own; by question:
    what it says of the vector, greedily. Empty where none was asked."""


def geometry(
    vector: Activations,
    target: Target,
    around: Around = Around(),
    asked: Asked | None = None,
    *,
    top: int = 10,
) -> Geometry:
    """Return what a vector looks like; see `geometries`."""
    return geometries([vector], target, [around], asked, top=top)[0]


def geometries(
    vectors: Sequence[Activations],
    target: Target,
    arounds: Sequence[Around],
    asked: Asked | None = None,
    *,
    top: int = 10,
) -> list[Geometry]:
    """Return what vectors look like.

    Args:
        vectors: one slot each.
        target: whose output head they are put through, under its adapter.
        arounds: what each is held against.
        asked: who is asked about all of them; by default nobody.
        top: tokens and readings that are named.

    Raises:
        DataError: one is more than one slot, or points nowhere.
        MismatchError: something is not as wide.
        ConfigError: the model has no such layer.
    """
    units = [_direction(*pair, target) for pair in zip(vectors, arounds, strict=True)]
    said = [{} for _ in vectors] if asked is None else _said(vectors, asked)
    spoken = [
        tokens
        for start in range(0, len(units), AT_ONCE)
        for tokens in _tokens(torch.stack(units[start : start + AT_ONCE]), target, top)
    ]
    chance = _largest(target.model.width) / target.model.width
    found: list[Geometry] = []
    for index, (vector, own, around) in enumerate(zip(vectors, units, arounds, strict=True)):
        centred = vector.vectors[0].float() - vector.vectors[0].float().mean()
        spread = centred.square().mean()
        found.append(
            Geometry(
                length=float(vector.vectors.float().norm()),
                skewness=float(centred.pow(3).mean() / spread.pow(1.5)),
                kurtosis=float(centred.pow(4).mean() / spread.square()) - 3,
                rivals={name: beside(own, other) for name, other in around.rivals.items()},
                chance=chance,
                seeds=_among([own, *around.seeds]) if around.seeds else None,
                promoted=spoken[index][0],
                demoted=spoken[index][1],
                nearest=nearest(own, around.readings, top),
                said=said[index],
            )
        )
    return found


def beside(one: Vector, other: Vector) -> Beside:
    """Compare two vectors."""
    count = _largest(len(one))
    units = [normalize(some.detach().float().cpu(), dim=0) for some in (one, other)]
    tops = [set(some.abs().topk(count).indices.tolist()) for some in units]
    return Beside(float(units[0] @ units[1]), len(tops[0] & tops[1]) / count)


def nearest(vector: Vector, readings: Sequence[Activations], count: int) -> tuple[Near, ...]:
    """Return the slots of readings that point most as a vector does, the same beginning once."""
    slots = [(reading, slot) for reading in readings for slot in range(len(reading))]
    if not slots:
        return ()
    unit = normalize(vector.float(), dim=0)
    cosines = torch.cat([normalize(one.vectors.float(), dim=-1) @ unit for one in readings])
    found: dict[tuple[int, tuple[int, ...]], Near] = {}
    for place in cosines.argsort(descending=True).tolist():
        reading, slot = slots[place]
        layer, at = reading.layers[slot], reading.positions[slot]
        near = Near(_text(reading, slot), layer, at, float(cosines[place]))
        # Texts that begin alike are one reading as far as they do.
        found.setdefault((layer, reading.token_ids[: at + 1]), near)
        if len(found) == count:
            break
    return tuple(found.values())


def _tokens(
    units: Float[Tensor, "vector d_model"], target: Target, top: int
) -> list[tuple[Tokens, Tokens]]:
    """Return the tokens that each direction promotes, and those it demotes."""
    model = target.model
    # As long as a normed stream, so that the norm's epsilon is nothing beside it.
    ahead, back = unembedded(target, torch.cat([units, -units]) * model.width**0.5).chunk(2)
    return [
        (
            tuple(top_tokens(model.tokenizer, scores, top)),
            tuple((one, -score) for one, score in top_tokens(model.tokenizer, -scores, top)),
        )
        for scores in (ahead - back) / 2
    ]


def _said(vectors: Sequence[Activations], asked: Asked) -> list[dict[str, dict[str, str]]]:
    """Ask each oracle of all vectors at once."""
    pairs = [(index, layer) for index in range(len(vectors)) for layer in asked.layers]
    found: list[dict[str, dict[str, str]]] = [{} for _ in vectors]
    for who, oracle in asked.oracles.items():
        oracle.model.blocks.check_layers(asked.layers)
        shown = [replace(vectors[index], layers=(layer,)) for index, layer in pairs]
        rows = oracle.ask(shown, list(asked.questions))
        assert isinstance(rows, list)
        for (index, layer), answers in zip(pairs, rows, strict=True):
            own = layer == vectors[index].layers[0]
            label = who if own else f"{who}, layer {layer}"
            found[index][label] = {one.question: one.text for one in answers}
    return found


def _among(vectors: Sequence[Vector]) -> tuple[float, float, float]:
    cosines = [beside(one, other).cosine for one, other in combinations(vectors, 2)]
    return fmean(cosines), min(cosines), max(cosines)


def _text(reading: Activations, slot: int) -> str:
    at = reading.positions[slot]
    return "".join(reading.pieces[max(0, at - CONTEXT) : at + 1])


def _largest(width: int) -> int:
    return max(1, min(LARGEST, width // 8))


def _direction(vector: Activations, around: Around, target: Target) -> Vector:
    if len(vector) != 1 or not vector.vectors.any():
        raise DataError(
            f"Look at one vector that points somewhere, got {len(vector)} slots of length "
            f"{float(vector.vectors.float().norm()):.3g}."
        )
    others = [*around.rivals.values(), *around.seeds, *(one.vectors for one in around.readings)]
    widths = {one.shape[-1] for one in (vector.vectors, *others)}
    if widths != {target.model.width}:
        raise MismatchError(
            f"{target.model.name} is {target.model.width} wide; what was given to look at is of "
            f"widths {sorted(widths)}. Were some read from another model?"
        )
    return normalize(vector.vectors[0].detach().float().cpu(), dim=0)
