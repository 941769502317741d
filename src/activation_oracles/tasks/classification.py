"""Examples from texts that are labelled, claimed or named something: yes/no and open questions.

As published, but for three defects. Sides are by content, so no text is in both. The label asked
about in a No question is drawn as labels occur; and within each label asked about, questions
answered Yes and No are made equally many, so nothing can be won by knowing which labels are rare.
With `compat` "paper" these three are as they were.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks.asking import AnyRow, Asker, Claim, Mention, Questions, Quota
from activation_oracles.tasks.config import Compat
from activation_oracles.tasks.sources import Row, as_user, encode
from activation_oracles.tasks.task import Split, random_for, split_of
from activation_oracles.tasks.windows import Layers, label_window
from activation_oracles.types import Example


@dataclass(frozen=True)
class Windowing:
    """One pass over the rows: how wide windows are, and how many questions each row gets."""

    max_width: int
    num_questions: int


PUBLISHED = (Windowing(max_width=1, num_questions=2), Windowing(max_width=50, num_questions=1))


@dataclass(frozen=True)
class Sides:
    """Which rows are for training and which are held out, and how many of each."""

    held_out_fraction: float = 0.02
    train_rows: int | None = None
    """Exactly so many rows; None takes all. 0 holds everything out."""
    held_out_rows: int | None = None
    """At most so many."""
    compat: Compat = "none"
    """`none`: by content. `paper`: by order after a shuffle of its own for each pass."""

    def choose(
        self, rows: Sequence[Row | Claim | Mention], split: Split, seed: int, names: tuple[str, str]
    ) -> tuple[list[int], int | None]:
        """Return the rows of one side in the order to take them, and how many to take.

        Args:
            rows: all rows.
            split: which side.
            seed: decides the order.
            names: of the task and of the pass; the order differs by pass with `paper` only.

        Raises:
            DataError: there are fewer rows than wanted.
        """
        wanted = self.train_rows if split == "train" else self.held_out_rows
        order = list(range(len(rows)))
        if self.compat == "paper":
            held = round(len(rows) * self.held_out_fraction)
            train = len(rows) - held if self.train_rows is None else self.train_rows
            held = held if self.held_out_rows is None else self.held_out_rows
            if train + held > len(rows):
                raise DataError(f"{names[0]} has {len(rows)} rows, not {train} + {held}.")
            random_for(seed, *names, "order").shuffle(order)
            return (order, train) if split == "train" else (order[::-1], held)
        if self.train_rows == 0:
            order = order if split == "held_out" else []
        else:
            fraction = self.held_out_fraction
            order = [at for at in order if split_of(rows[at].key, fraction) == split]
        if wanted is not None:
            random_for(seed, names[0], split, "rows").shuffle(order)
        return order, wanted


@dataclass(frozen=True)
class Classification(Generic[AnyRow]):
    """Examples from rows of one kind."""

    name: str
    """As `classification/sst2`."""
    rows: Sequence[AnyRow]
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    questions: Asker[AnyRow]
    windowing: tuple[Windowing, ...] = PUBLISHED
    max_tokens: int = 512
    """Longer texts are left out: cut, they would end where no text ends."""
    sides: Sides = Sides()

    def __post_init__(self) -> None:
        if not isinstance(self.questions, Questions):
            return
        labels = {row.label for row in self.rows if isinstance(row, Row)}
        known = self.questions.by_label
        missing = sorted(labels - set(known)) if known else []
        if missing or len(labels) < 2:
            raise ConfigError(
                f"{self.name} needs two labels or more, and questions for each; it has "
                f"{sorted(labels)}, and no questions for {missing or 'none'}."
            )

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples, row by row for each kind of window.

        Raises:
            DataError: there are fewer rows, or fewer questions of both answers, than wanted.
        """
        # Four bytes a token: of a large table these are the most that is held.
        contexts: dict[int, Sequence[int]] = {}
        for windowing in self.windowing:
            numbers = random_for(seed, self.name, str(windowing.max_width), split)
            rows, quota = self._kept(split, windowing, seed, contexts)
            # One more than wanted of each, so that evening out Yes and No leaves enough.
            more = quota.even and quota.num is not None
            slots = [at for at in rows for _ in range(windowing.num_questions + more)]
            known = {at: self.rows[at] for at in rows}
            asked = self.questions.ask([known[at] for at in slots], numbers, quota)
            if split == "train" and quota.num is not None and len(asked) < quota.num // 2 * 2:
                raise DataError(
                    f"{self.name} has {len(asked)} questions with as many Yes as No; {quota.num} "
                    "are wanted. Ask for fewer, or give texts whose labels are more even."
                )
            for slot, question, answer in asked:
                context = tuple(contexts[slots[slot]])
                for layers in self.layers.draw(numbers):
                    yield Example(
                        context=context,
                        positions=label_window(len(context), windowing.max_width, numbers),
                        layers=layers,
                        question=question,
                        answer=answer,
                        task=self.name,
                        source=known[slots[slot]].source,
                    )

    def _kept(
        self,
        split: Split,
        windowing: Windowing,
        seed: int,
        contexts: dict[int, Sequence[int]],
    ) -> tuple[list[int], Quota]:
        """Return the rows of one pass, and what is wanted of them; keep their contexts."""
        names = (self.name, str(windowing.num_questions))
        order, wanted = self.sides.choose(self.rows, split, seed, names)
        kept: list[int] = []
        for at in order:
            if wanted is not None and len(kept) == wanted:
                break
            if at not in contexts:
                words = as_user(self.tokenizer, self.rows[at].text)
                contexts[at] = array("i", encode(self.tokenizer, words))
            if len(contexts[at]) <= self.max_tokens:
                kept.append(at)
        if split == "train" and wanted is not None and len(kept) < wanted:
            raise DataError(
                f"{self.name} has {len(kept)} texts to train on, {wanted} are wanted. Hold out a "
                "smaller share, or ask for fewer."
            )
        num = None if wanted is None else len(kept) * windowing.num_questions
        return sorted(kept), Quota(num, even=self.sides.compat == "none")
