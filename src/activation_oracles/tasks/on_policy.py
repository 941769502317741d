"""Context prediction in what the target itself wrote: which tokens it had written, or goes on with.

A target's state holds what it is about to write; in others' texts what comes next is only guessed
at. On-policy data improved open questions and questions about missing information most (arXiv
2606.02609, and adamkarvonen/activation_oracles_dev, whose question about the future this is). There
the past is asked for in others' texts; here in the target's own too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from activation_oracles.tasks.context import PAST, answer_of
from activation_oracles.tasks.continuing import Continuation
from activation_oracles.tasks.task import Split, random_for
from activation_oracles.tasks.windows import Layers, own_window
from activation_oracles.types import Example

FUTURE = "Can you predict the next {} generated tokens that come after this?"


@dataclass(frozen=True)
class OnPolicy:
    """Examples from texts that a target was given and went on with."""

    texts: Sequence[Continuation]
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    name: str = "on_policy"
    widths: tuple[int, ...] = (20,)
    """One pass over the texts for each: windows of 1 to so many tokens."""
    max_wanted: int = 20
    """At most so many tokens are asked for."""
    max_tokens: int = 4096
    """Texts are cut to this length."""
    held_out_fraction: float = 0.02

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples, for each text one per width and draw of layers; no token is made anew."""
        for text in self.texts:
            if (text.share < self.held_out_fraction) != (split == "held_out"):
                continue
            ids = (*text.given, *text.own)[: self.max_tokens]
            for width in self.widths:
                numbers = random_for(seed, self.name, str(width), text.source)
                for layers in self.layers.draw(numbers):
                    num_given = len(text.given)
                    window = own_window(num_given, len(ids), width, self.max_wanted, numbers)
                    answer = window and answer_of(self.tokenizer, ids, window.wanted)
                    if window and answer:
                        question = PAST if window.past else FUTURE
                        yield Example(
                            context=ids[: window.shown[-1] + 1],
                            positions=window.shown,
                            layers=layers,
                            question=question.format(len(window.wanted)),
                            answer=answer,
                            task=self.name,
                            source=text.source,
                        )
