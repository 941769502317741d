"""What must be known of all examples before the first step, gathered in one pass over them."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

from transformers import PreTrainedTokenizerBase

from activation_oracles.tasks.rows import chunked
from activation_oracles.types import Example


@dataclass(frozen=True)
class Survey:
    """Some numbers an example, and what a model must have to be read as examples ask."""

    lengths: Sequence[int]
    """Of each example's oracle sequence, up to a constant."""
    context_lengths: Sequence[int]
    """Of each example's text, in tokens."""
    texts: Sequence[int]
    """The same number for all examples of one source."""
    layers: tuple[tuple[int, ...], ...]
    """The sets of layers that examples show."""
    highest_token: int


def survey(examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> Survey:
    """Look at examples piece by piece, and keep numbers alone."""
    lengths, context_lengths, texts = array("l"), array("l"), array("L")
    layers: set[tuple[int, ...]] = set()
    highest = 0
    for some in chunked(examples):
        words = list(dict.fromkeys(text for one in some for text in (one.question, one.answer)))
        tokens = tokenizer(words, add_special_tokens=False)["input_ids"]
        size = {word: len(ids) for word, ids in zip(words, tokens, strict=True)}  # pyright: ignore
        for one in some:
            slots = len(one.layers) * len(one.positions)
            lengths.append(size[one.question] + size[one.answer] + slots)
            context_lengths.append(len(one.context))
            texts.append(crc32(one.source.encode()))
            layers.add(one.layers)
            highest = max(highest, *one.context)
    return Survey(lengths, context_lengths, texts, tuple(sorted(layers)), highest)
