"""Examples of the published shares, sharing of texts and windows, over random words."""

from collections.abc import Iterator
from random import Random

from activation_oracles.models.load import LanguageModel
from activation_oracles.types import Example

Batch = list[int]
"""Indices of examples."""
PERCENTS = (25, 50, 75)
SHARES = {"context": 0.569, "classification": 0.368, "latentqa": 0.063}
"""Of the examples, as published."""
LONGEST = 512


class Mixture:
    """Draws texts, each with all that is asked of it, until there are enough examples."""

    def __init__(self, model: LanguageModel, seed: int) -> None:
        self._random = Random(seed)
        self._tokenizer = model.tokenizer
        self._layers = [int(model.num_layers * percent / 100) for percent in PERCENTS]
        pieces = [(str(model.tokenizer.decode([n])), n) for n in range(len(model.tokenizer))]
        self._words = [n for piece, n in pieces if piece[:1] == " " and piece[1:].isalpha()]

    def draw(self, count: int) -> list[Example]:
        examples: list[Example] = []
        made = dict.fromkeys(SHARES, 0)
        while len(examples) < count:
            family = min(SHARES, key=lambda name: made[name] / SHARES[name])
            asked = list(getattr(self, f"_{family}")(f"{family} {made[family]}"))
            made[family] += len(asked)
            examples += asked
        return examples[:count]

    def _ids(self, count: int) -> tuple[int, ...]:
        return tuple(self._random.choices(self._words, k=count))

    def _said(self, count: int) -> str:
        return str(self._tokenizer.decode(list(self._ids(count)))).strip()

    def _context(self, source: str) -> Iterator[Example]:
        """Three layers, each with one vector and with up to 50; the text ends with the last."""
        draw = self._random.randint
        text = self._ids(min(LONGEST, max(110, int(self._random.lognormvariate(6.0, 0.8)))))
        for layer in self._layers:
            for most in (1, 50):
                ahead, shown = draw(1, 50), draw(1, most)
                start = draw(1, len(text) - shown - ahead)
                end = start + shown
                yield Example(
                    text[:end], tuple(range(start, end)), (layer,),
                    f"Can you predict the next {ahead} tokens that come after this?",
                    str(self._tokenizer.decode(list(text[end : end + ahead]))).strip(),
                    "context", source,
                )  # fmt: skip

    def _classification(self, source: str) -> Iterator[Example]:
        """Two questions on one vector, or one on up to 50, at three layers."""
        text = self._ids(self._random.randint(12, 60))
        questions, most = self._random.choice(((2, 1), (1, 50)))
        for _ in range(questions):
            question = f"Answer with 'Yes' or 'No' only. {self._said(8)}?"
            for layer in self._layers:
                end = len(text) - self._random.randint(0, 4)
                start = max(0, end - self._random.randint(1, most))
                yield Example(
                    text, tuple(range(start, end)), (layer,), question,
                    self._random.choice(("Yes", "No")), "classification", source,
                )  # fmt: skip

    def _latentqa(self, source: str) -> Iterator[Example]:
        """Two questions with long answers, on a few vectors or all, each at some layer."""
        text = self._ids(self._random.randint(20, 100))
        for _ in range(2):
            start = self._random.choice((0, len(text) - self._random.randint(2, 4)))
            yield Example(
                text, tuple(range(start, len(text) - 1)), (self._random.choice(self._layers),),
                f"{self._said(10)}?", self._said(20), "latentqa", source,
            )  # fmt: skip
