"""Controls: the same question with something else in the slots, or none at all.

An answer that a control gives too was not read from the activations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from activation_oracles.errors import DataError
from activation_oracles.models.chat import Chat
from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Shown
from activation_oracles.types import Activations, Answer


@dataclass(frozen=True)
class Nothing:
    """The prompt alone: placeholders with nothing written over them."""

    name: str = "nothing"

    def shown(self, _activations: Activations) -> Activations | None:
        """Return None: nothing is written."""
        return None


@dataclass(frozen=True)
class RandomDirection:
    """Random directions, each as long as the vector it stands in for."""

    seed: int = 0
    name: str = "random"

    def shown(self, activations: Activations) -> Activations | None:
        """Return random vectors in the same slots."""
        generator = torch.Generator().manual_seed(self.seed)
        vectors = activations.vectors.float()
        noise = torch.randn(vectors.shape, generator=generator)
        noise = noise / noise.norm(dim=-1, keepdim=True) * vectors.norm(dim=-1, keepdim=True)
        step = f"replaced by random directions of equal norm, seed {self.seed}"
        return activations.with_vectors(noise.to(activations.vectors.dtype), step)


@dataclass(frozen=True)
class Donor:
    """Another text's activations: what the oracle says of *any* reading of this kind."""

    activations: Activations
    name: str = "donor"

    def shown(self, _activations: Activations) -> Activations | None:
        """Return the donor's activations."""
        return self.activations


@dataclass(frozen=True)
class AsText:
    """The question put to the target itself, in words, after the text: black-box asking."""

    target: Target
    source: str | Chat
    """The text or chat that the activations were read from."""
    name: str = "asked as text"

    def said(self, question: str, *, max_new_tokens: int) -> str:
        """Return what the target answers."""
        return self.target.generate(
            _asked(self.source, question), max_new_tokens=max_new_tokens
        ).strip()


Control = Nothing | RandomDirection | Donor | AsText


def answer_with_controls(
    answer: Callable[[Sequence[Shown]], list[Answer]],
    asked: Sequence[Shown],
    controls: Sequence[Control],
    *,
    max_new_tokens: int,
) -> list[Answer]:
    """Answer every question of its reading, and beside it of what each control shows instead."""
    if len({control.name for control in controls}) != len(controls):
        raise DataError("Two controls have one name; give each a `name` of its own.")
    beside: list[dict[str, Answer]] = [{} for _ in asked]
    for control in controls:
        if isinstance(control, AsText):
            wordings = dict.fromkeys(one.question for one in asked)
            said = {one: control.said(one, max_new_tokens=max_new_tokens) for one in wordings}
            answers = [Answer(one.question, said[one.question], (), (), None) for one in asked]
        else:
            answers = answer([_stand_in(control, one) for one in asked])
        for held, one in zip(beside, answers, strict=True):
            held[control.name] = one
    found = answer(asked)
    return [replace(one, controls=held) for one, held in zip(found, beside, strict=True)]


def _stand_in(control: Nothing | RandomDirection | Donor, shown: Shown) -> Shown:
    other = control.shown(shown.reading)
    return replace(shown, written=False) if other is None else replace(shown, reading=other)


def _asked(source: str | Chat, question: str) -> str | Chat:
    if isinstance(source, str):
        return f"{source}\n\n{question}"
    messages: Sequence[dict[str, str]] = [dict(message) for message in source]
    if messages[-1]["role"] == "user":
        both = f"{messages[-1]['content']}\n\n{question}"
        return [*messages[:-1], {"role": "user", "content": both}]
    return [*messages, {"role": "user", "content": question}]
