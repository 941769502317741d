"""`ao calibrate`: fit how sure an oracle is to how often it is right, and keep it in its card."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from activation_oracles.cli.limits import check_limit
from activation_oracles.errors import DataError

if TYPE_CHECKING:
    from activation_oracles.evals.calibrating import Fitted, Judged
    from activation_oracles.oracle.asking import Decoding
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Activations, Answer, Example

FEWEST_SAMPLES = 2


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Fit a curve from an oracle's stated confidence to how often it is right.

    The texts of `data` are parted in two halves: the curve and the threshold are fitted on one and
    measured on the other, or on `test`.
    """

    oracle: str
    """Folder or hub id of the oracle."""
    data: str
    """Folder made by `ao data build`, or a .jsonl or .parquet file of examples."""
    method: Literal["choice", "samples", "wordings", "likelihood"] = "choice"
    """By what confidence is found: see `ao ask --how-sure`. `choice` takes tasks that have few
    answers, and leaves others out."""
    samples: int = 8
    """Answers that are drawn to each question, for `samples`; a curve holds for that many."""
    temperature: float = 1.0
    """At which they are drawn; the seed is `seed`."""
    curve: Literal["temperature", "platt", "isotonic"] = "platt"
    """Which family of curves: one number, two, or any steps that rise."""
    test: str | None = None
    """Examples of other tasks to measure on, as of groups that the oracle was not trained on; all
    of `data` then serves to fit."""
    wordings: str | None = None
    """JSON file with other wordings of each question: {"question": ["wording", ...]}."""
    abstainer: str | None = None
    """Folder or hub id of an oracle that says only where there is no answer. Instead of a curve,
    find how likely that must be, and save it in its card; half of `data` should have an answer."""
    loss: float = 0.03
    """Which share of the oracle's right answers its abstainer may take."""
    precision: float = 0.9
    """How often an answer that is given should be right; less sure ones become `cannot tell`."""
    target: str | None = None
    """Folder or hub id of the model to read; by default the one that the oracle's card names."""
    split: Literal["held_out", "train"] = "held_out"
    """Which examples: what the oracle was trained on would flatter it."""
    limit: int = 500
    """Examples of each task at most, drawn by the seed; 0 takes all."""
    seed: int = 0
    """Decides which examples."""
    max_new_tokens: int = 20
    """Length at which an answer is cut."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""
    save: bool = False
    """Write curve and threshold into the oracle's card, a folder's `ao_config.json`."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self) -> None:
        if not 0 < self.precision <= 1:
            raise DataError(f"A precision lies above 0 and up to 1, got {self.precision}.")
        if not 0 <= self.loss < 1:
            raise DataError(f"A loss lies in [0, 1), got {self.loss}.")
        check_limit(self.limit)
        if self.method == "samples" and self.samples < FEWEST_SAMPLES:
            raise DataError(f"Samples agree where there are two or more, got {self.samples}.")

    def run(self) -> None:
        """Print what was stated, what it is worth, and what the threshold keeps."""
        from activation_oracles.evals.calibrating import fitted, halves, hashed
        from activation_oracles.oracle.calibrator import Calibrator, fit

        changed = self.abstainer or self.oracle
        if self.save and not Path(changed).is_dir():
            raise DataError(f"{changed} is no folder; a card on the hub cannot be saved into.")
        if self.abstainer is not None:
            self._refusing(self.abstainer)
            return
        wordings = read_wordings(self.wordings)
        oracle = self._oracle()
        rows = self._judged(oracle, self.data, wordings)
        if self.test is None:
            rows, measured = halves(rows, _text)
        else:
            measured = self._judged(oracle, self.test, wordings)
        found = fitted(
            rows,
            measured,
            lambda stated, right: fit(self.method, self.curve, stated, right),
            unit=_text,
            precision=self.precision,
        )
        assert isinstance(found.curve, Calibrator)
        data = hashed([row.example for row in rows])
        chosen = {"threshold": found.threshold, "precision": self.precision, "data": data}
        curve = found.curve.model_copy(update=chosen)
        if self.save:
            kept = [one for one in oracle.card.confidence_curves if one.method != self.method]
            changed = oracle.card.model_copy(update={"confidence_curves": (*kept, curve)})
            changed.save(self.oracle)
        held = {**asdict(found), "curve": curve.model_dump(mode="json")}
        print(json.dumps(held, indent=1) if self.json else "\n".join(told(found, self.precision)))

    def _refusing(self, abstainer: str) -> None:
        """Find when the abstainer refuses; print it, and what it does to the other half."""
        from activation_oracles.cli import refusing
        from activation_oracles.cli.asking import limited, readings
        from activation_oracles.evals.calibrating import halves
        from activation_oracles.oracle.oracle import Oracle

        examples = limited(readings(self.data, self.split), self.limit, self.seed)
        oracle = self._oracle()
        other = Oracle.from_pretrained(abstainer, model=oracle.model, name="abstainer")
        text, rows = refusing.weighed(oracle, other, examples, self.max_new_tokens)
        first, second = halves(rows, _text)
        found = refusing.chosen(text, first, second, self.loss)
        if self.save:
            other.card.model_copy(update={"refusal": found.rule}).save(abstainer)
        held = {**asdict(found), "rule": found.rule.model_dump(mode="json")}
        print(json.dumps(held, indent=1) if self.json else "\n".join(refusing.told(found)))

    def _decoding(self) -> "Decoding":
        from activation_oracles.oracle.asking import Decoding

        how = Decoding(max_new_tokens=self.max_new_tokens)
        if self.method != "samples":
            return how
        drawn = {"samples": self.samples, "temperature": self.temperature, "seed": self.seed}
        return replace(how, **drawn)

    def _oracle(self) -> "Oracle":
        from activation_oracles.oracle.oracle import Oracle

        return Oracle.from_pretrained(self.oracle, model=self.target, device=self.device)

    def _judged(
        self, oracle: "Oracle", data: str, wordings: "Mapping[str, tuple[str, ...]]"
    ) -> "list[Judged]":
        """Ask the examples that confidence can be found for, and grade the answers."""
        from activation_oracles.cli.asking import choices_of, limited, readings
        from activation_oracles.evals.calibrating import judge
        from activation_oracles.evals.grade import exact

        examples = limited(readings(data, self.split), self.limit, self.seed)
        choices = choices_of(examples)
        asking = Confiding(oracle, self.method, choices, wordings, self._decoding())
        examples = [one for one in examples if asking.can(one)]
        if not examples:
            raise DataError(
                f"{data} has no {self.split} example that confidence by {self.method} can be found "
                "for: `choice` needs tasks with few answers, `wordings` a file that names their "
                "questions."
            )
        return judge(examples, asking, exact)


@dataclass(frozen=True)
class Confiding:
    """An oracle that says how sure it is of each example."""

    oracle: "Oracle"
    method: Literal["choice", "samples", "wordings", "likelihood"]
    choices: "Mapping[str, tuple[str, ...]]"
    """The answers to choose between, of each task that has few."""
    wordings: "Mapping[str, tuple[str, ...]]"
    """Other wordings, by question."""
    decoding: "Decoding"
    """Greedy, or as samples are drawn."""

    def can(self, example: "Example") -> bool:
        """Say whether the method has what it needs for an example."""
        needed = {"choice": self.choices.get(example.task), "wordings": self._others(example)}
        return bool(needed.get(self.method, True))

    def __call__(self, examples: "Sequence[Example]") -> "list[tuple[str, float | None]]":
        """Return an answer and its confidence as stated, whatever curve the card holds."""
        from activation_oracles.cli.asking import reading_of
        from activation_oracles.models.target import Target

        target = Target(self.oracle.model)
        read = target.vectors(examples)
        shown = [reading_of(target, one, some) for one, some in zip(examples, read, strict=True)]
        groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for place, one in enumerate(examples):
            groups[one.task, one.question].append(place)
        found: dict[int, tuple[str, float | None]] = {}
        for places in groups.values():
            said = self._said(examples[places[0]], [shown[place] for place in places])
            for place, answer in zip(places, said, strict=True):
                found[place] = answer.guess or answer.text, answer.confidence
        return [found[place] for place in range(len(examples))]

    def _others(self, example: "Example") -> tuple[str, ...]:
        return self.wordings.get(example.question, ())

    def _said(self, first: "Example", shown: "Sequence[Activations]") -> "list[Answer]":
        """Ask the question of one example of all the readings that it is asked of."""
        from activation_oracles.oracle.confidence import HowSure

        others = self._others(first) if self.method in ("wordings", "choice") else ()
        how_sure = HowSure(self.method, others)
        bare = self.oracle.card.model_copy(update={"confidence_curves": ()})
        oracle = type(self.oracle)(self.oracle.model, self.oracle.adapter, bare)
        if self.method == "choice":
            found = oracle.choose(
                shown, first.question, self.choices[first.task], how_sure=how_sure
            )
            assert isinstance(found, list)
            return found
        rows = oracle.ask(shown, [first.question], decoding=self.decoding, how_sure=how_sure)
        assert isinstance(rows, list)
        return [row[0] for row in rows]


def read_wordings(path: str | None) -> dict[str, tuple[str, ...]]:
    """Return other wordings by question; none where there is no file.

    Raises:
        DataError: the file is missing, or is not an object of lists of words.
    """
    if path is None:
        return {}
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        return {str(key): tuple(map(str, values)) for key, values in held.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as wordings ({error}). Expected JSON as "
            '{"What is it?": ["Which thing is it?"]}.'
        ) from error


def _text(example: "Example") -> str:
    return example.source


def told(found: "Fitted", precision: float) -> list[str]:
    """Return the result as lines for people."""
    lines = [
        f"fitted on {found.num_fitted} answers, measured on {found.after.num_answers} others",
        "",
        "              right  confidence    ECE     95 %         Brier  AUROC",
    ]
    for name, one in (("as stated", found.before), ("calibrated", found.after)):
        auroc = "-" if one.auroc is None else f"{one.auroc:.3f}"
        assert one.ece_within is not None
        low, high = one.ece_within
        lines.append(
            f"{name:<12}  {one.share_right:.3f}       {one.confidence:.3f}  {one.ece:.3f}  "
            f"{low:.3f}-{high:.3f}  {one.brier:.3f}  {auroc:>5}"
        )
    lines.append("")
    if found.threshold is None:
        lines.append(f"No threshold reaches a precision of {precision:.2f}: it never abstains.")
    elif found.kept is None:
        lines.append(f"Above {found.threshold:.3f} nothing is left of what was measured on.")
    else:
        lines.append(
            f"Answers of {found.threshold:.3f} and more: {found.kept.coverage:.3f} of all, "
            f"{found.kept.precision:.3f} of them right (wanted: {precision:.2f})."
        )
    return lines
