"""What a target writes as it is steered harder and harder, and the other way: a dose response."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

import torch

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.models.chat import Chat
from activation_oracles.models.push import Push
from activation_oracles.models.steered import Steered
from activation_oracles.models.target import Target


class Decoding(TypedDict, total=False):
    """How a target goes on, as for `Target.generate_all`."""

    max_new_tokens: int
    temperature: float
    """0 takes the likeliest token; above, tokens are drawn, and what is drawn depends on the
    batch."""
    seed: int
    """Of the draws in each batch."""


def doses(
    target: Target,
    pushes: Sequence[Push],
    sources: Sequence[str | Chat],
    factors: Sequence[float],
    *,
    batch_size: int = 16,
    **decoding: Unpack[Decoding],
) -> list[list[str]]:
    """Let a target go on with each text at each of several strengths.

    Different strengths run in one batch, a row each; one at 0 is the target as it is, to the bit.

    Args:
        target: who goes on.
        pushes: what is added, the same for any text.
        sources: texts, or chats.
        factors: by what the pushes' strengths are multiplied; below 0 pushes away.
        batch_size: rows that run together.
        decoding: see `Decoding`.

    Returns:
        For each text what was written at each factor.

    Raises:
        ConfigError: no factor, or no row in a batch.
        MismatchError: a push holds rows for several texts.
    """
    if not factors or batch_size < 1:
        raise ConfigError("Steering takes at least one strength, and at least one text at once.")
    if any(one.num_rows > 1 for one in pushes):
        raise MismatchError(
            "What is tried at several strengths must be one push for any text, not one for each."
        )
    pairs = [(source, factor) for source in sources for factor in factors]
    texts: list[str] = []
    for start in range(0, len(pairs), batch_size):
        some = pairs[start : start + batch_size]
        by = torch.tensor([factor for _, factor in some])
        scaled = [replace(one, strengths=by * one.strengths) for one in pushes]
        texts += Steered(target, scaled).generate_all([source for source, _ in some], **decoding)
    width = len(factors)
    return [texts[start : start + width] for start in range(0, len(texts), width)]
