"""How answers are generated, and what comes of it: tokens, and pieces of text as they come."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from transformers.generation.streamers import TextStreamer

from activation_oracles.errors import ConfigError
from activation_oracles.models.load import LanguageModel


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
