"""Answers as they are generated: by token, and in pieces of text as they come."""

from collections.abc import Callable
from dataclasses import dataclass

from transformers.generation.streamers import TextStreamer

from activation_oracles.models.load import LanguageModel


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
