"""The activation-difference lens: what fine-tuning wrote into the stream, text after text.

The mean, over texts, of an organism's activations minus its base's, seen through the logit lens
(Minder et al. 2025, arXiv 2510.13900). It is one answer for a whole organism: which text a question
is about makes no difference to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.baselines.logit_lens import Shown, spoken, token_scores
from activation_oracles.baselines.probe import Read
from activation_oracles.errors import DataError, MismatchError
from activation_oracles.models.target import Target
from activation_oracles.models.unembed import top_tokens
from activation_oracles.types import Example


@dataclass
class DifferenceLens:
    """Answers with what the mean difference of two readers speaks for."""

    target: Target
    """Whose norm and output layer are applied: the base's, which both share."""
    after: Read
    """How to get the organism's activations."""
    before: Read
    """How to get its base's."""
    texts: Sequence[Example] = field(repr=False)
    """Examples over whose slots the mean is taken; their answers are not looked at."""
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The answers to choose between, of each task that has few."""
    name: str = "activation-difference lens"
    control: str | None = None

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return, for each example, the choice that scores highest, else the top token."""
        tokenizer, scores = self.target.model.tokenizer, self.scores
        return [spoken(tokenizer, scores, self.choices.get(one.task)) for one in examples]

    def tokens(self, k: int = 10) -> list[tuple[str, float]]:
        """Return the `k` tokens that the difference speaks for most, with scores, highest first."""
        return top_tokens(self.target.model.tokenizer, self.scores, k)

    @cached_property
    def scores(self) -> Float[Tensor, " vocabulary"]:
        """The logits of the mean difference; of several layers, the mean of each one's.

        Raises:
            DataError: there are no texts, or the two readers agree on all of them.
            MismatchError: the two read vectors of different numbers or widths.
        """
        differences = mean_differences(self.texts, self.after, self.before)
        if not any(one.any() for one in differences.values()):
            raise DataError(
                "The two readers agree on every text: there is no difference to look at. Is one of "
                "them read under the organism's adapter?"
            )
        shown: Shown = torch.stack(list(differences.values())), tuple(differences)
        (scores,) = token_scores(self.target, [shown])
        return scores


def mean_differences(
    texts: Sequence[Example], after: Read, before: Read
) -> dict[int, Float[Tensor, " d_model"]]:
    """Return the mean of `after - before` over all slots of a layer, by layer, in fp32.

    Raises:
        DataError: there are no texts.
        MismatchError: the two read vectors of different numbers or widths.
    """
    if not texts:
        raise DataError("A mean difference needs at least one text.")
    sums: dict[int, Tensor] = {}
    counts: dict[int, int] = {}
    for one, ours, theirs in zip(texts, after(texts), before(texts), strict=True):
        if ours.shape != theirs.shape:
            raise MismatchError(
                f"The two readers show vectors of shapes {tuple(ours.shape)} and "
                f"{tuple(theirs.shape)} of one text. Are they of one architecture?"
            )
        difference = (ours.float().cpu() - theirs.float().cpu()).unflatten(0, (len(one.layers), -1))
        for layer, part in zip(one.layers, difference, strict=True):
            sums[layer] = sums.get(layer, 0) + part.sum(dim=0)
            counts[layer] = counts.get(layer, 0) + part.shape[0]
    return {layer: sums[layer] / counts[layer] for layer in sorted(sums)}
