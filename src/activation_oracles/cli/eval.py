"""`ao eval`: an oracle's answers to held-out questions, beside controls and a linear probe."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

from activation_oracles.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from activation_oracles.evals.answerers import Read, Say, Vectors
    from activation_oracles.evals.evaluation import Answerer, Comparison, Record
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Activations, Example

FEW = 20
"""A task with at most so many different answers is a choice between them."""


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Score an oracle on questions whose answers are known, beside its controls.

    Every task is also put to the oracle with nothing, random directions or another text's
    activations in its slots, to the most frequent answer, and to the target itself in words. Tasks
    with few answers are put as a forced choice too, and to linear probes fitted on the training
    examples' same activations.
    """

    oracle: str
    """Folder or hub id of the oracle."""
    data: str
    """Folder made by `ao data build`, or a .jsonl or .parquet file of examples."""
    target: str | None = None
    """Folder or hub id of the model to read; by default the one that the oracle's card names."""
    split: Literal["held_out", "train"] = "held_out"
    """Which examples to score: `train` takes the rest, as where all of `data` is for testing."""
    training: str | None = None
    """Folder of the examples that probes are fitted to, and that say which answers a task has; by
    default `data`, whose training examples then serve."""
    limit: int = 1000
    """Examples of each task at most, drawn by the seed; 0 takes all."""
    in_words: bool = True
    """Ask the target itself in words, too."""
    max_new_tokens: int = 20
    """Length at which an answer is cut."""
    seed: int = 0
    """Decides which examples, random directions and donors."""
    attention: str | None = None
    """transformers' attention implementation; by default the architecture's own."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""
    store: str | None = None
    """Folder that keeps what is read, and is shared with `ao train --store`; by default nothing is
    kept."""
    store_gib: float | None = None
    """How large that folder may grow."""
    out: str | None = None
    """Folder for every answer (records.jsonl) and the table (table.json, table.md)."""
    json: bool = False
    """Print the table as JSON."""

    def run(self) -> None:
        """Print the table to stdout; progress goes to stderr."""
        from activation_oracles.evals.evaluation import compare, markdown, save, table

        records, about = self._evaluated()
        rows, gains = table(records), compare(records, "oracle")
        held = {
            "about": about,
            "rows": [asdict(row) for row in rows],
            "gains": [asdict(one) for one in gains],
        }
        as_json = json.dumps(held, indent=1)
        facts = "\n".join(f"- {name}: {value}" for name, value in about.items())
        as_text = f"{markdown(rows)}\n\n{told(gains)}\n\n{facts}"
        if self.out is not None:
            folder = Path(self.out)
            folder.mkdir(parents=True, exist_ok=True)
            save(records, folder / "records.jsonl")
            (folder / "table.json").write_text(as_json + "\n", encoding="utf-8")
            (folder / "table.md").write_text(as_text + "\n", encoding="utf-8")
        print(as_json if self.json else as_text)

    def _evaluated(self) -> "tuple[list[Record], dict[str, object]]":
        """Return every answer, and what was evaluated on what, by name and hash."""
        from activation_oracles.evals.answerers import Remembering
        from activation_oracles.evals.evaluation import run
        from activation_oracles.evals.grade import exact, token_f1
        from activation_oracles.models.target import Target
        from activation_oracles.oracle.oracle import Oracle

        examples = limited(readings(self.data, self.split), self.limit, self.seed)
        training = readings(self.training or self.data, "train")
        if not examples or not training:
            raise DataError(
                f"{self.data} has no {self.split} examples, or {self.training or self.data} none "
                "to fit probes to. Name another split, or a folder in `training`."
            )
        oracle = Oracle.from_pretrained(
            self.oracle, model=self.target, attention=self.attention, device=self.device
        )
        asking = Asking(
            oracle, Target(oracle.model), choices_of(training), self.max_new_tokens, self.seed
        )
        vectors = self._reader(asking, examples, training)
        records: list[Record] = []
        for closed, grade in ((True, exact), (False, token_f1)):
            asked = [one for one in examples if (one.task in asking.choices) == closed]
            read = Remembering(vectors)
            if asked:
                answerers = asking.oracles(read, closed=closed)
                answerers += asking.baselines(training, in_words=self.in_words)
                answerers += asking.probes(read, training, asked) if closed else []
                records += run(asked, answerers, grade, progress=_progress)
        return records, self._about(oracle)

    def _reader(
        self, asking: "Asking", examples: "Sequence[Example]", training: "Sequence[Example]"
    ) -> "Read":
        """Return what reads: the target, or a store, once it is known to have room."""
        from activation_oracles.models.store import GIB, ReadingStore

        if self.store is None:
            return asking.target.vectors
        store = ReadingStore(asking.target, self.store, max_gib=self.store_gib)
        size = store.expect([*examples, *asking.known(training)])
        print(f"{self.store} will grow by at most {size / GIB:.3g} GiB", file=sys.stderr)
        return store.vectors

    def _about(self, oracle: "Oracle") -> dict[str, object]:
        return {
            "oracle": self.oracle,
            "adapter": oracle.model.adapters.identity(oracle.adapter),
            "target": oracle.model.name,
            "fingerprint": oracle.model.fingerprint,
            "data": self.data,
            "split": self.split,
            "training": self.training or self.data,
            "limit": self.limit,
            "seed": self.seed,
            "version": version("activation-oracles"),
        }


@dataclass(frozen=True)
class Asking:
    """An oracle and its target, as the answerers of an evaluation."""

    oracle: "Oracle"
    target: "Target"
    choices: "Mapping[str, tuple[str, ...]]"
    """The answers to choose between, of each task that has few."""
    max_new_tokens: int
    seed: int

    def oracles(self, read: "Read", *, closed: bool) -> "list[Answerer]":
        """Return the oracle and its controls, answering freely and, where it can, by choice."""
        found = self._shown("oracle", read, self.say, partial(self.say, nothing=True))
        if closed:
            choose, blind = self.choose, partial(self.choose, nothing=True)
            found += self._shown("oracle, forced choice", read, choose, blind)
        return found

    def baselines(self, training: "Sequence[Example]", *, in_words: bool) -> "list[Answerer]":
        """Return who answers the same questions without activations."""
        from activation_oracles.baselines.majority import Majority
        from activation_oracles.baselines.prompting import Prompting

        found: list[Answerer] = [Majority(training)]
        if in_words:
            found.append(Prompting(self.target, max_new_tokens=self.max_new_tokens))
        return found

    def probes(
        self, read: "Read", training: "Sequence[Example]", asked: "Sequence[Example]"
    ) -> "list[Answerer]":
        """Return linear probes; none, and a word on it, where they could not answer everything."""
        from activation_oracles.baselines.linear_probe import LinearProbe, unknown

        known = self.known(training)
        if lost := unknown(asked, known):
            print(
                f"left out the linear probes: {len(lost)} of {len(asked)} questions have layers or "
                "a yes-or-no wording that no training example of their task has",
                file=sys.stderr,
            )
            return []
        print(f"fitting linear probes to {len(known)} training examples", file=sys.stderr)
        return [LinearProbe(read, "mean").fit(known), LinearProbe(read, "last").fit(known)]

    def known(self, training: "Sequence[Example]") -> "list[Example]":
        """Return the examples that probes are fitted to: those of tasks with few answers."""
        return [one for one in training if one.task in self.choices]

    def say(
        self, examples: "Sequence[Example]", vectors: "Vectors", *, nothing: bool = False
    ) -> list[str]:
        """Let the oracle answer greedily; with `nothing` in the slots, not even the vectors."""
        shown = [None] * len(examples) if nothing else vectors
        return self.oracle.answer(examples, shown, max_new_tokens=self.max_new_tokens)

    def choose(
        self, examples: "Sequence[Example]", vectors: "Vectors", *, nothing: bool = False
    ) -> list[str]:
        """Let the oracle choose between the answers that its task knows, wording by wording."""
        from activation_oracles.oracle.controls import Nothing

        rows: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for index, one in enumerate(examples):
            rows[one.task, one.question].append(index)
        controls = [Nothing()] if nothing else []
        said: dict[int, str] = {}
        for (task, question), indices in rows.items():
            readings = [
                reading_of(self.target, examples[index], vectors[index]) for index in indices
            ]
            chosen = self.oracle.choose(readings, question, self.choices[task], controls=controls)
            assert isinstance(chosen, list)
            for index, answer in zip(indices, chosen, strict=True):
                said[index] = answer.controls["nothing"].text if nothing else answer.text
        return [said[index] for index in range(len(examples))]

    def _shown(self, name: str, read: "Read", say: "Say", blind: "Say") -> "list[Answerer]":
        from activation_oracles.evals.answerers import Donors, RandomDirections, Shown

        return [
            Shown(name, None, read, say),
            Shown(name, "nothing", read, blind),
            Shown(name, "random", RandomDirections(read, self.seed), say),
            Shown(name, "donor", Donors(read, self.seed), say),
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


def told(gains: "Sequence[Comparison]") -> str:
    """Return how much better the oracle did than everyone else, as a table for people."""
    lines = [
        "| task | oracle's gain over | control | gain | 95 % | n |",
        "|---|---|---|---|---|---|",
    ]
    for one in gains:
        gain = one.gain
        lines.append(
            f"| {one.task} | {one.other} | {one.other_control or '-'} | {gain.score:+.3f} "
            f"| {gain.low:+.3f} to {gain.high:+.3f} | {gain.num_answers} |"
        )
    return "\n".join(lines)


def _progress(answerers: "Sequence[Answerer]") -> "Iterable[Answerer]":
    from tqdm import tqdm

    bar = tqdm(answerers, file=sys.stderr, unit="answerer")
    for answerer in bar:
        bar.set_description(
            f"{answerer.name}, {answerer.control}" if answerer.control else answerer.name
        )
        yield answerer
