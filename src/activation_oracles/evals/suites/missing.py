"""Missing information: does the oracle know that a model was asked what it was not told?

A model reads a text and a question, which the text answers or not. Published oracles noticed
nothing missing in 54 of 54 cases (Jakkli, Rajamanoharan and Nanda 2026). Here as many questions can
be answered as cannot, and every question is asked both ways, of one text and of another.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.grade import yes_no
from activation_oracles.evals.subjects import BASE
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.generative_qa import passages_of
from activation_oracles.evals.suites.moments import moments
from activation_oracles.evals.suites.passages import Passage
from activation_oracles.models.target import Target

GROUP = "fact"
QUESTIONS = (
    "Answer with 'Yes' or 'No' only. Does the text hold the answer to its question?",
    "Answer with 'Yes' or 'No' only. Was the model told what it needs to answer?",
)
YES_NO = ("Yes", "No")
_WORD = re.compile(r"\w+")


def missing_information(given: Given) -> Evaluation:
    """Ask whether a text answers the question behind it: its own, and another text's.

    Texts and questions are the passages of `generative-qa` in `fact`. The other question is one
    whose answer and names the text does not hold. Questions go round: each is asked once where it
    can be answered and once where it cannot. The unit is the text.
    """
    passages = [one for one in passages_of(given) if one.group == GROUP]
    strangers = handed_round(passages, given.seed)

    def rows(targets: Mapping[str, Target]) -> Iterable[Case]:
        for one, other in zip(passages, strangers, strict=True):
            for asked, answer in zip((one.question, other.question), YES_NO, strict=True):
                for moment in moments(targets[BASE], [f"{one.text} {asked}"], given):
                    for wording in given.questions.get("answerable", QUESTIONS):
                        yield Case(
                            context=moment.context,
                            positions=moment.positions,
                            layers=given.layers,
                            question=wording,
                            answer=answer,
                            task="missing information",
                            source=one.source,
                            unit=one.text,
                            talk=moment.talk,
                        )

    return Evaluation(
        name="missing-information",
        about="whether a text answers the question behind it (Jakkli et al. 2026)",
        subjects=(),
        rows=lambda targets: list(rows(targets)),
        grade=yes_no,
        choices={"missing information": YES_NO},
        grade_in_words=yes_no,
    )


def handed_round(passages: Sequence[Passage], seed: int) -> list[Passage]:
    """Return for each passage another, each once, whose question it does not answer.

    Raises:
        DataError: there is no such round: passages are few, or alike.
    """
    order = Random(seed).sample(range(len(passages)), len(passages))
    lent = dict(zip(order, order[1:] + order[:1], strict=True))
    for own in order:
        if _is_stranger(passages[lent[own]], passages[own]):
            continue
        for other in order:
            fits = _is_stranger(passages[lent[other]], passages[own])
            if fits and _is_stranger(passages[lent[own]], passages[other]):
                lent[own], lent[other] = lent[other], lent[own]
                break
        else:
            raise DataError(
                f"The {len(passages)} passages in {GROUP!r} cannot lend each other questions that "
                f"they do not answer: {passages[own].source} answers or names too much. Give more."
            )
    return [passages[lent[own]] for own in range(len(passages))]


def _is_stranger(asked: Passage, told: Passage) -> bool:
    """Tell whether a text holds neither a question's answer nor a name that stands in it."""
    words = set(_WORD.findall(told.text.casefold()))
    answer = set(_WORD.findall(asked.answer.casefold()))
    names = {one.casefold() for one in _WORD.findall(asked.question)[1:] if one[0].isupper()}
    return not answer <= words and not names & words
