"""The table of a sweep: one question asked of every token at every layer, each alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from activation_oracles.oracle.asking import Decoding
from activation_oracles.oracle.controls import Control
from activation_oracles.types import Activations, Answer

if TYPE_CHECKING:
    from activation_oracles.oracle.oracle import Oracle


@dataclass(frozen=True)
class Sweep:
    """One question asked of every token at every layer, each alone."""

    question: str
    layers: tuple[int, ...]
    positions: tuple[int, ...]
    pieces: tuple[str, ...]
    """The token at each position."""
    answers: tuple[tuple[Answer, ...], ...]
    """By layer, then by position."""


def swept(
    oracle: "Oracle",
    activations: Activations,
    question: str,
    choices: Sequence[str] | None,
    controls: Sequence[Control],
    decoding: Decoding,
) -> Sweep:
    """Ask one question of every slot of a reading alone, freely or by choice."""
    slots = [activations[slot] for slot in range(len(activations))]
    if choices is None:
        rows = oracle.ask(slots, [question], decoding=decoding, controls=controls)
        assert isinstance(rows, list)
        found = [row[0] for row in rows]
    else:
        found = oracle.choose(slots, question, choices, controls=controls)
        assert isinstance(found, list)
    return tabulate(question, activations, found)


def tabulate(question: str, activations: Activations, answers: Sequence[Answer]) -> Sweep:
    """Lay the answers about single slots out by layer and position."""
    layers = tuple(dict.fromkeys(activations.layers))
    width = len(answers) // len(layers)
    positions = activations.positions[:width]
    rows = range(len(layers))
    return Sweep(
        question=question,
        layers=layers,
        positions=positions,
        pieces=tuple(activations.pieces[p] for p in positions) if activations.pieces else (),
        answers=tuple(tuple(answers[row * width : (row + 1) * width]) for row in rows),
    )
