"""The logit lens: what a vector would say if it were the last one (nostalgebraist, 2020)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from activation_oracles.baselines.probe import Read
from activation_oracles.errors import DataError
from activation_oracles.models.target import Target
from activation_oracles.models.unembed import SLOTS_PER_PASS, top_tokens, unembedded
from activation_oracles.types import Activations, Example

Shown = tuple[Float[Tensor, "_ d_model"], Sequence[int]]
"""Vectors, and the layer of each."""


@dataclass
class LogitLens:
    """Answers with the token that the shown vectors speak for most, or the answer it begins.

    With a background it is the tuned token list: of every logit, its mean over the background's
    readings at the same layer is taken off, so that tokens which come everywhere drop out.
    """

    target: Target
    """Whose norm and output layer are applied, under its adapter."""
    read: Read
    """How to get the activations of an example."""
    choices: Mapping[str, Sequence[str]]
    """The answers to choose between, of each task that has few."""
    background: Sequence[Example] = field(default=(), repr=False)
    """Examples that are read at every layer asked about; their answers are not looked at."""
    control: str | None = None

    @property
    def name(self) -> str:
        """Who answers: the bare lens, or the one with a background."""
        return "tuned token list" if self.background else "logit lens"

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return, for each example, the choice that scores highest, else the top token.

        Choices that begin with the same token cannot be told apart; the first of them is said.

        Raises:
            DataError: a layer is not in the background.
        """
        tokenizer = self.target.model.tokenizer
        return [
            spoken(tokenizer, scores, self.choices.get(one.task))
            for one, scores in zip(
                examples, token_scores(self.target, self._shown(examples), self._usual), strict=True
            )
        ]

    @cached_property
    def _usual(self) -> Mapping[int, Float[Tensor, " vocabulary"]] | None:
        return usual(self.target, self._shown(self.background)) if self.background else None

    def _shown(self, examples: Sequence[Example]) -> list[Shown]:
        return [
            (vectors, [layer for layer in one.layers for _ in one.positions])
            for one, vectors in zip(examples, self.read(examples), strict=True)
        ]


def tokens(
    target: Target, reading: Activations, k: int = 10, *, background: Sequence[Activations] = ()
) -> list[tuple[str, float]]:
    """Return the `k` tokens that a reading speaks for most, with their scores, the highest first.

    Args:
        target: whose norm and output layer are applied, under its adapter.
        reading: the vectors; a token's score is the mean of its logits over them.
        k: how many tokens.
        background: readings whose mean logits, layer by layer, are taken off.

    Raises:
        MismatchError: the vectors are of another model's width.
        DataError: the background has no reading of one of the layers.
    """
    common = usual(target, [(one.vectors, one.layers) for one in background])
    shown = [(reading.vectors, reading.layers)]
    (scores,) = token_scores(target, shown, common if background else None)
    return top_tokens(target.model.tokenizer, scores, k)


def token_scores(
    target: Target,
    shown: Iterable[Shown],
    common: Mapping[int, Float[Tensor, " vocabulary"]] | None = None,
) -> Iterator[Float[Tensor, " vocabulary"]]:
    """Yield for each reading the mean of its logits, less what is common at their layers.

    Raises:
        DataError: nothing is known of what is common at a layer.
    """
    for batch in _batches(shown):
        logits = unembedded(target, torch.cat([vectors for vectors, _ in batch]))
        sizes = [vectors.shape[0] for vectors, _ in batch]
        for part, (_, layers) in zip(logits.split(sizes), batch, strict=True):
            if common is None:
                yield part.mean(dim=0)
                continue
            missing = sorted(set(layers) - set(common))
            if missing:
                raise DataError(
                    f"The background was read at layers {sorted(common)}, the reading also at "
                    f"{missing}. Read the background at every layer that is asked about."
                )
            yield (part - torch.stack([common[layer] for layer in layers])).mean(dim=0)


def usual(target: Target, shown: Iterable[Shown]) -> dict[int, Float[Tensor, " vocabulary"]]:
    """Return the mean logits of all vectors of a layer, by layer."""
    sums: dict[int, Tensor] = {}
    counts: dict[int, int] = {}
    for batch in _batches(shown):
        logits = unembedded(target, torch.cat([vectors for vectors, _ in batch]))
        at = torch.tensor([layer for _, layers in batch for layer in layers])
        for layer in sorted(set(at.tolist())):
            rows = logits[at == layer]
            sums[layer] = sums.get(layer, 0) + rows.sum(dim=0)
            counts[layer] = counts.get(layer, 0) + len(rows)
    return {layer: total / counts[layer] for layer, total in sums.items()}


def spoken(
    tokenizer: PreTrainedTokenizerBase,
    scores: Float[Tensor, " vocabulary"],
    choices: Sequence[str] | None,
) -> str:
    """Return the choice whose first token, with or without a space before it, scores highest.

    Where there are no choices, return the token that does.
    """
    if not choices:
        return top_tokens(tokenizer, scores, 1)[0][0].strip()
    return max(choices, key=lambda one: float(scores[first_tokens(tokenizer, one)].max()))


def first_tokens(tokenizer: PreTrainedTokenizerBase, answer: str) -> list[int]:
    """Return the tokens that an answer may begin with: without and with a space before it.

    Raises:
        DataError: the answer has no words.
    """
    found: list[int] = []
    for text in (answer, f" {answer}"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        # Not a token that is the space alone, which would begin every answer.
        found += [token for token in ids if str(tokenizer.decode([token])).strip()][:1]
    if not found:
        raise DataError(f"A choice needs at least one word, got {answer!r}.")
    return found


def _batches(shown: Iterable[Shown]) -> Iterator[list[Shown]]:
    """Put readings together until they fill a pass."""
    batch: list[Shown] = []
    for one in shown:
        if batch and sum(len(layers) for _, layers in [*batch, one]) > SLOTS_PER_PASS:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
