"""Texts that begin alike in one row: what they share and what they do not run in one pass.

A mask lets every token see what its own text holds before it, and nothing of the others. So none is
padded to the longest, and what they share is neither run nor kept twice. But every token is
compared with all: where that costs more than it saves, texts are rows of a batch (`prefill`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import Cache, DynamicCache, PreTrainedModel

from activation_oracles.models.placing import input_device
from activation_oracles.models.read import logits_only_at
from activation_oracles.oracle.prefill import can_repeat, sees_all
from activation_oracles.oracle.prompt import Prompt
from activation_oracles.oracle.sharing import Parts

COLUMNS_PER_WIDTH = 4
"""In so many columns, and more of them in a wider model, attention costs less than is saved."""

MOST_COLUMNS = 4096
"""Beyond, whatever the model, the mask itself is large."""


def can_pack(network: PreTrainedModel, parts: Parts, beyond: int) -> bool:
    """Tell whether questions about one reading, and so many tokens more, are best run in one row.

    Not in a model that counts positions itself, nor by fused kernels that know no such mask.
    """
    config = network.config.get_text_config(decoder=True)
    num_columns = sum(len(one.ids) for one in _prompts(parts))
    most = min(COLUMNS_PER_WIDTH * config.hidden_size, MOST_COLUMNS)
    return (
        len(parts.heads) == 1 < len(parts.tails)
        # On the way, half of what may follow stands there.
        and num_columns + beyond // 2 <= most
        and can_repeat(network)
        and sees_all(network, num_columns + beyond)
        and config._attn_implementation in {"eager", "sdpa"}  # pyright: ignore[reportPrivateUsage]
        and bool(network._supports_attention_backend)  # pyright: ignore[reportPrivateUsage]
    )


@dataclass(frozen=True, eq=False)
class Packed:
    """What texts in one row leave behind: the cache, what each sees of it, and what may follow."""

    cache: Cache
    seen: Bool[Tensor, "text column"]
    lengths: Int[Tensor, " text"]
    logits: Float[Tensor, "text vocabulary"]
    """Of the token behind each text, in fp32."""

    def picked(self, texts: Sequence[int]) -> "Packed":
        """Return these texts, some perhaps several times."""
        index = torch.tensor(texts)
        return Packed(self.cache, self.seen[index], self.lengths[index], self.logits[index])

    def followed(self, network: PreTrainedModel, tokens: Int[Tensor, " text"]) -> "Packed":
        """Run one token behind each text. Uses the cache up."""
        each = torch.arange(len(tokens))
        seen = torch.cat([self.seen, torch.eye(len(tokens), dtype=torch.bool)], dim=1)
        logits = _logits(network, tokens, self.lengths, seen, self.cache, each)
        return Packed(self.cache, seen, self.lengths + 1, logits)

    def likelihoods(
        self, network: PreTrainedModel, tails: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Return the log-probability of every token of a tail behind each text.

        Uses the cache up.
        """
        counts = torch.tensor([len(tail) - 1 for tail in tails])
        logits, labels = self.logits, [tail[0] for tail in tails]
        owners = torch.arange(len(tails)).repeat_interleave(counts)
        if len(owners):
            behind = _logits(
                network,
                torch.tensor([token for tail in tails for token in tail[:-1]]),
                self.lengths[owners] + _within(counts),
                torch.cat([self.seen[owners], (owners[:, None] == owners).tril()], dim=1),
                self.cache,
                torch.arange(len(owners)),
            )
            logits = torch.cat([logits, behind])
            labels += [token for tail in tails for token in tail[1:]]
        wanted = torch.tensor(labels, device=logits.device)
        losses = nn.functional.cross_entropy(logits, wanted, reduction="none")
        first, *rest = (-losses).cpu().split([len(tails), *counts.tolist()])
        return [[begin, *one.tolist()] for begin, one in zip(first.tolist(), rest, strict=True)]


def packed(network: PreTrainedModel, parts: Parts) -> Packed:
    """Run questions about one reading, under whatever adapter and injection are in force."""
    texts = [one.ids for one in _prompts(parts)]
    counts = torch.tensor(list(map(len, texts)))
    owners = torch.arange(len(counts)).repeat_interleave(counts)
    sees = ((owners[:, None] == owners) | (owners == 0)).tril()
    places = _within(counts) + counts[0] * (owners > 0)
    ends = counts.cumsum(0)[1:] - 1
    ids = torch.tensor([token for text in texts for token in text])
    cache = DynamicCache(config=network.config.get_text_config(decoder=True))
    logits = _logits(network, ids, places, sees, cache, ends)
    return Packed(cache, sees[ends], counts[0] + counts[1:], logits)


def _prompts(parts: Parts) -> list[Prompt]:
    return [*(one.prompt for one in parts.heads), *parts.tails]


def _logits(
    network: PreTrainedModel,
    ids: Int[Tensor, " pos"],
    places: Int[Tensor, " pos"],
    sees: Bool[Tensor, "pos column"],
    cache: Cache,
    wanted: Int[Tensor, " text"],
) -> Float[Tensor, "text vocabulary"]:
    """Run tokens into a cache, each seeing what it is given to; return logits at those wanted."""
    device = input_device(network)
    # Added to the scores of attention, as the plain implementation takes it, too.
    mask = torch.zeros(sees.shape, dtype=network.dtype).masked_fill_(
        ~sees, torch.finfo(network.dtype).min
    )
    model: Any = network
    with logits_only_at(network, torch.zeros_like(wanted), wanted):
        out = model(
            input_ids=ids[None].to(device),
            attention_mask=mask[None, None].to(device),
            position_ids=places[None].to(device),
            past_key_values=cache,
            use_cache=True,
        )
    return out.logits[0].float()


def _within(counts: Int[Tensor, " part"]) -> Int[Tensor, " pos"]:
    """Number the tokens of each part from 0, part after part."""
    begins = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return torch.arange(len(begins)) - begins
