"""How answers are generated, and what comes of it: tokens, and pieces of text as they come."""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel
from transformers.generation.streamers import TextStreamer

from activation_oracles.errors import ConfigError
from activation_oracles.models.continuing import until
from activation_oracles.models.load import LanguageModel
from activation_oracles.oracle.packing import Packed
from activation_oracles.oracle.prefill import Prefill

WORTH_LEAVING = 8
"""Rows leave a batch when one in so many has ended: all that stay are copied."""


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn."""

    max_new_tokens: int = 20
    """Length at which an answer is cut."""
    samples: int = 1
    """Answers to draw for each question."""
    temperature: float = 0.0
    """0 is greedy; more than one sample needs more."""
    seed: int = 0
    """Where sampling starts; it touches no other random state."""
    avoiding: tuple[int, ...] = ()
    """Tokens that no answer begins with, as those of a refusal."""

    def __post_init__(self) -> None:
        sensible = math.isfinite(self.temperature) and self.temperature >= 0
        if self.max_new_tokens < 1 or self.samples < 1 or not sensible:
            raise ConfigError(
                "Decoding needs at least one token, one sample and a temperature >= 0, got "
                f"{self.max_new_tokens}, {self.samples} and {self.temperature:g}."
            )
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError(
                f"{self.samples} greedy samples would be equal. Give a temperature above 0."
            )


@dataclass(frozen=True)
class Drawn:
    """An answer as it was generated."""

    ids: tuple[int, ...]
    """Its tokens, the one that ends it included. Its text may be written in other tokens."""
    text: str


class Streamer(TextStreamer):
    """Hands text on as it is generated, instead of printing it."""

    def __init__(self, model: LanguageModel, on_text: Callable[[str], None]) -> None:
        super().__init__(model.tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._on_text = on_text

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: FBT001, FBT002
        """Hand a piece of text on; the base class says when."""
        if text:
            self._on_text(text)


def drawn_from(
    network: PreTrainedModel,
    begun: Prefill | Packed,
    how: Decoding,
    stops: Collection[int],
    streamer: Streamer | None = None,
) -> list[tuple[int, ...]]:
    """Return what follows each row, up to and including the token that ends it."""
    said: list[list[int]] = [[] for _ in begun.logits]
    if streamer is not None:
        # What comes first is taken for the prompt, and skipped, whatever it is.
        streamer.put(begun.logits)
    for rows, tokens in islice(_steps(network, begun, how, stops), how.max_new_tokens):
        if streamer is not None:
            streamer.put(tokens)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            said[row].append(token)
    if streamer is not None:
        streamer.end()
    return [until(ids, stops) for ids in said]


def _steps(
    network: PreTrainedModel, begun: Prefill | Packed, how: Decoding, stops: Collection[int]
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield the next token of every row that still runs, and which rows these are.

    Rows that have ended leave the batch. Where tokens are drawn they stay: what a row draws depends
    on how many rows draw before it.
    """
    rows = list(range(len(begun.logits)))
    ended: set[int] = set()
    if how.avoiding:
        avoided = torch.tensor(how.avoiding, device=begun.logits.device)
        begun = replace(begun, logits=begun.logits.index_fill(1, avoided, -math.inf))
    while True:
        tokens = _next(begun.logits, how.temperature)
        yield rows, tokens
        ended.update(
            row for row, token in zip(rows, tokens.tolist(), strict=True) if token in stops
        )
        going = [at for at, row in enumerate(rows) if row not in ended]
        if not going:
            return
        if how.temperature == 0 and WORTH_LEAVING * (len(rows) - len(going)) >= len(rows):
            rows = [rows[at] for at in going]
            begun, tokens = begun.picked(going), tokens[torch.tensor(going)]
        begun = begun.followed(network, tokens)


def _next(logits: Float[Tensor, "row vocabulary"], temperature: float) -> Int[Tensor, " row"]:
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(dim=-1), 1).squeeze(1)
