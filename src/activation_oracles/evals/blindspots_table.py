"""The blind-spot matrix for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from activation_oracles.evals.blindspots import (
    CHANCE,
    LEVEL,
    NEGLIGIBLE,
    BlindSpots,
    Sight,
    Spot,
)
from activation_oracles.statistics import Estimate

_HEAD = (
    "| concept | condition | verdict | probe | its score | its gain | over | oracle | its score "
    "| its gain | over | probe over oracle | n | units |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def as_json(found: BlindSpots) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "spots": [
            asdict(one) | {"verdict": one.verdict, "is_settled": one.is_settled}
            for one in found.spots
        ],
        "left_out": list(found.left_out),
    }


def markdown(found: BlindSpots) -> str:
    """Return the matrix, what it rests on, and how it is read."""
    left_out = "\n".join(f"- no verdict on {one}" for one in found.left_out)
    if not found.spots:
        return left_out
    parts = [_matrix(found.spots), "\n".join([*_HEAD, *map(_line, found.spots)]), left_out, _KEY]
    return "\n\n".join(part for part in parts if part)


_KEY = (
    f"Found is what gains on chance and on every control, by intervals of {LEVEL:.0%} over units, "
    "wider where the best of several was taken. *read*: by both. *unread*: a probe finds it, the "
    "oracle does not say it. *said without a linear trace*: the other way round. *absent*: by "
    "neither. With a question mark, more rows may decide otherwise: the two are not told apart or, "
    f"of what seems absent, a gain of {NEGLIGIBLE:g} is not ruled out."
)


def _matrix(spots: Sequence[Spot]) -> str:
    conditions = list(dict.fromkeys(one.condition for one in spots))
    verdicts = {(one.concept, one.condition): _verdict(one) for one in spots}
    rows = [
        _row([concept, *(verdicts.get((concept, one), "-") for one in conditions)])
        for concept in dict.fromkeys(one.concept for one in spots)
    ]
    heads = ["concept", *conditions]
    return "\n".join([_row(heads), f"|{'---|' * len(heads)}", *rows])


def _line(spot: Spot) -> str:
    return _row(
        [
            spot.concept,
            spot.condition,
            _verdict(spot),
            *_sight(spot.probe),
            *_sight(spot.oracle),
            _gain(spot.gap),
            str(spot.gap.num_answers),
            str(spot.gap.num_units),
        ]
    )


def _row(cells: Sequence[str]) -> str:
    plain = [" ".join(cell.split()).replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(plain)} |"


def _verdict(spot: Spot) -> str:
    return spot.verdict if spot.is_settled else f"{spot.verdict}?"


def _sight(sight: Sight) -> tuple[str, str, str, str]:
    score = f"{sight.score.score:.3f} ({sight.score.low:.3f} to {sight.score.high:.3f})"
    over = f"{sight.over} {sight.chance:.3f}" if sight.over == CHANCE else sight.over
    return sight.who, score, _gain(sight.gain), over


def _gain(one: Estimate) -> str:
    return f"{one.score:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
