"""What an evaluation is: rows, what counts as right, and between which answers to choose.

One file makes one. It is given subjects, prompts or the folder they lie in, layers and positions;
who answers, and under which controls, is the same for all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.evaluation import Record, Row
from activation_oracles.evals.grade import Grade, contains
from activation_oracles.evals.subjects import BASE, Subject
from activation_oracles.evals.suites.passages import Passage
from activation_oracles.evals.suites.talks import Choice, Opinion, Problem, Told
from activation_oracles.models.positions import Selector
from activation_oracles.models.target import Target
from activation_oracles.tasks import store
from activation_oracles.types import READING, Example

_Item = TypeVar("_Item")
PUBLISHED_TASKS = tuple(
    "geometry_of_truth relations sst2 md_gender snli ner tense context_prediction".split()
)
"""Tasks that published oracles were trained on (arXiv 2512.15674); others are to them unseen."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What evaluations have to work with."""

    subjects: tuple[Subject, ...] = ()
    """Models under study; evaluations take those of their kind."""
    files: Path | None = None
    """Folder of the evaluation's own files: prompts, persons, texts."""
    layers: tuple[int, ...]
    """Where is read; several are shown together."""
    at: Selector = "all"
    """Which tokens are shown, as `Target.read` takes them: `-1` for one token of a prompt, the
    slice `-10:` for the published segment."""
    reply: bool = False
    """Let the subject reply to each prompt first, greedily, and read the talk with its reply."""
    prompts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Prompts by the name of their file, as `taboo_standard`; files are read for the others."""
    questions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Wordings by what they ask for, as `word`; instead of the evaluation's own."""
    examples: Callable[[], Sequence[Example]] | None = None
    """Draws labelled texts; instead of the held-out examples of a folder named as `files`."""
    passages: Callable[[], Sequence[Passage]] | None = None
    """Draws texts with a question on each; instead of those in `files`."""
    problems: Callable[[], Sequence[Problem]] | None = None
    """Draws problems that a subject solves in steps; instead of those in `files`."""
    dialogues: Callable[[], Sequence[Told]] | None = None
    """Draws dialogues in which something is told; instead of those in `files`."""
    decisions: Callable[[], Sequence[Choice]] | None = None
    """Draws talks in which a subject does one of several things; instead of those in `files`."""
    tools: Callable[[], Sequence[Choice]] | None = None
    """Draws talks in which a subject may call a tool; instead of those in `files`."""
    opinions: Callable[[], Sequence[Opinion]] | None = None
    """Draws what users think and ask a subject; instead of claims, asserted and denied."""
    trained: tuple[str, ...] = PUBLISHED_TASKS
    """How the names of the tasks begin that the oracle was trained on; by default, as published."""
    overlap: tuple[str, ...] = ()
    """Further rules, of `GRADES`, that open answers are judged by: `rouge_l`, `chrf`."""
    split: str = "test"
    """Which of the prompt files are read, as `taboo_standard_test.txt`."""
    limit: int = 100
    """Prompts or texts at most, of each subject; 0 takes all."""
    seed: int = 0

    def of_kind(self, *kinds: str) -> tuple[Subject, ...]:
        """Return the subjects of these kinds.

        Raises:
            ConfigError: there are none.
        """
        found = tuple(one for one in self.subjects if one.kind in kinds)
        if not found:
            raise ConfigError(
                f"This evaluation needs subjects of kind {' or '.join(kinds)}, and there are "
                f"{sorted({one.kind for one in self.subjects}) or 'none'}. Name some in a file "
                "for `subjects`."
            )
        return found

    def file(self, name: str) -> Path:
        """Return a file of the evaluation's own.

        Raises:
            DataError: no folder was given, or it has no such file.
        """
        if self.files is None:
            raise DataError(f"This evaluation reads {name}: name the folder it lies in as `files`.")
        found = self.files / name
        if not found.is_file():
            raise DataError(f"{self.files} has no {name}, which this evaluation reads.")
        return found

    def prompts_of(self, name: str) -> list[str]:
        """Return the prompts of a name: those given, or the lines of its file.

        Raises:
            DataError: there are none.
        """
        if name in self.prompts:
            found = list(self.prompts[name])
        else:
            path = self.file(f"{name}_{self.split}.txt")
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [line.strip() for line in lines if line.strip()]
        return self.limited(found)

    def labelled(self) -> list[Example]:
        """Return labelled texts: those drawn, or the held-out examples of the folder `files`.

        Raises:
            DataError: there are none, or the folder holds no examples.
        """
        if self.examples is not None:
            return list(self.examples())
        if self.files is None:
            raise DataError(
                "This evaluation asks about labelled texts: name a folder that `ao data build` "
                "made, or a file of examples, as `files`."
            )
        found = [one for one in store.read(self.files, "held_out") if one.shown == READING]
        if not found:
            raise DataError(f"{self.files} has no held-out examples that show a reading.")
        return found

    def is_trained(self, task: str) -> bool:
        """Tell whether the oracle was trained on a task, by how its name begins."""
        return task.removeprefix("classification/").startswith(self.trained)

    def limited(self, found: Sequence[_Item]) -> list[_Item]:
        """Return at most `limit` of them, drawn by the seed, in their order."""
        if not 0 < self.limit < len(found):
            return list(found)
        kept = sorted(Random(self.seed).sample(range(len(found)), self.limit))
        return [found[index] for index in kept]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Rows, what counts as right, and between which answers to choose."""

    name: str
    about: str
    """What it measures and where it comes from, in a sentence."""
    subjects: tuple[Subject, ...]
    """The models under study that its rows are read from, beside the one without an adapter."""
    rows: Callable[[Mapping[str, Target]], Sequence[Case]]
    """Draws the rows; gets the subjects by name, `BASE` among them."""
    grade: Grade | Mapping[str, Grade]
    """One rule for all, or one for each task."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The answers of each task that has few: those are put as a forced choice, too."""
    made: Callable[[Target], Mapping[str, Target]] | None = None
    """Makes further subjects of the model without an adapter, by name, as steered ones."""
    grade_in_words: Grade | Mapping[str, Grade] = contains
    """The rule for what a subject says when asked in words, in a sentence as like as not."""
    in_words_only: bool = False
    """Whether subjects alone are asked, each question by itself, and no oracle."""
    of_difference: bool = False
    """Whether what is read is the difference of each subject from its base."""
    further: Callable[[Sequence[Record]], Sequence[Record]] | None = None
    """Draws further rows of the table from what was answered, as whether two answers are one."""
    layout: Callable[[Sequence[Row]], str] | None = None
    """Writes the table once more, in markdown, as the evaluation's own publication has it."""

    def drawn(self, targets: Mapping[str, Target]) -> list[Case]:
        """Return the rows.

        Raises:
            DataError: there are none.
        """
        assert BASE in targets, "the model without an adapter is a subject of every evaluation"
        rows = list(self.rows(targets))
        if not rows:
            raise DataError(f"The evaluation {self.name!r} has no rows with what it was given.")
        return rows
