"""Always say what was true most often in training: what the question alone gives away."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from activation_oracles.errors import DataError
from activation_oracles.types import Example


class Majority:
    """Answers with the most frequent training answer to the same question, else of the task.

    A control: it looks at no activations, so an answerer that is no better has read nothing.
    """

    name = "most frequent answer"
    control: str | None = "no activations"

    def __init__(self, examples: Sequence[Example]) -> None:
        """Count the answers of `examples`, the training ones.

        Raises:
            DataError: there are none.
        """
        if not examples:
            raise DataError("The most frequent answer needs training examples to count.")
        counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for one in examples:
            for key in ((one.task, one.question), (one.task,), ()):
                counts[key][one.answer] += 1
        self._answers = {key: counter.most_common(1)[0][0] for key, counter in counts.items()}

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return one answer an example."""
        return [self._said(one.task, one.question) for one in examples]

    def _said(self, task: str, question: str) -> str:
        for key in ((task, question), (task,)):
            if key in self._answers:
                return self._answers[key]
        return self._answers[()]
