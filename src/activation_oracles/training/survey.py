"""What must be known of all examples before the first step, gathered in one pass over them."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from transformers import PreTrainedTokenizerBase

from activation_oracles.tasks.rows import chunked
from activation_oracles.types import Example, own_row

MOST_SETS = 100
"""Sets of one size that are named one by one; where there are more, they were drawn."""


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
    """The sets of layers that examples show; of very many, as many as hold every layer of them."""
    drawn_set_sizes: tuple[int, ...]
    """How many layers the sets hold of which not all are named."""
    highest_token: int
    mean_layers: frozenset[int]
    """Layers whose mean activation is shown."""
    own_rows: Mapping[str, int]
    """How many rows each file of own vectors must have."""


def survey(examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> Survey:
    """Look at examples piece by piece, and keep numbers alone."""
    lengths, context_lengths, texts = array("l"), array("l"), array("L")
    sets = _Sets()
    mean_layers: set[int] = set()
    own_rows: dict[str, int] = {}
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
            sets.add(one.layers)
            highest = max((highest, *one.context))
            if one.shown == "mean":
                mean_layers.update(one.layers)
            elif own := own_row(one.shown):
                own_rows[own[0]] = max(own_rows.get(own[0], 0), own[1] + slots)
    numbers = lengths, context_lengths, texts
    return Survey(*numbers, *sets.found(), highest, frozenset(mean_layers), own_rows)


@dataclass
class _Sets:
    """Sets of layers, of which a million may be met and some are remembered."""

    named: set[tuple[int, ...]] = field(default_factory=set)
    drawn: set[int] = field(default_factory=set)
    _counts: Counter[int] = field(default_factory=Counter)
    _held: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, layers: tuple[int, ...]) -> None:
        """Remember a set, unless there are very many of its size and no layer in it is new."""
        if layers in self.named:
            return
        size = len(layers)
        if self._counts[size] >= MOST_SETS and self._held[size].issuperset(layers):
            self.drawn.add(size)
            return
        self._counts[size] += 1
        self._held[size].update(layers)
        self.named.add(layers)

    def found(self) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
        """Return the sets that are remembered, and the sizes of those that are not all."""
        return tuple(sorted(self.named)), tuple(sorted(self.drawn))
