"""Context prediction: shown some tokens' activations, say which tokens came before or come after.

The published task (arXiv 2512.15674, appendix B.2), which needs no labels. It departs from the
reference where that is defective: what is asked for is stripped of outer white space, because chat
templates strip it from the label anyway; a window whose tokens decode to nothing, or to half a
character, is left out; and both loaders' texts are read as the target reads any text, without an
end-of-turn token in front.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

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

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples, for each text one per width and draw of layers."""
        for document in self.documents:
            if split_of(document.words, self.held_out_fraction) != split:
                continue
            ids = encode(self.tokenizer, document.content)[: self.max_tokens]
            for width in self.widths:
                numbers = random_for(seed, self.name, str(width), document.source)
                for layers in self.layers.draw(numbers):
                    window = context_window(len(ids), width, self.max_wanted, numbers)
                    if window is None:
                        continue
                    answer = self._text([ids[position] for position in window.wanted])
                    if not answer or BROKEN in answer:
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

    def _text(self, ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        assert isinstance(text, str)
        return text.strip()
