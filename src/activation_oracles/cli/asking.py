"""Examples put to an oracle, as `ao eval`, `ao depth` and `ao calibrate` do: which, and by whom."""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from activation_oracles.evals.answerers import Read, Say, Vectors
    from activation_oracles.evals.evaluation import Answerer
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Activations, Example

FEW = 20
"""A task with at most so many different answers is a choice between them."""
BACKGROUND = 64
"""Training examples that a lens takes for what comes everywhere."""


@dataclass(frozen=True)
class Asking:
    """An oracle and its target, as the answerers of an evaluation."""

    oracle: "Oracle"
    targets: "Mapping[str, Target]"
    """The models that are read, by subject's name; the empty name is the one without an adapter, or
    whatever is read where examples name no subject."""
    choices: "Mapping[str, tuple[str, ...]]"
    """The answers to choose between, of each task that has few."""
    max_new_tokens: int
    seed: int
    donors_differ: bool = False
    """Whether only texts with another answer lend their activations."""
    abstainer: "Oracle | None" = None
    """Another oracle, which says where there is no answer."""

    @property
    def target(self) -> "Target":
        """What is read where an example names no subject."""
        return self.targets[""]

    def oracles(self, read: "Read", *, closed: bool) -> "list[Answerer]":
        """Return the oracle and its controls, answering freely and, where it can, by choice."""
        found = self._shown("oracle", read, self.say, partial(self.say, nothing=True))
        if closed:
            choose, blind = self.choose, partial(self.choose, nothing=True)
            found += self._shown("oracle, forced choice", read, choose, blind)
        if self.abstainer is not None:
            say, blind = self.say_unless, partial(self.say_unless, nothing=True)
            found += self._shown("oracle, with abstainer", read, say, blind)
        return found

    def baselines(self, training: "Sequence[Example]", *, in_words: bool) -> "list[Answerer]":
        """Return who answers the same questions without activations."""
        from activation_oracles.baselines.majority import Majority
        from activation_oracles.baselines.prompting import Prompting

        found: list[Answerer] = [Majority(training)]
        if in_words:
            found.append(Prompting(self.target, max_new_tokens=self.max_new_tokens))
        return found

    def lenses(
        self, read: "Read", background: "Sequence[Example]", *, closed: bool
    ) -> "list[Answerer]":
        """Return the ways to read vectors that need no training, and to ask more insistently.

        Where the target is an organism, they include what tells it from its base, and the base.
        """
        from activation_oracles.baselines.prompting import BEGUN, Prompting
        from activation_oracles.models.target import Target

        target, length = self.target, self.max_new_tokens
        bare = Target(target.model)
        found = self.readers(target, read, background, closed=closed)
        found.append(Prompting(target, length, begun=BEGUN))
        found.append(Prompting(target, length, shows_text=False))
        if target.adapter is not None:
            found.append(self.difference_lens(read, bare.vectors, background, closed=closed))
            found.append(Prompting(bare, length, who="base"))
        return found

    def readers(
        self, target: "Target", read: "Read", background: "Sequence[Example]", *, closed: bool
    ) -> "list[Answerer]":
        """Return the ways to read vectors that need no training, with the head of `target`."""
        from activation_oracles.baselines.logit_lens import LogitLens
        from activation_oracles.baselines.patchscopes import IDENTITY, SELFIE, Patchscopes

        choices = self.choices if closed else {}
        return [
            LogitLens(target, read, choices),
            LogitLens(target, read, choices, background),
            Patchscopes(target, read, IDENTITY, choices, self.max_new_tokens),
            Patchscopes(target, read, SELFIE, choices, self.max_new_tokens),
        ]

    def difference_lens(
        self, after: "Read", before: "Read", texts: "Sequence[Example]", *, closed: bool
    ) -> "Answerer":
        """Return who says what one organism adds to its base over these texts."""
        from activation_oracles.baselines.difference_lens import DifferenceLens
        from activation_oracles.models.target import Target

        bare = Target(self.target.model)
        return DifferenceLens(bare, after, before, texts, self.choices if closed else {})

    def probes(
        self, read: "Read", training: "Sequence[Example]", asked: "Sequence[Example]"
    ) -> "list[Answerer]":
        """Return probes; none, and a word on it, where they could not answer everything."""
        from activation_oracles.baselines.probe import Fitting, Probe, check_fitting, unknown

        known = self.known(training)
        if lost := unknown(asked, known):
            print(
                f"left out the probes: {len(lost)} of {len(asked)} questions have layers or "
                "a yes-or-no wording that no training example of their task has",
                file=sys.stderr,
            )
            return []
        check_fitting()
        print(f"probes are fitted to {len(known)} training examples", file=sys.stderr)
        found = [
            Probe("linear probe", read, "mean"),
            Probe("linear probe", read, "last"),
            Probe("nearest neighbours", read, "mean"),
        ]
        # Not yet: of a run that goes on they may have answered.
        return [Fitting(probe, known) for probe in found]

    def cross_fitted(self, read: "Read") -> "list[Answerer]":
        """Return probes for rows that have no training rows beside them."""
        from activation_oracles.baselines.cross_fitted import CrossFitted
        from activation_oracles.baselines.probe import Probe, check_fitting
        from activation_oracles.evals.cases import unit_of

        check_fitting()
        return [
            CrossFitted(Probe("linear probe", read, "mean", self.seed), unit_of),
            CrossFitted(Probe("linear probe", read, "last", self.seed), unit_of),
            CrossFitted(Probe("nearest neighbours", read, "mean", self.seed), unit_of),
        ]

    def known(self, training: "Sequence[Example]") -> "list[Example]":
        """Return the examples that probes are fitted to: those of tasks with few answers."""
        return [one for one in training if one.task in self.choices]

    def say(
        self, examples: "Sequence[Example]", vectors: "Vectors", *, nothing: bool = False
    ) -> list[str]:
        """Let the oracle answer greedily; with `nothing` in the slots, not even the vectors."""
        shown = [None] * len(examples) if nothing else vectors
        return self.oracle.answer(examples, shown, max_new_tokens=self.max_new_tokens)

    def say_unless(
        self, examples: "Sequence[Example]", vectors: "Vectors", *, nothing: bool = False
    ) -> list[str | None]:
        """As `say`; None where the abstainer finds no answer, which is neither right nor wrong."""
        assert self.abstainer is not None, "nobody abstains"
        shown = [None] * len(examples) if nothing else vectors
        said = self.say(examples, vectors, nothing=nothing)
        both = self.oracle.with_abstainer(self.abstainer)
        refused = both.refusals(examples, shown, said)
        return [
            text if refusal is None else None for text, refusal in zip(said, refused, strict=True)
        ]

    def choose(
        self, examples: "Sequence[Example]", vectors: "Vectors", *, nothing: bool = False
    ) -> list[str]:
        """Let the oracle choose between the answers that its task knows, task by task."""
        from activation_oracles.evals.cases import subject_of

        rows: defaultdict[str, list[int]] = defaultdict(list)
        for index, one in enumerate(examples):
            rows[one.task].append(index)
        said: dict[int, str] = {}
        for task, indices in rows.items():
            readings = [
                reading_of(self.targets[subject_of(examples[row])], examples[row], vectors[row])
                for row in indices
            ]
            asked = [examples[row].question for row in indices]
            choose = self.oracle.choose_blind if nothing else self.oracle.choose
            chosen = choose(readings, asked, self.choices[task])
            assert isinstance(chosen, list)
            said.update(zip(indices, (one.text for one in chosen), strict=True))
        return [said[index] for index in range(len(examples))]

    def of_subjects(self, own: "Read", base: "Read", *, closed: bool) -> "list[Answerer]":
        """Return what subjects other than the base add: their difference from it, and it alone."""
        from activation_oracles.evals.answerers import Shown
        from activation_oracles.evals.subjects import Difference

        ways = [("oracle", self.say)]
        ways += [("oracle, forced choice", self.choose)] if closed else []
        return [
            one
            for name, say in ways
            for one in (
                Shown(name, "base", base, say),
                Shown(f"{name}, of the difference", None, Difference(own, base), say),
            )
        ]

    def of_differences(self, own: "Read", base: "Read", *, closed: bool) -> "list[Answerer]":
        """Return who reads what subjects add to the base; beside the controls, either alone."""
        from activation_oracles.evals.answerers import Remembering, Shown
        from activation_oracles.evals.subjects import Difference

        found = self.oracles(Remembering(Difference(own, base)), closed=closed)
        ways = [("oracle", self.say)]
        ways += [("oracle, forced choice", self.choose)] if closed else []
        for name, say in ways:
            found.append(Shown(name, "base", base, say))
            found.append(Shown(f"{name}, of the subject itself", None, own, say))
        return found

    def _shown(self, name: str, read: "Read", say: "Say", blind: "Say") -> "list[Answerer]":
        from activation_oracles.evals.answerers import Donors, Lent, RandomDirections, Shown

        donors = Donors(read, self.seed, other_answer=self.donors_differ)
        return [
            Shown(name, None, read, say),
            Shown(name, "nothing", read, blind),
            Shown(name, "random", RandomDirections(read, self.seed), say),
            Lent(name, "donor", donors, say),
        ]


def reading_of(target: "Target", example: "Example", vectors: "Tensor") -> "Activations":
    """Return what was read for an example as a reading, without the words of its tokens."""
    from activation_oracles.types import Activations

    layers = tuple(layer for layer in example.layers for _ in example.positions)
    positions = example.positions * len(example.layers)
    words = ("",) * len(example.context)
    provenance = target.provenance
    return Activations(vectors, layers, positions, example.context, words, words, provenance)


def readings(source: str, split: 'Literal["held_out", "train"]') -> "Sequence[Example]":
    """Return the examples of a split that show what the target reads, and say how many do not."""
    from activation_oracles.tasks import store
    from activation_oracles.types import READING

    found = store.read(source, split)
    kept = [number for number, one in enumerate(found) if one.shown == READING]
    if len(kept) < len(found):
        without = len(found) - len(kept)
        print(f"left out {without} {split} examples that show no reading", file=sys.stderr)
    return found.picked(kept)


def background_of(
    training: "Sequence[Example]", asked: "Sequence[Example]", seed: int
) -> "list[Example]":
    """Return some training texts, drawn by the seed, to be read at all layers that are asked."""
    layers = tuple(sorted({layer for one in asked for layer in one.layers}))
    drawn = Random(f"{seed} background").sample(
        range(len(training)), min(BACKGROUND, len(training))
    )
    return [replace(training[index], layers=layers) for index in drawn]


def choices_of(training: "Sequence[Example]") -> dict[str, tuple[str, ...]]:
    """Return the answers of each task that has between two and `FEW` different ones, sorted."""
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for one in training:
        answers[one.task].add(one.answer)
    return {task: tuple(sorted(some)) for task, some in answers.items() if 2 <= len(some) <= FEW}


def limited(examples: "Sequence[Example]", limit: int, seed: int) -> "list[Example]":
    """Return at most `limit` examples of each task, drawn by the seed; all where it is 0."""
    by_task: defaultdict[str, list[Example]] = defaultdict(list)
    for one in examples:
        by_task[one.task].append(one)
    return [
        one
        for task, some in sorted(by_task.items())
        for one in (Random(f"{seed} {task}").sample(some, limit) if 0 < limit < len(some) else some)
    ]
