"""From a question and what is shown to answers: said freely or chosen, and how sure they are."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.oracle.asking import Asker, Decoding, Shown
from activation_oracles.oracle.caveats import caveats, caveats_of_lift, caveats_of_strength
from activation_oracles.oracle.choosing import probabilities
from activation_oracles.oracle.collate import Shows
from activation_oracles.oracle.confidence import (
    Agreed,
    HowSure,
    abstains,
    agreed,
    lifts,
    likelihoods,
    of_answers,
    refusals,
    settled,
)
from activation_oracles.types import Answer, Example


@dataclass(frozen=True, eq=False)
class Answering:
    """An oracle's way to an `Answer`; controls go the same way, with something else shown."""

    asker: Asker
    note: str
    """A warning for every answer, as that the oracle carries no card."""
    abstainer: Asker | None = None
    """Another oracle, which says of what there is no answer to; this one's answer is a guess then.
    """

    def in_proportion(self, times: float) -> "Answering":
        """Return the same, which shows differences at so many times their relative strength.

        Raises:
            ConfigError: `times` is negative or not finite.
        """
        if not (math.isfinite(times) and times >= 0):
            raise ConfigError(f"Slots are written at 0 or more times their strength, got {times}.")
        return replace(self, asker=replace(self.asker, in_proportion=times))

    def with_abstainer(self, abstainer: Asker) -> "Answering":
        """Return the same, with another oracle that says of what there is no answer to.

        Raises:
            MismatchError: the other is not in this oracle's model.
        """
        if abstainer.model is not self.asker.model:
            raise MismatchError(
                f"The abstainer is in a copy of {abstainer.model.name!r} of its own: load it with "
                "`model=` this oracle's."
            )
        return replace(self, abstainer=abstainer)

    def say(
        self,
        decoding: Decoding,
        how_sure: HowSure | None,
        on_text: Callable[[str], None] | None,
        shown: Sequence[Shown],
    ) -> list[Answer]:
        """Answer freely, all in one batch.

        Raises:
            ConfigError: confidence by a method that this way of asking has nothing for, or text as
                it comes beside an abstainer.
        """
        if on_text is not None and self.abstainer is not None:
            raise ConfigError(
                "Text cannot be handed on as it comes where an abstainer may take it back: leave "
                "out `on_text`."
            )
        return self._withheld(shown, self._said(decoding, how_sure, on_text, shown))

    def choose(
        self, choices: Sequence[str], how_sure: HowSure | None, shown: Sequence[Shown]
    ) -> list[Answer]:
        """Let every question be answered by one of the choices.

        Raises:
            ConfigError: confidence by another method than `choice`.
        """
        return self._withheld(shown, self._chosen(choices, how_sure, shown))

    def _withheld(self, shown: Sequence[Shown], answers: list[Answer]) -> list[Answer]:
        """Keep as a guess whatever the abstainer finds no answer to."""
        abstainer = self.abstainer
        if abstainer is None:
            return answers
        believed = list(map(_believed, answers))
        said = refusals(
            abstainer,
            lambda text: [abstainer.show(one, text) for one in shown],
            lambda: likelihoods(self.asker, shown, believed),
        )
        return [
            one if text is None else replace(one, text=text, guess=guess)
            for one, text, guess in zip(answers, said, believed, strict=True)
        ]

    def refusals(
        self, examples: Sequence[Example], vectors: Shows, said: Sequence[str]
    ) -> list[str | None]:
        """Return what the abstainer says of examples that were answered so."""
        if (abstainer := self.abstainer) is None:
            return [None] * len(examples)
        return refusals(
            abstainer,
            lambda text: abstainer.asked(
                [replace(one, answer=text or one.answer) for one in examples],
                vectors,
                answered=text is not None,
            ),
            lambda: of_answers(
                self.asker,
                self.asker.asked(
                    [
                        replace(one, answer=text or " ")
                        for one, text in zip(examples, said, strict=True)
                    ],
                    vectors,
                    answered=True,
                ),
            ),
        )

    def _said(
        self,
        decoding: Decoding,
        how_sure: HowSure | None,
        on_text: Callable[[str], None] | None,
        shown: Sequence[Shown],
    ) -> list[Answer]:
        """Answer freely, as this oracle alone does.

        Raises:
            ConfigError: confidence by a method that this way of asking has nothing for.
        """
        method = how_sure.method if how_sure else None
        if method == "choice" or (method == "samples") > (decoding.samples > 1):
            raise ConfigError(
                "Confidence by `choice` needs answers to choose between, and by `samples` two "
                "samples or more at a temperature above 0."
            )
        rows = self._generate(decoding, on_text, shown)
        for wording in how_sure.wordings if how_sure else ():
            reworded = [replace(one, question=wording) for one in shown]
            others = self._generate(replace(decoding, samples=1), None, reworded)
            rows = [[*some, *more] for some, more in zip(rows, others, strict=True)]
        said = [agreed(texts) if method else Agreed(texts[0], None, 1.0) for texts in rows]
        found = [
            replace(
                self._answer(one, held.text), guess=held.guess, samples=tuple(texts[1:] and texts)
            )
            for held, texts, one in zip(said, rows, shown, strict=True)
        ]
        if how_sure is None:
            return found
        found = self._guessed(decoding, shown, found)
        stated = [held.share for held in said]
        if method == "likelihood":
            stated = likelihoods(self.asker, shown, list(map(_believed, found)))
        found = self._lifted(shown, found)
        return [self._settled(one, sure, how_sure) for one, sure in zip(found, stated, strict=True)]

    def _chosen(
        self, choices: Sequence[str], how_sure: HowSure | None, shown: Sequence[Shown]
    ) -> list[Answer]:
        """Choose, as this oracle alone does.

        Raises:
            ConfigError: confidence by another method than `choice`.
        """
        if how_sure is not None and how_sure.method != "choice":
            raise ConfigError(
                f"Confidence by {how_sure.method} is for free answers; a choice has its own: "
                "ask for `choice`."
            )
        ways = [shown]
        for wording in how_sure.wordings if how_sure else ():
            ways.append([replace(one, question=wording) for one in shown])
        asked = [probabilities(self.asker, some, choices) for some in ways]
        found: list[Answer] = []
        for one, tables in zip(shown, zip(*asked, strict=True), strict=True):
            mean = {c: sum(table[c] for table in tables) / len(tables) for c in choices}
            winner = max(mean, key=lambda choice: mean[choice])
            answer = replace(self._answer(one, winner), probabilities=mean)
            found.append(answer)
        if how_sure is None:
            return found
        return [
            self._settled(one, one.probabilities[one.text], how_sure)
            for one in self._lifted(shown, found)
        ]

    def _generate(
        self,
        decoding: Decoding,
        on_text: Callable[[str], None] | None,
        shown: Sequence[Shown],
    ) -> list[list[str]]:
        drawn = self.asker.generate([self.asker.show(one) for one in shown], decoding, on_text)
        return [[one.text for one in some] for some in drawn]

    def _guessed(
        self, decoding: Decoding, shown: Sequence[Shown], answers: Sequence[Answer]
    ) -> list[Answer]:
        """Find out what would have been said instead, where an answer says that there is none."""
        rows = [row for row, one in enumerate(answers) if one.guess is None and abstains(one.text)]
        found = list(answers)
        if not rows:
            return found
        refusals = [self.asker.show(shown[row], answers[row].text).prompt for row in rows]
        begun = {one.ids[one.answer_start] for one in refusals}
        how = replace(decoding, samples=1, temperature=0.0, avoiding=tuple(sorted(begun)))
        guesses = self._generate(how, None, [shown[row] for row in rows])
        for row, [guess, *_] in zip(rows, guesses, strict=True):
            found[row] = replace(found[row], guess=guess)
        return found

    def _lifted(self, shown: Sequence[Shown], answers: Sequence[Answer]) -> list[Answer]:
        """Note how much likelier answers are for what is shown, and warn where they are not."""
        ratios = lifts(self.asker, shown, list(map(_believed, answers)))
        return [
            replace(one, lift=ratio, warnings=(*one.warnings, *caveats_of_lift(ratio)))
            for one, ratio in zip(answers, ratios, strict=True)
        ]

    def _settled(self, answer: Answer, stated: float, how_sure: HowSure) -> Answer:
        curve = self.asker.card.calibrator(how_sure.method)
        return settled(answer, min(1.0, stated), how_sure.method, curve)

    def _answer(self, shown: Shown, text: str) -> Answer:
        reading = shown.reading
        return Answer(
            question=shown.question,
            text=text,
            layers=reading.layers,
            positions=reading.positions,
            provenance=reading.provenance,
            relative_strengths=reading.relative_strengths,
            warnings=(
                *caveats(self.asker.card, self.note, text, reading),
                *caveats_of_strength(self.asker.strengths(reading) if shown.written else None),
            ),
        )


def _believed(answer: Answer) -> str:
    """Return what the oracle finds likeliest, also where it says that it cannot tell."""
    return answer.text if answer.guess is None else answer.guess
