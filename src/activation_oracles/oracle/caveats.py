"""What a reader should know before believing an answer: computed from the record, never felt."""

import re
from collections.abc import Sequence
from statistics import median

from activation_oracles.models.blocks import named_layers
from activation_oracles.oracle.card import Card
from activation_oracles.types import Activations

PLAIN = frozenset({"yes", "no", "true", "false", "n/a"})
"""Answers that say nothing of the text's own words."""
SHOWN = 12
"""Sets of layers that a warning names."""


def caveats(card: Card, note: str, answer: str, reading: Activations) -> tuple[str, ...]:
    """Return the warnings for one answer about one reading."""
    found = [note] if note else []
    layers = tuple(dict.fromkeys(reading.layers))
    strange = [layer for layer in layers if layer not in card.trained_layers]
    if strange:
        found.append(
            f"layer {', '.join(map(str, strange))} was not trained on "
            f"(trained: {', '.join(map(str, card.trained_layers))})"
        )
    elif not card.was_trained_on(layers):
        found.append(
            f"layers {layers} were not trained on together (trained: {_some(card.layers)})"
        )
    found += _of_depth(card, layers)
    read_from, how = reading.provenance.fingerprint, reading.provenance.quantization
    if how != card.quantization and read_from != "unknown":
        found.append(
            f"the vectors were read from {how or 'whole'} weights, the oracle was trained on "
            f"{card.quantization or 'whole'} ones"
        )
    elif card.fingerprint is not None and read_from not in (card.fingerprint, "unknown"):
        found.append(
            f"the vectors come from {reading.provenance.model}, whose weights are not those the "
            "oracle was trained on"
        )
    if _stands_in_text(answer, reading):
        found.append("the answer stands in the text that was read")
    return tuple(found)


def caveats_of_lift(lift: float | None) -> list[str]:
    """Return a warning where an answer is no likelier than with nothing in the slots."""
    if lift is None or lift > 1:
        return []
    return [f"the answer is no likelier than with nothing in the slots ({lift:.2g} times)"]


def caveats_of_strength(strengths: Sequence[float] | None) -> list[str]:
    """Return a warning where slots were written at these times the strength of training."""
    if strengths is None:
        return []
    return [
        f"the slots were written at {median(strengths):.3g} times the strength that the oracle was "
        f"trained at (median; {min(strengths):.3g} to {max(strengths):.3g})"
    ]


def _of_depth(card: Card, layers: tuple[int, ...]) -> list[str]:
    """Return what is known of these layers, where others are better or these were no use."""
    measured = card.depth
    if measured is None or layers == measured.recommended:
        return []
    where, best = named_layers(layers), named_layers(measured.recommended)
    advice = f"; layer {best} is recommended" if best else ""
    here = measured.at(layers)
    if here is None:
        return [f"layer {where} was not measured on {measured.data}{advice}"] if advice else []
    if here.advantage.low <= 0:
        found = "it was not shown to beat its controls"
    elif here.is_worse:
        found = "it reads worse than elsewhere"
    else:
        return []
    return [f"at layer {where} {found} on {measured.data}: {here.in_words()}{advice}"]


def _some(sets: Sequence[tuple[int, ...]]) -> str:
    rest = [f"and {len(sets) - SHOWN} more"] if len(sets) > SHOWN else []
    return ", ".join([*map(str, sets[:SHOWN]), *rest])


def _stands_in_text(answer: str, reading: Activations) -> bool:
    words = answer.casefold().strip(" .,;:!?\"'")
    if not words or words in PLAIN:
        return False
    text = "".join(reading.pieces).casefold()
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None
