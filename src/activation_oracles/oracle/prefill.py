"""One pass over what several answers share: the prompt, and the vectors that are written into it.

Samples of one question and choices between given answers differ behind the prompt alone. The
prompt runs once, its cache is repeated, and only what differs runs on.
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
    """What left-padded prompts leave behind: the cache, and what the next token may be."""

    cache: Cache
    mask: Bool[Tensor, "row pos"]
    following: Float[Tensor, "row vocabulary"]
    """Log-probabilities of the token behind each prompt, in fp32."""

    def repeated(self, times: int) -> "Prefill":
        """Return every row so many times, one behind the other. The cache is used up by it."""
        self.cache.batch_repeat_interleave(times)
        return Prefill(
            self.cache,
            self.mask.repeat_interleave(times, dim=0),
            self.following.repeat_interleave(times, dim=0),
        )


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
) -> Prefill:
    """Run left-padded prompts once, under whatever adapter and injection are in force."""
    rows = torch.arange(ids.shape[0])
    last = torch.full_like(rows, ids.shape[1] - 1)
    model: Any = network
    with logits_only_at(network, rows, last):
        out = model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=_places(mask),
            use_cache=True,
        )
    return Prefill(out.past_key_values, mask, out.logits[0].float().log_softmax(dim=-1))


def tail_likelihoods(
    network: PreTrainedModel, begun: Prefill, tails: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Return the log-probability of every token of a tail behind each row. Uses the cache up."""
    width = max(map(len, tails))
    device = begun.mask.device
    ids = torch.zeros((len(tails), width), dtype=torch.long, device=device)
    for row, tail in enumerate(tails):
        ids[row, : len(tail)] = torch.tensor(tail, device=device)
    found = [begun.following.to(device).gather(1, ids[:, :1])]
    if width > 1:
        # Padding is behind each tail: no token that counts ever sees it.
        mask = torch.cat([begun.mask, torch.ones_like(ids[:, :-1], dtype=torch.bool)], dim=1)
        model: Any = network
        logits = model(
            input_ids=ids[:, :-1],
            attention_mask=mask.long(),
            position_ids=_places(mask)[:, begun.mask.shape[1] :],
            past_key_values=begun.cache,
            use_cache=True,
        ).logits
        losses = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        )
        found.append(-losses.view(len(tails), width - 1))
    table = torch.cat(found, dim=1).cpu().tolist()
    return [values[: len(tail)] for values, tail in zip(table, tails, strict=True)]


def _places(mask: Bool[Tensor, "row pos"]) -> Int[Tensor, "row pos"]:
    """Count positions from each row's first real token."""
    return (mask.long().cumsum(dim=-1) - 1).clamp(min=0)
