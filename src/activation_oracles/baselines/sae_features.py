"""What somebody wrote of the SAE features that are most active: an answer without a question.

A sparse autoencoder's features have explanations, and the most active ones' are what a person would
look up (arXiv 2309.08600 and after). Files of decoders and explanations are read by
`activation_oracles.tasks.features`; here are vectors and texts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.baselines.probe import Read
from activation_oracles.errors import DataError, MismatchError
from activation_oracles.types import Example


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The explained features of an autoencoder at one layer."""

    layer: int
    """The block whose output it encodes."""
    encoder: Float[Tensor, "feature d_model"]
    """A feature is active by the product of its row with the stream. Where only the decoder is
    known, its rows: tied weights are where encoders start."""
    explanations: tuple[str, ...]
    """What each feature stands for, in the order of the rows."""
    bias: Float[Tensor, " feature"] | None = None
    """Added to the products; None where there is none."""
    centre: Float[Tensor, " d_model"] | None = None
    """Taken off the stream before, as the decoder's bias often is; None where it is not."""

    def __post_init__(self) -> None:
        if not self.explanations or len(self.explanations) != self.encoder.shape[0]:
            raise MismatchError(
                f"{self.encoder.shape[0]} features need as many explanations, and at least one, "
                f"got {len(self.explanations)}."
            )

    def activity(self, vectors: Float[Tensor, "slot d_model"]) -> Float[Tensor, "slot feature"]:
        """Return how active each feature is in each vector: never below 0, in fp32.

        Raises:
            MismatchError: the vectors are of another width.
        """
        if vectors.shape[-1] != self.encoder.shape[-1]:
            raise MismatchError(
                f"The features encode vectors of width {self.encoder.shape[-1]}, got "
                f"{vectors.shape[-1]}. Were they found in another model?"
            )
        stream = vectors.float().cpu()
        if self.centre is not None:
            stream = stream - self.centre.float().cpu()
        products = stream @ self.encoder.float().cpu().T
        return torch.relu(products if self.bias is None else products + self.bias.float().cpu())


@dataclass(frozen=True)
class SaeFeatures:
    """Answers with the explanations of the features that are most active in what is shown."""

    read: Read
    """How to get the activations of an example."""
    dictionary: Dictionary
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The answers to choose between, of each task that has few."""
    num_features: int = 3
    """How many explanations make a free answer."""
    name: str = "SAE features"
    control: str | None = None

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return the explanations of the most active features, the most active first.

        Where there are choices, return the one that the most active feature's explanation names;
        of further features' in turn, where that one names none.

        Raises:
            DataError: an example shows nothing of the dictionary's layer.
        """
        found: list[str] = []
        for one, vectors in zip(examples, self.read(examples), strict=True):
            explained = self.explained(one, vectors)
            choices = self.choices.get(one.task, ())
            named = (choice for text in explained for choice in choices if _names(text, choice))
            found.append(next(named, "; ".join(explained[: self.num_features])))
        return found

    def explained(self, example: Example, vectors: Float[Tensor, "slot d_model"]) -> list[str]:
        """Return the explanations of all active features, by their mean activity over the slots."""
        layer = self.dictionary.layer
        if layer not in example.layers:
            raise DataError(
                f"The features are of layer {layer}, an example of task {example.task!r} shows "
                f"layers {example.layers}. Ask about examples that show layer {layer}."
            )
        per_layer = vectors.unflatten(0, (len(example.layers), -1))
        activity = self.dictionary.activity(per_layer[example.layers.index(layer)]).mean(dim=0)
        order = activity.argsort(descending=True, stable=True).tolist()
        return [self.dictionary.explanations[index] for index in order if activity[index] > 0]


def _names(text: str, choice: str) -> bool:
    """Say whether the words of a choice stand in a text, whatever their case."""
    return re.search(rf"(?<!\w){re.escape(choice.strip())}(?!\w)", text, re.IGNORECASE) is not None
