"""What a dream costs besides the oracle's belief: each term asks the target, under steering.

A red-team attack is a dream that should leave the target as it is (`Harmless`). One that is causal
but silent should go on doing what it did at the start (`Faithful`). Changes are measured in the
stream after the last block and told in units of that stream, or of the effect that is to be kept,
so that one weight serves models of any width and volume. After "Dreaming Vectors"
(ceselder/dreaming-vectors, 2026), whose measure is the mean squared change itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from activation_oracles.dreams.wishes import turned
from activation_oracles.errors import DataError
from activation_oracles.models.chat import Chat
from activation_oracles.models.push import Push, Unit
from activation_oracles.models.read import logits_only_at, recording
from activation_oracles.models.steer import steering
from activation_oracles.models.target import Target

Vectors = Float[Tensor, "dream d_model"]


@runtime_checkable
class Term(Protocol):
    """Something a dream is charged for."""

    @property
    def name(self) -> str:
        """What it is called in traces."""
        ...

    @property
    def weight(self) -> float:
        """By how much it counts."""
        ...

    def cost(self, vectors: Vectors, starts: Vectors) -> Float[Tensor, " dream"]:
        """Return what each vector costs, with its gradient.

        Args:
            vectors: where the dreams are.
            starts: where they began.
        """
        ...


@dataclass(frozen=True)
class Dose:
    """How vectors are added to the target's stream."""

    layer: int
    """After which block."""
    strength: float = 1.0
    """In `unit`; a vector's own length never counts."""
    unit: Unit = "residual"
    """`residual`: times the stream's length at each token; `absolute`: the length that is added."""

    def pushes(
        self, vectors: Vectors, strengths: Float[Tensor, " dream"] | None = None
    ) -> tuple[Push, ...]:
        """Return what adds these, one to each sequence; at other strengths, where given."""
        units = nn.functional.normalize(vectors.float(), dim=-1)
        how = self.strength if strengths is None else strengths
        return (Push(layer=self.layer, vectors=units, strengths=how, unit=self.unit),)


@dataclass(frozen=True, eq=False)
class Prompts:
    """Texts that the target reads under steering, padded on the right."""

    target: Target
    texts: tuple[str | Chat, ...]

    def __post_init__(self) -> None:
        if not self.texts:
            raise DataError("Give at least one prompt, on which steering is to be measured.")

    @cached_property
    def _padded(self) -> tuple[Int[Tensor, "prompt pos"], Bool[Tensor, "prompt pos"]]:
        rows = [self.target.encode(one) for one in self.texts]
        ids = torch.full((len(rows), max(map(len, rows))), self.target.model.pad_id)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = True
        device = self.target.model.device
        return ids.to(device), mask.to(device)

    @cached_property
    def streams(self) -> Float[Tensor, "token d_model"]:
        """The stream after the last block, of every token, without steering."""
        with torch.no_grad():
            return self._run(self._padded[0], ())[self._padded[1]]

    def steered(self, dose: Dose, vectors: Vectors) -> Float[Tensor, "dream token d_model"]:
        """Return the stream after the last block, of every token, under each vector."""
        ids, mask = self._padded
        count = len(vectors)
        streams = self._run(
            ids.repeat(count, 1), dose.pushes(vectors.repeat_interleave(len(ids), dim=0))
        )
        return streams.unflatten(0, (count, len(ids)))[:, mask]

    def _run(
        self, ids: Int[Tensor, "row pos"], pushes: Sequence[Push]
    ) -> Float[Tensor, "row pos d_model"]:
        model = self.target.model
        last = model.num_layers - 1
        with (
            model.using(self.target.adapter),
            steering(model.blocks, pushes),
            recording(model.blocks, [last]) as found,
        ):
            model.network(input_ids=ids, use_cache=False)
        return found[last].float()


@dataclass(frozen=True, eq=False)
class Harmless:
    """The target stays as it is: mean squared change of its last stream on neutral prompts."""

    prompts: Prompts
    dose: Dose
    weight: float = 1.0
    name: str = "change"

    def cost(self, vectors: Vectors, starts: Vectors) -> Float[Tensor, " dream"]:
        """Return the change, in units of the stream's own mean square: 1 is as large as it."""
        del starts
        before = self.prompts.streams
        moved = self.prompts.steered(self.dose, vectors) - before
        return moved.square().mean(dim=(1, 2)) / before.square().mean()


@dataclass(frozen=True, eq=False)
class Faithful:
    """The target is moved as by the vector that a dream began from."""

    prompts: Prompts
    dose: Dose
    weight: float = 1.0
    name: str = "effect lost"

    def cost(self, vectors: Vectors, starts: Vectors) -> Float[Tensor, " dream"]:
        """Return the squared distance between the two effects over the first: 1 if all is lost."""
        with torch.no_grad():
            wanted = self.prompts.steered(self.dose, starts)
            size = (wanted - self.prompts.streams).square().mean(dim=(1, 2))
        missed = (self.prompts.steered(self.dose, vectors) - wanted).square().mean(dim=(1, 2))
        return missed / size


@dataclass(frozen=True, eq=False)
class Speaks:
    """The target says this behind a prompt when steered; or, suppressed, it does not.

    After one-shot steering (Dunefsky and Cohan 2025, arXiv 2502.18862).
    """

    target: Target
    prompt: str | Chat
    reply: str
    dose: Dose
    suppressed: bool = False
    weight: float = 1.0

    @property
    def name(self) -> str:
        """What it is called in traces."""
        return f"{'un' if self.suppressed else ''}said: {self.reply}"

    def cost(self, vectors: Vectors, starts: Vectors) -> Float[Tensor, " dream"]:
        """Return -log p of the reply, per token and in nats; -log (1 - p) where suppressed."""
        del starts
        model = self.target.model
        asked = self.target.text(self.prompt, add_generation_prompt=True).token_ids
        said = model.tokenizer.encode(self.reply, add_special_tokens=False)
        ids = torch.tensor([*asked, *said], device=model.device).repeat(len(vectors), 1)
        rows = torch.arange(len(vectors)).repeat_interleave(len(said))
        columns = torch.arange(len(said)).repeat(len(vectors)) + len(asked) - 1
        with (
            model.using(self.target.adapter),
            steering(model.blocks, self.dose.pushes(vectors)),
            logits_only_at(model.network, rows, columns),
        ):
            logits = model.network(input_ids=ids, use_cache=False).logits[0].float()
        labels = torch.tensor(said, device=logits.device).repeat(len(vectors))
        lost = nn.functional.cross_entropy(logits, labels, reduction="none")
        each = lost.unflatten(0, (len(vectors), len(said))).mean(dim=1)
        return -turned(-each) if self.suppressed else each
