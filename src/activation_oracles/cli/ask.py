"""`ao ask`: one question about a text's activations, with what the controls say beside it."""

import json
import sys
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from activation_oracles.cli.reading import Opened, Reading
from activation_oracles.errors import DataError

if TYPE_CHECKING:
    from activation_oracles.oracle.confidence import HowSure
    from activation_oracles.oracle.drawing import Decoding
    from activation_oracles.types import Answer


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Ask an oracle one question about what a model holds while it reads a text."""

    reading: Annotated[Reading, tyro.conf.arg(name="")]
    question: str
    """What to ask about the activations."""
    choices: tuple[str, ...] = ()
    """Answers to choose between; without them the oracle answers freely."""
    controls: tuple[str, ...] = ("nothing", "random")
    """What else to ask the same of: nothing, random, base (no adapter), text (the target)."""
    donor: str | None = None
    """Another text (words, or @FILE) whose activations are one more control."""
    how_sure: Literal["choice", "samples", "wordings", "likelihood"] | None = None
    """By what the answer's confidence is found: the probability of the choice, agreement of samples
    or of wordings, or the likelihood of the answer's tokens."""
    wordings: tuple[str, ...] = ()
    """Other wordings of the question: their answers are counted, or their choices averaged."""
    samples: int = 1
    """Answers to draw."""
    temperature: float = 0.0
    """0 is greedy; more than one sample needs more."""
    max_new_tokens: int = 20
    """Length at which an answer is cut."""
    seed: int = 0
    """Where sampling starts."""
    json: bool = False
    """Print everything, provenance included, as one JSON object."""

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise DataError("The question is empty. Ask something, as 'What is the secret word?'.")

    def run(self) -> None:
        """Print the answer, and below it the controls' answers; warnings go to stderr."""
        decoding = self._decoding()
        answer = self._answer(self.reading.open(every_layer=False), decoding)
        if self.json:
            print(json.dumps(asdict(answer), ensure_ascii=False, indent=2))
            return
        for line in told(answer):
            print(line)
        for warning in answer.warnings:
            print(f"warning: {warning}", file=sys.stderr)

    def _decoding(self) -> "Decoding":
        """Check what is asked for before any model is loaded, and return how answers are drawn."""
        from activation_oracles.oracle.drawing import Decoding
        from activation_oracles.oracle.inputs import check_choices

        self.reading.check_controls(self.controls)
        if self.choices:
            check_choices(self.choices)
        return Decoding(
            max_new_tokens=self.max_new_tokens,
            samples=self.samples,
            temperature=self.temperature,
            seed=self.seed,
        )

    def _answer(self, opened: Opened, decoding: "Decoding") -> "Answer":
        from activation_oracles.types import Answer

        controls = self.reading.controls(self.controls, opened, donor=self.donor)
        oracle, activations = opened.oracle, opened.activations
        if self.choices:
            chosen = oracle.choose(
                activations,
                self.question,
                self.choices,
                controls=controls,
                how_sure=self._method(),
            )
            assert isinstance(chosen, Answer)
            return chosen
        said = oracle.ask(
            activations,
            self.question,
            decoding=decoding,
            controls=controls,
            how_sure=self._method(),
        )
        assert isinstance(said, Answer)
        return said

    def _method(self) -> "HowSure | None":
        from activation_oracles.oracle.confidence import HowSure

        method = self.how_sure
        if method is None and self.wordings:
            method = "choice" if self.choices else "wordings"
        return None if method is None else HowSure(method, self.wordings)


def told(answer: "Answer") -> list[str]:
    """Return the lines that tell an answer: itself first, its controls below."""
    width = max((len(name) for name in answer.controls), default=0)
    beside = [f"  {name:<{width}}  {_line(control)}" for name, control in answer.controls.items()]
    by = [f"confidence: {answer.confidence_by}"] if answer.confidence is not None else []
    if answer.lift is not None:
        by.append(f"lift: {answer.lift:.3g} times likelier than with nothing in the slots")
    if strengths := answer.relative_strengths:
        by.append(
            f"relative strength: {median(strengths):.3g} of what was subtracted (median; "
            f"{min(strengths):.3g} to {max(strengths):.3g})"
        )
    return [_line(answer), *beside, *by]


def _line(answer: "Answer") -> str:
    if answer.probabilities:
        ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
        said = ", ".join(f"{choice} {probability:.2f}" for choice, probability in ranked)
    else:
        said = " | ".join(answer.samples or (answer.text,))
    if answer.confidence is None:
        return said if answer.guess is None else f"{answer.text}  [best guess {answer.guess!r}]"
    if answer.guess is not None:
        beside = "" if said == answer.text else f": {said}"
        return f"{answer.text}  [{answer.confidence:.2f}, best guess {answer.guess!r}{beside}]"
    return f"{answer.text}  [{answer.confidence:.2f}: {said}]"
