"""A target that is steered: read and let go on as any other, with directions pushed into it."""

from collections.abc import Sequence
from copy import copy
from hashlib import blake2b
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import GenerationConfig

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.models.batching import TOKENS_PER_BATCH, cheapest_cuts, per_pass
from activation_oracles.models.push import Push
from activation_oracles.models.sharding import is_sharded
from activation_oracles.models.steer import steering
from activation_oracles.models.target import Place, Target
from activation_oracles.types import Provenance


class Steered(Target):
    """A target under pushes, whenever it is read or goes on.

    Where a push holds a row for each of several sequences, row N is for the N-th text of every
    call, and a call takes as many texts as there are rows.
    """

    def __init__(self, target: Target, pushes: Sequence[Push], *, name: str = "a vector") -> None:
        """Steer a target, or go on steering one that is steered.

        Args:
            target: who is steered; it stays as it is.
            pushes: what is added where, in this order where several meet.
            name: what is added, for provenance.

        Raises:
            ConfigError: there is no push, no such block, or the model's weights are shared out.
            MismatchError: a push of another width, or pushes for different numbers of sequences.
        """
        super().__init__(target.model, target.adapter)
        if not pushes:
            raise ConfigError("Nothing was given to steer by: pass at least one push.")
        if is_sharded(target.model):
            raise ConfigError(
                "A model whose blocks are shared out over processes cannot be steered. Load it on "
                "one device, or spread it with `device_map`."
            )
        before = target.pushes if isinstance(target, Steered) else ()
        self.pushes = (*before, *(one.to(self.model.device) for one in pushes))
        self._steps = (*target.provenance.history, *(_told(one, name) for one in pushes))
        self._check_pushes()

    @property
    def provenance(self) -> Provenance:
        """Where this target's activations come from, and what was added to them."""
        found = super().provenance
        for step in self._steps:
            found = found.then(step)
        return found

    @property
    def num_rows(self) -> int:
        """Texts that a call takes; 1 where it takes any number."""
        return max(one.num_rows for one in self.pushes)

    def continued(
        self, prompts: Sequence[tuple[int, ...]], settings: GenerationConfig, seed: int = 0
    ) -> list[tuple[int, ...]]:
        """Return the ids that are written behind each prompt under steering, in one batch.

        Raises:
            DataError: there is no prompt, or one of them has no tokens, or not those chosen.
            MismatchError: pushes are for another number of texts.
        """
        self._check_texts(prompts)
        width = max(map(len, prompts), default=0)
        padding = torch.tensor([width - len(one) for one in prompts])
        with steering(self.model.blocks, self.pushes, padding=padding, prompt=width):
            return super().continued(prompts, settings, seed)

    def _gather(self, places: Sequence[Place]) -> list[Float[Tensor, "_ d_model"]]:
        if not places:
            return []
        self._check_texts([place.context for place in places])
        self._check_reading(max(max(place.layers) for place in places))
        if self.num_rows == 1:
            # A push depends on nothing behind its token, so texts that begin alike stay one.
            return super()._gather(places)
        order = sorted(range(len(places)), key=lambda index: len(places[index].context))
        widths = [len(places[index].context) for index in order]
        cuts = cheapest_cuts(widths, beside=per_pass(self.model.device), most=TOKENS_PER_BATCH)
        found: dict[int, Tensor] = {}
        for start, end in pairwise(cuts):
            rows = order[start:end]
            batch = [places[index].context for index in rows]
            layers = sorted({layer for index in rows for layer in places[index].layers})
            asked = list(enumerate(rows))
            found |= self._of(rows)._cut(batch, layers, asked, places)
        return [found[index] for index in range(len(places))]

    def _streams(
        self, batch: Sequence[tuple[int, ...]], layers: Sequence[int]
    ) -> dict[int, Tensor]:
        # The pass ends at the deepest layer: what is added behind it would not be.
        pushes = [one for one in self.pushes if one.layer <= max(layers)]
        if not pushes:
            return super()._streams(batch, layers)
        with steering(self.model.blocks, pushes):
            return super()._streams(batch, layers)

    def _of(self, rows: Sequence[int]) -> "Steered":
        """Return this target for some of its texts, in this order."""
        part = copy(self)
        part.pushes = tuple(one.rows(rows) for one in self.pushes)
        return part

    def _check_pushes(self) -> None:
        self.model.blocks.check_layers([one.layer for one in self.pushes])
        for one in self.pushes:
            if one.vectors.shape[1] != self.model.width:
                raise MismatchError(
                    f"A push of width {one.vectors.shape[1]} is for another model: "
                    f"{self.model.name} has width {self.model.width}."
                )
        counts = {one.num_rows for one in self.pushes} - {1}
        if len(counts) > 1:
            raise MismatchError(
                f"Pushes are for {sorted(counts)} texts at once. Make them all for as many, or for "
                "any number."
            )

    def _check_texts(self, texts: Sequence[tuple[int, ...]]) -> None:
        if self.num_rows not in (1, len(texts)):
            raise MismatchError(
                f"Pushes are for {self.num_rows} texts, one row each, got {len(texts)} texts."
            )
        for one in self.pushes:
            chosen = one.chosen or ((),)
            rows = chosen if len(chosen) > 1 else chosen * len(texts)
            for text, places in zip(texts, rows, strict=True):
                if max(places, default=-1) >= len(text):
                    raise DataError(
                        f"Token {max(places)} shall be pushed, of a text with {len(text)} tokens. "
                        "Tokens are counted from 0."
                    )

    def _check_reading(self, deepest: int) -> None:
        first = min(one.layer for one in self.pushes)
        if first > deepest:
            raise MismatchError(
                f"What is added after block {first} does not show at layer {deepest} or before. "
                "Read deeper, or read the target itself."
            )
        if any(one.where == "generated" for one in self.pushes):
            raise ConfigError(
                "A text that is read has no generated tokens to push. Choose its tokens, or push "
                "at all of them."
            )


def _told(push: Push, name: str) -> str:
    """Return what a push adds, in a line: strengths and a hash of all that it holds."""
    digest = blake2b(digest_size=4)
    strengths = torch.as_tensor(push.strengths).detach().flatten().float().cpu()
    for one in (push.vectors.detach().float().cpu(), strengths):
        digest.update(one.numpy().tobytes())
    digest.update(str(push.where).encode())
    low, high = float(strengths.min()), float(strengths.max())
    strength = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    where = f"{push.where} tokens" if isinstance(push.where, str) else "chosen tokens"
    return (
        f"{name} ({digest.hexdigest()}) added after block {push.layer} at {where}, strength "
        f"{strength} ({push.unit})"
    )
