"""`ao eval --suite`: evaluations by name, on subjects of the user's own or on the village's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from activation_oracles.cli.asking import Asking
from activation_oracles.cli.reading import selector
from activation_oracles.cli.sae import Sae, explained
from activation_oracles.errors import ConfigError

if TYPE_CHECKING:
    from activation_oracles.baselines.sae_features import Dictionary
    from activation_oracles.evals.answerers import Read
    from activation_oracles.evals.cases import Case
    from activation_oracles.evals.evaluation import Answerer
    from activation_oracles.evals.running import Part
    from activation_oracles.evals.suite import Evaluation, Given
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle

SUITES: Mapping[str, str] = {
    "taboo": "activation_oracles.evals.suites.secrets:taboo",
    "gender": "activation_oracles.evals.suites.secrets:gender",
    "ssc": "activation_oracles.evals.suites.secrets:constraint",
    "diffing": "activation_oracles.evals.suites.diffing:diffing",
    "classification": "activation_oracles.evals.suites.classification:classification",
    "context": "activation_oracles.evals.suites.classification:context",
    "generative-qa": "activation_oracles.evals.suites.generative_qa:generative_qa",
    "steering": "activation_oracles.evals.suites.steering:detection",
    "missing-information": "activation_oracles.evals.suites.missing:missing_information",
    "sycophancy": "activation_oracles.evals.suites.sycophancy:sycophancy",
    "reasoning": "activation_oracles.evals.suites.reasoning:reasoning",
    "dialogue": "activation_oracles.evals.suites.dialogue:dialogue",
    "decisions": "activation_oracles.evals.suites.decisions:decisions",
    "tools": "activation_oracles.evals.suites.decisions:tools",
    "sensitivity": "activation_oracles.evals.suites.sensitivity:sensitivity",
    "personaqa": "activation_oracles.evals.suites.personaqa:open_ended",
    "personaqa-yes-no": "activation_oracles.evals.suites.personaqa:closed",
    "personaqa-knowledge": "activation_oracles.evals.suites.personaqa:knowledge",
}
"""Evaluations by name: the module, and the function that makes it of what is given."""


@dataclass(frozen=True, kw_only=True)
class Suites(Sae):
    """Settings of evaluations by name."""

    suite: tuple[str, ...] = ()
    """Evaluations by name, as taboo or gender."""
    subjects: str | None = None
    """YAML or JSON file of the models under study: name, kind, adapter, and what each hides."""
    files: str | None = None
    """Folder of the evaluations' own files, as `taboo_standard_test.txt`."""
    prompts: str = "test"
    """Which of the prompt files: test or val."""
    layers: tuple[int, ...] = ()
    """After which blocks subjects are read, several shown together. By default where `ao depth`
    found the oracle to read best, or what it was trained on."""
    at: str | None = None
    """Which tokens are shown: all, -1, -10:, "last assistant turn" ... By default all; of the
    village's organisms their reply."""
    trained: tuple[str, ...] = ()
    """How the names of the tasks begin that the oracle was trained on, as sst2; by default, as
    published. Others are called out of distribution."""
    overlap: tuple[Literal["rouge_l", "chrf"], ...] = ()
    """Judge open answers (generative-qa) by these, too (extra `eval`)."""
    probes: bool = False
    """Let linear probes and nearest neighbours answer, too, where answers are few: each row by one
    that is fitted to rows of other units (extra `eval`)."""
    reply: bool | None = None
    """Let each subject reply to a prompt first. By default only the village's organisms do."""

    def opened(
        self,
        oracle: str | None,
        load: "Callable[[str], Oracle]",
        limit: int | None,
        seed: int,
    ) -> "tuple[Oracle, Given]":
        """Load the oracle and say what evaluations are given.

        Raises:
            ConfigError: subjects without an oracle, or an oracle without subjects.
            OracleError: something is missing, malformed, or does not belong to the rest.
        """
        if (oracle is None) != (self.subjects is None):
            raise ConfigError(
                "Evaluations by name need an `oracle` and, in a file, `subjects`; without both "
                "they run on the village."
            )
        most = 100 if limit is None else limit
        if oracle is None or self.subjects is None:
            return self._of_village(most, seed)
        from activation_oracles.evals.subjects import load_subjects
        from activation_oracles.evals.suite import PUBLISHED_TASKS, Given

        # The small file first: what is wrong with it should not wait for a model.
        subjects = load_subjects(self.subjects)
        loaded = load(oracle)
        given = Given(
            subjects=subjects,
            files=None if self.files is None else Path(self.files),
            layers=self.layers or loaded.card.usual_layers,
            at=selector(self.at or "all"),
            reply=bool(self.reply),
            split=self.prompts,
            trained=self.trained or PUBLISHED_TASKS,
            overlap=self.overlap,
            limit=most,
            seed=seed,
        )
        return loaded, given

    def _of_village(self, limit: int, seed: int) -> "tuple[Oracle, Given]":
        from activation_oracles.world.load import load_demo
        from activation_oracles.world.suites import village

        demo = load_demo()
        given = village(
            demo,
            layers=self.layers or demo.oracle.card.usual_layers,
            at=selector(self.at or "last assistant turn"),
            reply=True if self.reply is None else self.reply,
            limit=limit,
            seed=seed,
        )
        return demo.oracle, replace(given, overlap=self.overlap)


def make(name: str, given: "Given") -> "Evaluation":
    """Return an evaluation by its name.

    Raises:
        ConfigError: there is none of that name, or it needs subjects that are not given.
        DataError: it needs files that are not there.
    """
    check_names([name])
    module, _, function = SUITES[name].partition(":")
    made: Evaluation = getattr(import_module(module), function)(given)
    return made


def check_names(names: Sequence[str]) -> None:
    """Refuse names of no evaluation, before anything is loaded.

    Raises:
        ConfigError: naming them and what there is.
    """
    if unknown := sorted(set(names) - set(SUITES)):
        raise ConfigError(f"There is no evaluation {unknown}; there are {sorted(SUITES)}.")


@dataclass(frozen=True)
class Asked:
    """An oracle, and how an evaluation's rows are put to it and its rivals."""

    oracle: "Oracle"
    max_new_tokens: int
    seed: int
    in_words: bool
    lenses: bool = False
    probes: bool = False
    dictionary: "Dictionary | None" = None

    def targets(self, evaluation: "Evaluation") -> "dict[str, Target]":
        """Return the subjects as targets by name, their adapters loaded; `""` is the base."""
        from activation_oracles.models.target import Target

        model = self.oracle.model
        held = model.adapters.names
        for one in evaluation.subjects:
            if one.name not in held:
                model.add_adapter(one.adapter, name=one.name)
        base = Target(model)
        named = {one.name: Target(model, one.name) for one in evaluation.subjects}
        return {"": base, **named, **(evaluation.made(base) if evaluation.made else {})}

    def parts(
        self, evaluation: "Evaluation", rows: "Sequence[Case]", targets: "Mapping[str, Target]"
    ) -> "list[Part]":
        """Return who is asked what: tasks with few answers are put as a choice, too."""
        from activation_oracles.evals.answerers import Remembering
        from activation_oracles.evals.running import Part
        from activation_oracles.evals.subjects import BASE, Difference, Own

        if evaluation.in_words_only:
            return [Part(rows, self._themselves(targets), evaluation.grade)]
        read = {name: target.vectors for name, target in targets.items()}
        own, base = Remembering(Own(read)), Remembering(read[BASE])
        asking = Asking(
            self.oracle,
            targets,
            evaluation.choices,
            self.max_new_tokens,
            self.seed,
            donors_differ=True,
        )
        found: list[Part] = []
        for closed in (True, False):
            some = [one for one in rows if (one.task in evaluation.choices) == closed]
            if not some:
                continue
            answerers = self._readers(asking, evaluation, some, (own, base))
            shown = Remembering(Difference(own, base)) if evaluation.of_difference else own
            if self.probes and closed:
                answerers += asking.cross_fitted(shown)
            found.append(Part(some, answerers, evaluation.grade))
            found += explained(self.dictionary, asking.choices, shown, some, evaluation.grade)
            if self.in_words and all(one.talk for one in some):
                # What is said in a sentence counts as well: the rival is judged leniently.
                found.append(Part(some, self._in_words(some, targets), evaluation.grade_in_words))
        return found

    def _in_words(
        self, rows: "Sequence[Case]", targets: "Mapping[str, Target]"
    ) -> "list[Answerer]":
        """Return who is asked in words: subjects; and, more insistently, with a reply begun."""
        from activation_oracles.baselines.prompting import BEGUN
        from activation_oracles.evals.in_words import InWords
        from activation_oracles.evals.subjects import BASE

        most = self.max_new_tokens
        found: list[Answerer] = [InWords(targets, max_new_tokens=most)]
        if self.lenses:
            found.append(InWords(targets, max_new_tokens=most, begun=BEGUN))
        if self.lenses and any(one.subject != BASE for one in rows):
            base = dict.fromkeys(targets, targets[BASE])
            found.append(InWords(base, max_new_tokens=most, name="base asked in words"))
        return found

    def _readers(
        self,
        asking: Asking,
        evaluation: "Evaluation",
        rows: "Sequence[Case]",
        reads: "tuple[Read, Read]",
    ) -> "list[Answerer]":
        """Return who is shown activations: the subjects' own, and the base's of the same text."""
        from activation_oracles.evals.subjects import BASE, EachAlone

        (own, base), closed = reads, rows[0].task in evaluation.choices
        if evaluation.of_difference:
            found = asking.of_differences(own, base, closed=closed)
        else:
            found = asking.oracles(own, closed=closed)
            if any(one.subject != BASE for one in rows):
                found += asking.of_subjects(own, base, closed=closed)
        if self.lenses:
            found += asking.readers(asking.targets[BASE], own, rows, closed=closed)
        if self.lenses and all(one.subject != BASE for one in rows):
            lens = partial(asking.difference_lens, own, base, closed=closed)
            found.append(EachAlone("activation-difference lens", None, lens))
        return found

    def _themselves(self, targets: "Mapping[str, Target]") -> "list[Answerer]":
        """Return the subjects, asked each question by itself, and the base in their place."""
        from activation_oracles.evals.in_words import InWords

        base = dict.fromkeys(targets, targets[""])
        most = self.max_new_tokens
        return [
            InWords(targets, max_new_tokens=most, alone=True),
            InWords(base, max_new_tokens=most, alone=True, name="base asked in words"),
        ]


def about(
    evaluation: "Evaluation", given: "Given", asked: Asked, targets: "Mapping[str, Target]"
) -> dict[str, Any]:
    """Return what decides the answers, for the run's folder and its table."""
    from importlib.metadata import version

    oracle = asked.oracle
    return {
        "suite": evaluation.name,
        "measures": evaluation.about,
        "oracle": oracle.model.adapters.identity(oracle.adapter),
        "target": oracle.model.name,
        "fingerprint": oracle.model.fingerprint,
        "quantization": oracle.model.quantization,
        "subjects": {
            name: target.provenance.adapter or ", ".join(target.provenance.history)
            for name, target in targets.items()
            if name
        },
        "layers": list(given.layers),
        "at": str(given.at),
        "reply": given.reply,
        "split": given.split,
        "files": None if given.files is None else str(given.files),
        "limit": given.limit,
        "max_new_tokens": asked.max_new_tokens,
        "in_words": asked.in_words,
        "seed": given.seed,
        "version": version("activation-oracles"),
    }
