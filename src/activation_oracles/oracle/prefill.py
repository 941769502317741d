"""One pass over what several answers share, as what their prompts begin with.

It runs once, its cache is handed to every row that goes on from there, and only what differs runs
on. One row may become many: questions of a reading, samples of a question, given answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from activation_oracles.models.read import logits_only_at


@dataclass(frozen=True, eq=False)
class Prefill:
    """What left-padded texts leave behind: the cache, and what the next token may be."""

    cache: Cache
    mask: Bool[Tensor, "row pos"]
    logits: Float[Tensor, "row vocabulary"]
    """Of the token behind each text, in fp32."""

    @property
    def following(self) -> Float[Tensor, "row vocabulary"]:
        """Log-probabilities of the token behind each text."""
        return self.logits.log_softmax(dim=-1)

    def picked(self, rows: Sequence[int]) -> "Prefill":
        """Return these rows, some perhaps several times. The cache is used up by it."""
        if list(rows) == list(range(len(self.mask))):
            return self
        # Not moved to a device: layers may lie on several.
        index = torch.tensor(rows)
        self.cache.batch_select_indices(index)
        return Prefill(self.cache, self.mask[index], self.logits[index])

    def followed(self, network: PreTrainedModel, tokens: Int[Tensor, " row"]) -> "Prefill":
        """Run one token behind each text. The cache is used up by it."""
        return prefill(network, tokens[:, None], self.mask.new_ones(len(tokens), 1), self)

    def likelihoods(
        self, network: PreTrainedModel, tails: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Return the log-probability of every token of a tail behind each text.

        The cache is used up by it.
        """
        width = max(map(len, tails))
        device = self.mask.device
        ids = torch.zeros((len(tails), width), dtype=torch.long, device=device)
        for row, tail in enumerate(tails):
            ids[row, : len(tail)] = torch.tensor(tail, device=device)
        found = [self.following.to(device).gather(1, ids[:, :1])]
        if width > 1:
            # Padding is behind each tail: no token that counts ever sees it.
            mask = torch.cat([self.mask, torch.ones_like(ids[:, :-1], dtype=torch.bool)], dim=1)
            model: Any = network
            logits = model(
                input_ids=ids[:, :-1],
                attention_mask=mask.long(),
                position_ids=_places(mask)[:, self.mask.shape[1] :],
                past_key_values=self.cache,
                use_cache=True,
            ).logits
            losses = nn.functional.cross_entropy(
                logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
            )
            found.append(-losses.view(len(tails), width - 1))
        table = torch.cat(found, dim=1).cpu().tolist()
        return [values[: len(tail)] for values, tail in zip(table, tails, strict=True)]


ATTENDING = {"full_attention", "sliding_attention", "chunked_attention"}


def can_repeat(network: PreTrainedModel) -> bool:
    """Tell whether a cache can be repeated row by row: not where layers carry a state of their own.

    Those of hybrids are kept in other shapes, and know of padding only where a text begins.
    """
    config = network.config.get_text_config(decoder=True)
    types = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or ()
    return set(types) <= ATTENDING and not getattr(config, "is_attention_free", False)


def sees_all(network: PreTrainedModel, length: int) -> bool:
    """Tell whether every token attends to all before it in so long a text.

    A window counts what is masked, too: padding inside a text would push some of it out.
    """
    config = network.config.get_text_config(decoder=True)
    names = ("sliding_window", "window_size", "attention_chunk_size")
    return all(length <= (getattr(config, name, None) or length) for name in names)


def prefill(
    network: PreTrainedModel,
    ids: Int[Tensor, "row pos"],
    mask: Bool[Tensor, "row pos"],
    begun: Prefill | None = None,
) -> Prefill:
    """Run left-padded texts, under whatever adapter and injection are in force.

    They go on from `begun`, which is used up by it. Padding may stand behind what was begun: it is
    masked, and no position is counted there.
    """
    width = ids.shape[1]
    rows = torch.arange(ids.shape[0])
    if begun is not None:
        mask = torch.cat([begun.mask, mask], dim=1)
    last = torch.full_like(rows, width - 1)
    model: Any = network
    with logits_only_at(network, rows, last):
        out = model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=_places(mask)[:, -width:],
            past_key_values=None if begun is None else begun.cache,
            use_cache=True,
        )
    return Prefill(out.past_key_values, mask, out.logits[0].float())


def _places(mask: Bool[Tensor, "row pos"]) -> Int[Tensor, "row pos"]:
    """Count positions from each row's first real token."""
    return (mask.long().cumsum(dim=-1) - 1).clamp(min=0)
