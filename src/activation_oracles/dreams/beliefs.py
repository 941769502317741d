"""How likely an oracle is to say something of vectors, with the gradient that leads there."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.dreams.wishes import Says, Wish
from activation_oracles.oracle.collate import Batch
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.oracle.prompt import Prompt
from activation_oracles.types import Activations, Example

LAID_OUT = 8
"""Batches of prompts that are kept: which dreams go on changes a few times in a run."""


class Beliefs:
    """One oracle's beliefs about the vectors of many dreams, each with a wish of its own."""

    def __init__(
        self, oracle: Oracle, wishes: Sequence[Wish], *, layers: Sequence[int], slots: int = 1
    ) -> None:
        """Write the prompts.

        Args:
            oracle: who is asked.
            wishes: one for each dream.
            layers: what the oracle is told of where the vectors are from.
            slots: how many it is shown at each layer.
        """
        self.oracle = oracle
        self.wishes = tuple(wishes)
        self._prompts = _prompts(oracle, self.wishes, tuple(layers), slots)
        self._batch = lru_cache(maxsize=LAID_OUT)(self._laid_out)

    def log_probabilities(
        self, shown: Float[Tensor, "dream slot d_model"], which: Sequence[int]
    ) -> Float[Tensor, " dream"]:
        """Return the log-probability of each dream's wish, in fp32, with a gradient to `shown`.

        Args:
            shown: what the oracle is shown for each dream.
            which: the dreams these are, by their place among the wishes.
        """
        said = [(row, part) for row, dream in enumerate(which) for part in self.wishes[dream].parts]
        batch = self._batch(tuple(part for _, part in said))
        vectors = shown[torch.tensor([row for row, _ in said], device=shown.device)].flatten(0, 1)
        values = self.oracle.likelihoods(replace(batch, vectors=vectors, finite=True))
        rows = batch.label_rows.to(values.device)
        sums = torch.zeros(len(said), device=values.device).index_add(0, rows, values)
        found: list[Tensor] = []
        at = 0
        for dream in which:
            wish = self.wishes[dream]
            parts = {part: sums[at + place] for place, part in enumerate(wish.parts)}
            found.append(wish.log_probability(parts))
            at += len(parts)
        return torch.stack(found)

    def _laid_out(self, said: tuple[Says, ...]) -> Batch:
        return self.oracle.lay_out([self._prompts[one] for one in said], [True] * len(said))


def believed(oracle: Oracle, wishes: Sequence[Wish], shown: Sequence[Activations]) -> list[float]:
    """Return how probable an oracle finds each wish of the reading that it is shown."""
    found: list[float] = []
    for wish, reading in zip(wishes, shown, strict=True):
        layers = tuple(dict.fromkeys(reading.layers))
        beliefs = Beliefs(oracle, [wish], layers=layers, slots=len(reading) // len(layers))
        vectors = reading.vectors.detach().float().to(oracle.model.device)
        with torch.no_grad():
            found.append(beliefs.log_probabilities(vectors[None], [0]).exp().item())
    return found


def _prompts(
    oracle: Oracle, wishes: Sequence[Wish], layers: tuple[int, ...], slots: int
) -> dict[Says, Prompt]:
    parts = tuple(dict.fromkeys(part for wish in wishes for part in wish.parts))
    examples = [
        Example(
            context=(),
            positions=tuple(range(slots)),
            layers=layers,
            question=part.question,
            answer=part.answer,
            task="dream",
            source="dream",
            shown="own:dream#0",
        )
        for part in parts
    ]
    prompts = oracle.prompts(examples)
    # Up to the answer's end: how the oracle's turn goes on is its own affair.
    return {
        part: replace(prompt, ids=prompt.ids[: prompt.answer_end])
        for part, prompt in zip(parts, prompts, strict=True)
    }
