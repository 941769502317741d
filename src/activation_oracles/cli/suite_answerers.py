"""Who answers the rows of an evaluation by name: the oracle, its controls, and its rivals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from activation_oracles.cli.asking import Asking
from activation_oracles.cli.sae import explained

if TYPE_CHECKING:
    from activation_oracles.baselines.sae_features import Dictionary
    from activation_oracles.evals.answerers import Read
    from activation_oracles.evals.cases import Case
    from activation_oracles.evals.evaluation import Answerer
    from activation_oracles.evals.running import Part
    from activation_oracles.evals.suite import Evaluation, Given
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle


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
    abstainer: "Oracle | None" = None

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
            abstainer=self.abstainer,
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
    oracle, abstainer = asked.oracle, asked.abstainer
    identity = oracle.model.adapters.identity
    return {
        "suite": evaluation.name,
        "measures": evaluation.about,
        "oracle": identity(oracle.adapter),
        "abstainer": None if abstainer is None else identity(abstainer.adapter),
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
