"""Yes/no and open questions about a text's label, from any labelled table.

As published, but for three defects. Sides are by content, so no text is in both. The label asked
about in a No question is drawn as labels occur; and within each label asked about, questions
answered Yes and No are made equally many, so nothing can be won by knowing which labels are rare.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError
from activation_oracles.tasks.sources import Row, as_user, encode
from activation_oracles.tasks.task import Split, random_for, split_of
from activation_oracles.tasks.windows import Layers, label_window
from activation_oracles.types import Example

YES_NO = "Answer with 'Yes' or 'No' only. "


@dataclass(frozen=True)
class Questions:
    """The wordings of a classification."""

    about_label: Sequence[str] = ()
    """Yes/no questions with `{}` where the label goes, as `Is this sentence in the {} tense?`."""
    by_label: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Yes/no questions for each label, as `Is this a positive review?`; used instead."""
    open: Sequence[str] = ()
    """Questions whose answer is the label itself."""

    def __post_init__(self) -> None:
        wrong = [one for one in self.about_label if "{}" not in one]
        if wrong:
            raise ConfigError(
                f"Yes/no questions hold {{}} where the label goes; {wrong[0]!r} does not. "
                "Wordings that differ by label are a mapping from the label to its questions."
            )
        if not (self.about_label or self.by_label or self.open):
            raise ConfigError("A classification needs yes/no questions or open ones.")

    def yes_no(self, label: str, numbers: Random) -> str:
        """Draw a question that is answered Yes for `label`."""
        wordings = self.by_label[label] if self.by_label else self.about_label
        return YES_NO + numbers.choice(list(wordings)).replace("{}", label)


@dataclass(frozen=True)
class Windowing:
    """One pass over the rows: how wide windows are, and how many questions each row gets."""

    max_width: int
    num_questions: int


PUBLISHED = (Windowing(max_width=1, num_questions=2), Windowing(max_width=50, num_questions=1))


@dataclass(frozen=True)
class Classification:
    """Examples from the rows of a table."""

    name: str
    """As `classification/sst2`."""
    rows: Sequence[Row]
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    questions: Questions
    windowing: tuple[Windowing, ...] = PUBLISHED
    max_tokens: int = 512
    """Longer texts are left out: cut, they would end where no text ends."""
    held_out_fraction: float = 0.02

    def __post_init__(self) -> None:
        labels = {row.label for row in self.rows}
        missing = sorted(labels - set(self.questions.by_label)) if self.questions.by_label else []
        if missing or len(labels) < 2:
            raise ConfigError(
                f"{self.name} needs two labels or more, and questions for each; it has "
                f"{sorted(labels)}, and no questions for {missing or 'none'}."
            )

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples, row by row for each kind of window."""
        rows = [row for row in self.rows if split_of(row.text, self.held_out_fraction) == split]
        contexts = [self._context(row) for row in rows]
        kept = [index for index, context in enumerate(contexts) if len(context) <= self.max_tokens]
        for windowing in self.windowing:
            numbers = random_for(seed, self.name, str(windowing.max_width), split)
            for index, question, answer in self._asked(rows, kept, windowing, numbers):
                for layers in self.layers.draw(numbers):
                    context = contexts[index]
                    positions = label_window(len(context), windowing.max_width, numbers)
                    yield Example(
                        context=context,
                        positions=positions,
                        layers=layers,
                        question=question,
                        answer=answer,
                        task=self.name,
                        source=rows[index].source,
                    )

    def _context(self, row: Row) -> tuple[int, ...]:
        return encode(self.tokenizer, as_user(self.tokenizer, row.text))

    def _asked(
        self, rows: Sequence[Row], kept: Sequence[int], windowing: Windowing, numbers: Random
    ) -> list[tuple[int, str, str]]:
        """Return which row is asked what, with the answer."""
        asked: list[tuple[int, str, str]] = []
        slots = [index for index in kept for _ in range(windowing.num_questions)]
        if self.questions.open:
            asked += [
                (index, numbers.choice(list(self.questions.open)), rows[index].label)
                for index in slots
            ]
        if self.questions.about_label or self.questions.by_label:
            labels = [rows[index].label for index in slots]
            asked += [
                (slots[at], self.questions.yes_no(label, numbers), answer)
                for at, label, answer in balanced(labels, numbers)
            ]
        return asked


def balanced(labels: Sequence[str], numbers: Random) -> list[tuple[int, str, str]]:
    """Ask about each row's own label or another, with as many Yes as No for each label asked.

    Returns:
        The row's index, the label asked about, and Yes or No; rows in surplus are left out.
    """
    sides: dict[str, dict[str, list[int]]] = {
        label: {"Yes": [], "No": []} for label in sorted(set(labels))
    }
    others = {own: [label for label in labels if label != own] for own in sides}
    for index, own in enumerate(labels):
        if numbers.random() < 0.5 or not others[own]:
            sides[own]["Yes"].append(index)
        else:
            sides[numbers.choice(others[own])]["No"].append(index)
    chosen = []
    for label, by_answer in sides.items():
        size = min(map(len, by_answer.values()))
        for answer, indices in by_answer.items():
            chosen += [(index, label, answer) for index in numbers.sample(indices, size)]
    return sorted(chosen)
