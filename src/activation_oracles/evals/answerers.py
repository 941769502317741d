"""Answerers that are shown vectors: what was read, or a stand-in that must not answer as well.

They are made of two functions, one that reads and one that speaks, so that this room knows neither
models nor oracles.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from random import Random

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.evals.cases import subject_of, unit_of
from activation_oracles.types import Example

Vectors = Sequence[Float[Tensor, "slot d_model"]]
Read = Callable[[Sequence[Example]], Vectors]
"""Returns what each example shows, as `Target.vectors` does."""
Say = Callable[[Sequence[Example], Vectors], Sequence[str | None]]
"""Returns an answer to each example that is shown these vectors, as `Oracle.answer` does; None
where it gives none, which is unscored."""


@dataclass(frozen=True)
class Shown:
    """Reads, then speaks."""

    name: str
    control: str | None
    read: Read
    say: Say

    def answer(self, examples: Sequence[Example]) -> Sequence[str | None]:
        """Return one answer an example."""
        return self.say(examples, self.read(examples))


@dataclass(frozen=True)
class Remembering:
    """Reads each example once, however many answerers want it; vectors wait on the CPU."""

    read: Read
    _held: dict[Hashable, Tensor] = field(default_factory=dict, repr=False)

    def __call__(self, examples: Sequence[Example]) -> Vectors:
        """Return what `read` would."""
        unread = {_place(one): one for one in examples if _place(one) not in self._held}
        if unread:
            found = self.read(list(unread.values()))
            self._held.update(zip(unread, (vectors.cpu() for vectors in found), strict=True))
        return [self._held[_place(one)] for one in examples]


@dataclass(frozen=True)
class RandomDirections:
    """Random directions, each as long as the vector it stands in for; others for every example."""

    read: Read
    seed: int = 0

    def __call__(self, examples: Sequence[Example]) -> Vectors:
        """Return random vectors of the right number and lengths."""
        generator = torch.Generator().manual_seed(self.seed)
        return [_redirected(vectors, generator) for vectors in self.read(examples)]


@dataclass(frozen=True)
class Donors:
    """Another text's activations, of the same task and layers: what any text of the kind gives.

    The other text is drawn regardless of its answer, so the score is what answers agree by chance,
    not zero; unless only texts with other answers may lend. Where it shows fewer vectors than
    needed they are repeated, where more the last are taken.
    """

    read: Read
    seed: int = 0
    other_answer: bool = False
    """Whether what lends must have another answer: then what is answered right was not read."""

    def __call__(self, examples: Sequence[Example]) -> list[Tensor | None]:
        """Return another example's vectors for each; None where no other text may lend."""
        random = Random(self.seed)
        pools: defaultdict[tuple[str, tuple[int, ...]], list[int]] = defaultdict(list)
        for index, one in enumerate(examples):
            pools[one.task, one.layers].append(index)
        read = self.read(examples)
        lenders = [
            self._lender(one, pools[one.task, one.layers], examples, random) for one in examples
        ]
        return [
            None if lender is None else _fitted(read[lender], one)
            for one, lender in zip(examples, lenders, strict=True)
        ]

    def _lender(
        self, one: Example, pool: Sequence[int], examples: Sequence[Example], random: Random
    ) -> int | None:
        """Return the index of a random example that may lend."""
        start = random.randrange(len(pool))
        for index in (*pool[start:], *pool[:start]):
            other = examples[index]
            is_other = unit_of(other) != unit_of(one) and other.context != one.context
            if is_other and not (self.other_answer and other.answer == one.answer):
                return index
        return None


@dataclass(frozen=True)
class Lent:
    """Shows each example another text's activations, and is not asked where no text may lend.

    To be shown its own, or of a text with the same answer, would make of a control the real thing.
    """

    name: str
    control: str | None
    donors: Donors
    say: Say

    def answer(self, examples: Sequence[Example]) -> list[str | None]:
        """Return one answer an example; None where nothing was lent."""
        lent = [
            (row, vectors)
            for row, vectors in enumerate(self.donors(examples))
            if vectors is not None
        ]
        said: list[str | None] = [None] * len(examples)
        if lent:
            rows = [row for row, _ in lent]
            texts = self.say([examples[row] for row in rows], [vectors for _, vectors in lent])
            for row, text in zip(rows, texts, strict=True):
                said[row] = text
        return said


def _place(example: Example) -> Hashable:
    return subject_of(example), example.context, example.positions, example.layers


def _redirected(
    vectors: Float[Tensor, "slot d_model"], generator: torch.Generator
) -> Float[Tensor, "slot d_model"]:
    noise = torch.randn(vectors.shape, generator=generator)
    lengths = vectors.float().norm(dim=-1, keepdim=True).cpu()
    return (noise / noise.norm(dim=-1, keepdim=True) * lengths).to(vectors)


def _fitted(
    vectors: Float[Tensor, "given d_model"], example: Example
) -> Float[Tensor, "slot d_model"]:
    """Return as many vectors a layer as the example shows."""
    by_layer = vectors.unflatten(0, (len(example.layers), -1))
    given, wanted = by_layer.shape[1], len(example.positions)
    places = [max(0, given - wanted) + slot % given for slot in range(wanted)]
    return by_layer[:, places].flatten(0, 1)
