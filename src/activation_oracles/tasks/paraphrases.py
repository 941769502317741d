"""Any task's questions in several wordings, some of which are kept for evaluation only.

An oracle's answers agree across decodings and captures and hardly across wordings (.94, .93, .31 in
Stresskit's battery), so wordings are what training has to vary, and agreement across unseen ones
what an evaluation has to score.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from activation_oracles.errors import DataError
from activation_oracles.tasks.asking import YES_NO
from activation_oracles.tasks.tables import read_part
from activation_oracles.tasks.task import Split, Task, random_for, share_of
from activation_oracles.types import Example

GAP = "{}"
"""In a question and its wordings: whatever stands there, as a number or a label."""
REWORDED = "reworded"


@dataclass(frozen=True)
class Wordings:
    """What one question may also be called."""

    question: str
    training: tuple[str, ...]
    """The question itself is one of them."""
    held_out: tuple[str, ...]

    def __post_init__(self) -> None:
        wrong = [
            one
            for one in (*self.training, *self.held_out)
            if one.count(GAP) != self.question.count(GAP)
        ]
        if wrong or self.question.count(GAP) > 1:
            raise DataError(
                f"A question has {GAP} once or not, and each of its wordings as often; "
                f"{self.question!r} has {(wrong or [self.question])[0]!r}."
            )

    def filled(self, question: str) -> str | None:
        """Return what stands in the gap of a question that is this one; None for another."""
        pattern = re.escape(self.question).replace(re.escape(GAP), "(.*)")
        found = re.fullmatch(pattern, question, re.DOTALL)
        return None if found is None else found[1] if found.groups() else ""


@dataclass(frozen=True)
class Paraphrased:
    """A task whose questions are asked in several wordings.

    To train on, each example is asked in one of the training wordings. Of held-out examples each is
    asked in its own words, and once more in some of the wordings that were kept, under the task's
    name and `/reworded`.
    """

    task: Task
    wordings: Sequence[Wordings]
    file: str
    """Where they come from, for errors."""
    times: int = 1
    """In how many of its unseen wordings a held-out example is asked once more, at most."""
    covers_all: bool = True
    """Whether a question without other wordings is an error; otherwise it is asked as it is."""

    @property
    def name(self) -> str:
        """The task's own."""
        return self.task.name

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield the task's examples, reworded.

        Raises:
            DataError: a question has no other wordings, or none of those in the file is asked.
        """
        exact = {one.question: one for one in self.wordings if GAP not in one.question}
        gaps = [one for one in self.wordings if GAP in one.question]
        numbers = random_for(seed, self.name, "wordings", split)
        asked, known = False, False
        for example in self.task.examples(split, seed=seed):
            asked = True
            head = YES_NO if example.question.startswith(YES_NO) else ""
            bare = example.question.removeprefix(head)
            one = exact.get(bare) or next((w for w in gaps if w.filled(bare) is not None), None)
            if one is None:
                self._refuse(bare)
                yield example
                continue
            known = True
            said = one.filled(bare) or ""
            if split == "train":
                wording = numbers.choice(one.training)
                yield replace(example, question=head + wording.replace(GAP, said))
                continue
            yield example
            for wording in numbers.sample(one.held_out, min(self.times, len(one.held_out))):
                question = head + wording.replace(GAP, said)
                yield replace(example, question=question, task=f"{example.task}/{REWORDED}")
        if asked and not known and split == "train":
            raise DataError(
                f"{self.file} has other wordings for {self.wordings[0].question!r} and "
                f"{len(self.wordings) - 1} more questions, none of which {self.name} asks."
            )

    def _refuse(self, question: str) -> None:
        if self.covers_all:
            raise DataError(
                f"{self.name} asks {question!r}, for which {self.file} has no other wordings. Add "
                f"some ({GAP} stands for a number or a label), or set `paraphrases_cover: some`."
            )


def read_wordings(place: str, root: Path, held_out: float) -> tuple[Wordings, ...]:
    """Read other wordings of questions.

    Args:
        place: a JSON file of an object from a question to a list of wordings; behind a `#`, the
            part of it to take.
        root: what the file is relative to.
        held_out: share of each question's wordings that is kept for evaluation, chosen by a hash of
            their content; at least one where there are two or more and the share is not 0.

    Raises:
        DataError: the file is missing or has another form.
    """
    read = read_part(place, root)
    good = isinstance(read, dict) and read
    for wordings in read.values() if good else ():
        good = good and isinstance(wordings, list) and wordings
        good = good and all(isinstance(one, str) and one for one in wordings)
    if not good:
        raise DataError(
            f"{place} is no object from questions to lists of other wordings. Name the part to "
            "take behind a `#`, as `paraphrases.json#context_prediction`."
        )
    held: Mapping[str, Sequence[str]] = read
    return tuple(_wordings(question, some, held_out) for question, some in held.items())


def _wordings(question: str, others: Sequence[str], held_out: float) -> Wordings:
    distinct = [one for one in dict.fromkeys(others) if one != question]
    ordered = sorted(distinct, key=lambda one: share_of(one, "wording"))
    fewest = 1 if held_out and len(ordered) > 1 else 0
    count = max(fewest, round(held_out * len(ordered)))
    kept = set(ordered[:count])
    training = (question, *(one for one in distinct if one not in kept))
    return Wordings(question, training, tuple(one for one in distinct if one in kept))
