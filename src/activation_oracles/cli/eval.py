"""`ao eval`: an oracle's answers to held-out questions, beside controls and a linear probe."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from activation_oracles.cli.asking import (
    Asking,
    background_of,
    choices_of,
    limited,
    readings,
)
from activation_oracles.cli.limits import check_limit
from activation_oracles.cli.sae import explained
from activation_oracles.cli.suite_answerers import Asked, about
from activation_oracles.cli.suites import SUITES, Suites, check_names, make
from activation_oracles.errors import ConfigError, DataError

if TYPE_CHECKING:
    from activation_oracles.baselines.sae_features import Dictionary
    from activation_oracles.evals.answerers import Read
    from activation_oracles.evals.evaluation import Answerer
    from activation_oracles.evals.running import Part
    from activation_oracles.evals.suite import Evaluation
    from activation_oracles.evals.summary import Summary
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Example


@dataclass(frozen=True, kw_only=True)
class Eval(Suites):
    """Score an oracle on questions whose answers are known, beside its controls.

    On examples (`--data`): every task is also put to the oracle with nothing, random directions or
    another text's activations in its slots, to the most frequent answer, and to the target itself
    in words. Tasks with few answers are put as a forced choice too, and to linear probes fitted on
    the training examples' same activations.

    Or by the name of an evaluation (`--suite taboo`), on models that hide something (`--subjects`),
    or on the village's where no oracle is named: beside the controls above, the base model's
    activations of the same text, and what the model adds to them.
    """

    oracle: str | None = None
    """Folder or hub id of the oracle; with `suite`, by default the village's."""
    data: str | None = None
    """Folder made by `ao data build`, or a .jsonl or .parquet file of examples."""
    target: str | None = None
    """Folder or hub id of the model to read; by default the one that the oracle's card names."""
    split: Literal["held_out", "train"] = "held_out"
    """Which examples to score: `train` takes the rest, as where all of `data` is for testing."""
    training: str | None = None
    """Folder of the examples that probes are fitted to, and that say which answers a task has; by
    default `data`, whose training examples then serve."""
    limit: int | None = None
    """Examples of each task at most (by default 1000), or prompts of each subject (by default 100),
    drawn by the seed; 0 takes all."""
    in_words: bool = True
    """Ask the target itself in words, too."""
    lenses: bool = False
    """Add the baselines that need no training: logit lens, tuned token list, Patchscopes, SelfIE,
    and the target asked in words with its reply begun or without the text. They take their time."""
    blindspots: Literal["task", "answer"] | None = None
    """Say of each task, or of each true answer, at each choice of layers whether the oracle reads
    it, leaves it unread, or nothing is there that a linear probe finds."""
    max_new_tokens: int = 20
    """Length at which an answer is cut."""
    seed: int = 0
    """Decides which examples, random directions and donors."""
    quantize: Literal["8bit", "4bit"] | None = None
    """Load the weights in 8 or 4 bits, through bitsandbytes."""
    attention: str | None = None
    """transformers' attention implementation; by default the architecture's own."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = None
    """Instead of a device: spread over all that there are, then main memory, then disk."""
    store: str | None = None
    """Folder that keeps what is read, and is shared with `ao train --store`; by default nothing is
    kept."""
    store_gib: float | None = None
    """How large that folder may grow."""
    out: str | None = None
    """Folder for settings, every answer and the table. A run that was stopped goes on there."""
    inspect: str | None = None
    """Folder for logs that inspect_ai's viewer opens (extra `inspect`): one for each line of the
    table, with every row."""
    json: bool = False
    """Print the table as JSON."""

    def run(self) -> None:
        """Print the table to stdout; progress goes to stderr.

        Raises:
            ConfigError: neither examples nor evaluations are named, or both.
            OracleError: something is missing, malformed, or does not belong to the rest.
        """
        if (self.data is None) == (not self.suite):
            raise ConfigError(
                "Give either `data`, examples to score, or `suite`, evaluations by name: "
                f"{', '.join(sorted(SUITES))}."
            )
        check_limit(self.limit or 0)
        if self.inspect is not None:
            from activation_oracles.evals.inspect_tasks import check_inspect

            check_inspect()
        if self.blindspots is not None and self.data is None and not self.probes:
            raise ConfigError("Blind spots need probes: of evaluations by name give `--probes`.")
        # Files first: what is wrong with them should not wait for a model.
        dictionary = self.dictionary()
        found = (
            [self._evaluated(dictionary)]
            if self.data is not None
            else list(self._suites(dictionary))
        )
        if self.json:
            print(found[0].as_json() if len(found) == 1 else _together(found))
        else:
            from activation_oracles.evals.rivals import markdown

            tables = [one.as_markdown() for one in found]
            # Over all evaluations, where there are several: for which does the oracle beat asking?
            over_all = [markdown([one for some in found for one in some.rivals])]
            print("\n\n".join(filter(None, tables + (over_all if len(found) > 1 else []))))

    def _suites(self, dictionary: "Dictionary | None") -> "Iterator[Summary]":
        """Run the evaluations that are named, one after the other, each in its own folder."""
        check_names(self.suite)
        oracle, given = self.opened(self.oracle, self._load, self.limit, self.seed)
        made = [make(name, given) for name in self.suite]
        without = [one.name for one in made if not one.choices]
        if self.blindspots is not None and without:
            raise ConfigError(f"Blind spots need probes, and no task of {without} has few answers.")
        how = (self.max_new_tokens, self.seed, self.in_words, self.lenses, self.probes)
        abstainer = self.abstaining(oracle, is_village=self.oracle is None)
        asked = Asked(oracle, *how, dictionary, abstainer)
        for evaluation in made:
            targets = asked.targets(evaluation)
            facts = about(evaluation, given, asked, targets) | self.of_sae()
            parts = asked.parts(evaluation, evaluation.drawn(targets), targets)
            folder = None if self.out is None else Path(self.out) / evaluation.name
            yield self._summed(parts, folder, facts, evaluation)

    def _summed(
        self,
        parts: "Sequence[Part]",
        folder: Path | None,
        facts: "Mapping[str, object]",
        evaluation: "Evaluation | None" = None,
    ) -> "Summary":
        from activation_oracles.evals.blindspots import CONCEPTS, blind_spots
        from activation_oracles.evals.running import answered
        from activation_oracles.evals.summary import summary

        said = answered(parts, folder=folder, about=facts, progress=progress)
        if evaluation is not None and evaluation.further is not None:
            said += evaluation.further(said)
        found = summary(said, facts, evaluation.layout if evaluation else None)
        if self.blindspots is not None:
            spots = blind_spots(said, concept=CONCEPTS[self.blindspots])
            found = replace(found, blind_spots=spots)
        if folder is not None:
            found.save(folder)
        if self.inspect is not None:
            from activation_oracles.evals.inspect_tasks import write_logs

            write_logs(said, Path(self.inspect), facts)
        return found

    def _load(self, source: str) -> "Oracle":
        from activation_oracles.oracle.oracle import Oracle

        return Oracle.from_pretrained(
            source,
            model=self.target,
            attention=self.attention,
            device=self.device,
            device_map=self.device_map,
            quantize=self.quantize,
        )

    def _evaluated(self, dictionary: "Dictionary | None") -> "Summary":
        from activation_oracles.models.target import Target

        assert self.data is not None, "an evaluation by name has no examples"
        if self.oracle is None:
            raise ConfigError("Name the oracle that is scored: a folder or hub id, as `oracle`.")
        limit = 1000 if self.limit is None else self.limit
        examples = limited(readings(self.data, self.split), limit, self.seed)
        training = readings(self.training or self.data, "train")
        if not examples or not training:
            raise DataError(
                f"{self.data} has no {self.split} examples, or {self.training or self.data} none "
                "to fit probes to. Name another split, or a folder in `training`."
            )
        oracle = self._load(self.oracle)
        targets = {"": Target(oracle.model)}
        asking = Asking(
            oracle,
            targets,
            choices_of(training),
            self.max_new_tokens,
            self.seed,
            abstainer=self.abstaining(oracle),
        )
        folder = None if self.out is None else Path(self.out)
        parts = self._parts(asking, examples, training, dictionary)
        if self.blindspots is not None:
            from activation_oracles.evals.blindspots import check_probes

            # Before anybody answers, which may take hours.
            check_probes([one.name for part in parts for one in part.answerers])
        return self._summed(parts, folder, self._about(oracle, limit) | self.of_sae())

    def _parts(
        self,
        asking: "Asking",
        examples: "Sequence[Example]",
        training: "Sequence[Example]",
        dictionary: "Dictionary | None",
    ) -> "list[Part]":
        """Return who is asked what: tasks with few answers as a choice and by probes, too."""
        from activation_oracles.evals.answerers import Remembering
        from activation_oracles.evals.grade import exact, token_f1
        from activation_oracles.evals.running import Part

        vectors = self._reader(asking, examples, training)
        found: list[Part] = []
        for closed, grade in ((True, exact), (False, token_f1)):
            asked = [one for one in examples if (one.task in asking.choices) == closed]
            read = Remembering(vectors)
            if asked:
                answerers = asking.oracles(read, closed=closed)
                answerers += asking.baselines(training, in_words=self.in_words)
                if self.lenses:
                    background = background_of(training, examples, self.seed)
                    answerers += asking.lenses(read, background, closed=closed)
                answerers += asking.probes(read, training, asked) if closed else []
                found.append(Part(asked, answerers, grade))
                found += explained(dictionary, asking.choices, read, asked, grade)
        return found

    def _reader(
        self, asking: "Asking", examples: "Sequence[Example]", training: "Sequence[Example]"
    ) -> "Read":
        """Return what reads: the target, or a store, once it is known to have room."""
        from activation_oracles.models.store import GIB, ReadingStore

        if self.store is None:
            return asking.target.vectors
        store = ReadingStore(asking.target, self.store, max_gib=self.store_gib)
        background = background_of(training, examples, self.seed) if self.lenses else []
        size = store.expect([*examples, *asking.known(training), *background])
        print(f"{self.store} will grow by at most {size / GIB:.3g} GiB", file=sys.stderr)
        return store.vectors

    def _about(self, oracle: "Oracle", limit: int) -> dict[str, object]:
        return {
            "oracle": self.oracle,
            "adapter": oracle.model.adapters.identity(oracle.adapter),
            "abstainer": self.abstainer,
            "target": oracle.model.name,
            "fingerprint": oracle.model.fingerprint,
            "quantization": oracle.model.quantization,
            "data": self.data,
            "split": self.split,
            "training": self.training or self.data,
            "max_new_tokens": self.max_new_tokens,
            "in_words": self.in_words,
            "limit": limit,
            "seed": self.seed,
            "version": version("activation-oracles"),
        }


def _together(found: "Sequence[Summary]") -> str:
    return json.dumps([json.loads(one.as_json()) for one in found], indent=1, ensure_ascii=False)


def progress(answerers: "Sequence[Answerer]") -> "Iterable[Answerer]":
    """Draw a bar on stderr, and say on it who answers."""
    from tqdm import tqdm

    bar = tqdm(answerers, file=sys.stderr, unit="answerer")
    for answerer in bar:
        bar.set_description(
            f"{answerer.name}, {answerer.control}" if answerer.control else answerer.name
        )
        yield answerer
