"""Context prediction: shown some tokens' activations, say which tokens came before or come after.

The published task (arXiv 2512.15674, appendix B.2), which needs no labels. It departs from the
reference where that is defective: what is asked for is stripped of outer white space, because chat
templates strip it from the label anyway; a window whose tokens decode to nothing, or to half a
character, is left out; and texts are read as the target reads any text, begun as the tokenizer
itself begins them. With `compat` "paper" they begin with the BOS string, or for want of one (as in
Qwen) with the one that ends a turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError
from activation_oracles.tasks.config import Compat
from activation_oracles.tasks.sources import Document, encode
from activation_oracles.tasks.task import Split, random_for, split_of
from activation_oracles.tasks.windows import Layers, context_window
from activation_oracles.types import Example

PAST = "Can you predict the previous {} tokens that came before this?"
FUTURE = "Can you predict the next {} tokens that come after this?"
BROKEN = "\ufffd"
"""What half a character decodes to."""


@dataclass(frozen=True)
class ContextPrediction:
    """Examples from any texts or chats."""

    documents: Sequence[Document]
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    name: str = "context_prediction"
    widths: tuple[int, ...] = (1, 50)
    """One pass over the texts for each: windows of 1 to so many tokens."""
    max_wanted: int = 50
    """At most so many tokens are asked for."""
    max_tokens: int = 512
    """Texts are cut to this length."""
    held_out_fraction: float = 0.02
    compat: Compat = "none"

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples, for each text one per width and draw of layers."""
        first = published_start(self.tokenizer) if self.compat == "paper" else None
        for document in self.documents:
            if split_of(document.words, self.held_out_fraction) != split:
                continue
            ids = encode(self.tokenizer, document.content, first=first)[: self.max_tokens]
            for width in self.widths:
                numbers = random_for(seed, self.name, str(width), document.source)
                for layers in self.layers.draw(numbers):
                    window = context_window(len(ids), width, self.max_wanted, numbers)
                    if window is None:
                        continue
                    answer = answer_of(self.tokenizer, ids, window.wanted)
                    if answer is None:
                        continue
                    question = PAST if window.past else FUTURE
                    yield Example(
                        context=ids[: window.shown[-1] + 1],
                        positions=window.shown,
                        layers=layers,
                        question=question.format(len(window.wanted)),
                        answer=answer,
                        task=self.name,
                        source=document.source,
                    )


def answer_of(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], wanted: Sequence[int]
) -> str | None:
    """Return some tokens as text, stripped; None where it is empty or holds half a character."""
    text = tokenizer.decode([ids[position] for position in wanted], skip_special_tokens=True)
    assert isinstance(text, str)
    return None if BROKEN in text else text.strip() or None


def published_start(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return what the reference puts before plain texts: BOS, or without one the end token.

    For Qwen that ends a turn, which no text begins with; so it is done on request only.

    Raises:
        ConfigError: the tokenizer has neither.
    """
    token = tokenizer.bos_token or tokenizer.eos_token
    if not isinstance(token, str):
        raise ConfigError("compat `paper` puts a BOS or EOS token first; this model has neither.")
    return token
