"""`ao eval --suite`: evaluations by name, on subjects of the user's own or on the village's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from activation_oracles.cli.reading import selector
from activation_oracles.cli.sae import Sae
from activation_oracles.errors import ConfigError

if TYPE_CHECKING:
    from activation_oracles.evals.suite import Evaluation, Given
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
    abstainer: str | None = None
    """Folder or hub id of another oracle of the same model, which says only where there is no
    answer: the oracle is scored with it, too, on what it lets through. The village has one."""
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

    def abstaining(self, oracle: "Oracle", *, is_village: bool = False) -> "Oracle | None":
        """Load the oracle that says where there is no answer: the one named, or the village's own.

        Raises:
            OracleError: it is missing, or does not belong to the oracle's model.
        """
        from activation_oracles.world.load import ABSTAINER, DATA

        folder = self.abstainer or (str(DATA / ABSTAINER) if is_village else None)
        if folder is None:
            return None
        return type(oracle).from_pretrained(folder, model=oracle.model, name="abstainer")

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
