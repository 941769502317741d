"""The table of a sweep: one question asked of every token at every layer, each alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from activation_oracles.types import Activations, Answer


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
