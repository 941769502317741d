"""Questions that what is shown cannot answer: the answer says so, and the oracle learns to abstain.

The questions of other tasks are asked with something else in the slots (nothing, random directions,
the mean activation), number of slots and layers as they were: only the vectors tell such an example
from one that has an answer. And real activations of texts are shown, of which is asked what these
texts do not hold (`absent`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError
from activation_oracles.tasks.config import Unanswered
from activation_oracles.tasks.rows import Rows, joined, spooled
from activation_oracles.tasks.sources import Document, encode
from activation_oracles.tasks.task import Split, Task, random_for, split_of
from activation_oracles.tasks.windows import Layers, label_window
from activation_oracles.types import Example


@dataclass(frozen=True)
class Unanswerable:
    """Examples whose answer is that there is none."""

    asked: Sequence[Task]
    """Whose questions are asked; their examples are made once more for it."""
    documents: Sequence[Document]
    """Texts that hold no answer to any of `questions`."""
    questions: Sequence[str]
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    """Of the texts' activations; other tasks' examples keep theirs."""
    kinds: Mapping[Unanswered, float]
    """Shares of the four kinds, in any unit."""
    name: str = "unanswerable"
    answer: str = "I cannot tell."
    share: float = 0.1
    """How many examples are made for each one that has such a question."""
    widths: tuple[int, ...] = (1, 50)
    """Of a text, windows of 1 to so many tokens are shown; each example draws one of these."""
    max_tokens: int = 512
    """Longer texts are left out."""
    held_out_fraction: float = 0.02

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples, kind by kind, each asked in another example's place, on its side.

        Raises:
            DataError: there are fewer questions to train on than a kind's share wants.
        """
        absent = spooled(self._absent(split, seed))
        others = [spooled(task.examples(split, seed=seed)) for task in self.asked]
        places = joined([absent, *others])
        in_all = sum(self.kinds.values())
        for kind, weight in sorted(self.kinds.items()):
            pool = absent if kind == "absent" else places
            wanted = round(self.share * len(places) * weight / in_all)
            size = self._size(kind, pool, wanted, split)
            numbers = random_for(seed, self.name, split, kind)
            for at in numbers.sample(range(len(pool)), size):
                yield pool[at] if kind == "absent" else self._instead(pool[at], kind)

    def _size(self, kind: Unanswered, pool: Rows, wanted: int, split: Split) -> int:
        """Return how many to take; held-out texts are few, and what there is of them will do."""
        if wanted > len(pool) and split == "train":
            raise DataError(
                f"{self.name} wants {wanted} examples of kind {kind!r} to train on and can make "
                f"{len(pool)}. Give more texts or questions, a smaller `share`, or less of this "
                "kind in `kinds`."
            )
        return min(wanted, len(pool))

    def _instead(self, example: Example, kind: Unanswered) -> Example:
        """Return an example's question with no text behind its slots."""
        return replace(
            example,
            context=(),
            positions=tuple(range(len(example.positions))),
            answer=self.answer,
            task=f"{self.name}/{kind}",
            shown=kind,
        )

    def _absent(self, split: Split, seed: int) -> Iterator[Example]:
        """Yield every question about every text of one side."""
        for document in self.documents:
            if split_of(document.words, self.held_out_fraction) != split:
                continue
            context = encode(self.tokenizer, document.content)
            if len(context) > self.max_tokens:
                continue
            for question in self.questions:
                numbers = random_for(seed, self.name, question, document.source)
                for layers in self.layers.draw(numbers):
                    width = numbers.choice(self.widths)
                    yield Example(
                        context=context,
                        positions=label_window(len(context), width, numbers),
                        layers=layers,
                        question=question,
                        answer=self.answer,
                        task=f"{self.name}/absent",
                        source=document.source,
                    )
