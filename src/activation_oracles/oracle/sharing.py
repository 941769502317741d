"""Prompts with what they are shown, and which of them begin alike: what is read once serves all."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from activation_oracles.oracle.prompt import Prompt


@dataclass(frozen=True, eq=False)
class Asked:
    """A prompt and what it is shown."""

    prompt: Prompt
    vectors: Float[Tensor, "slot d_model"] | None
    strengths: Float[Tensor, " slot"] | None = None
    """Times the oracle's own, one per slot; None writes all alike."""


def by_reading(asked: Sequence[Asked]) -> list[list[int]]:
    """Put the prompts together that show the same vectors behind the same words."""
    groups: dict[Hashable, list[int]] = {}
    for row, one in enumerate(asked):
        shown = one.vectors
        same = None if shown is None else (shown.data_ptr(), shown.shape, shown.stride())
        weights = None if one.strengths is None else tuple(one.strengths.tolist())
        groups.setdefault((same, weights, _head_ids(one), one.prompt.slots), []).append(row)
    return list(groups.values())


def prompt_ids(one: Asked) -> tuple[int, ...]:
    """Return a prompt up to where its answer begins."""
    return one.prompt.ids[: one.prompt.answer_start]


def _head_ids(one: Asked) -> tuple[int, ...]:
    return one.prompt.ids[: one.prompt.slots[-1] + 1]


def head(one: Asked) -> Asked:
    """Return a prompt up to its last slot."""
    ids = _head_ids(one)
    prompt = replace(one.prompt, ids=ids, answer_start=len(ids), answer_end=len(ids))
    return replace(one, prompt=prompt)


def followed_by(one: Asked, ids: tuple[int, ...]) -> Asked:
    """Return a prompt with these tokens as its answer."""
    whole = prompt_ids(one) + ids
    return replace(one, prompt=replace(one.prompt, ids=whole, answer_end=len(whole)))
