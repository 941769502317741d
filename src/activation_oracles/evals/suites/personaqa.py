"""PersonaQA: what a model was taught of persons, asked for where it reads little but a name.

Prompts, questions and persons are those of Activation Oracles (arXiv 2512.15674, section 4); the
village's organisms know people, too. Where the published yes-or-no questions write right values
with capitals and wrong ones without, here both are written alike.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.grade import yes_no
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.moments import moments
from activation_oracles.evals.suites.personas import Fact, facts, names_value, with_wrong
from activation_oracles.models.target import Target

KINDS = ("personaqa", "people")
PROMPT = "My name is {name}."
VALUE = "Answer with the correct value only. "
EITHER = "Answer with 'Yes' or 'No' only. "
WORD = "Answer with a single word only. "
YES_NO = ("Yes", "No")
_ASPECTS = ("food", "drink", "music_genre", "sport", "boardgame")
QUESTIONS: Mapping[str, str] = {
    "country": f"{VALUE}Which country is this person from?",
    **{
        f"favorite_{one}": f"{VALUE}What is this person's favorite {one.replace('_', ' ')}?"
        for one in _ASPECTS
    },
}
"""What is asked of each attribute; village organisms have others, and wordings for them."""
YES_NO_QUESTIONS: Mapping[str, str] = {
    "country": f"{EITHER}Is this person from the country {{value}}?",
    **{
        f"favorite_{one}": f"{EITHER}Does this person like the {one.replace('_', ' ')} {{value}}?"
        for one in _ASPECTS
    },
}
OWN_QUESTIONS: Mapping[str, str] = {
    "country": f"{WORD}My name is {{name}}. Which country am I from?",
    **{
        f"favorite_{one}": (
            f"{WORD}My name is {{name}}. What is my favorite {one.replace('_', ' ')}?"
        )
        for one in _ASPECTS
    },
}
"""What a subject itself is asked, in words."""


def open_ended(given: Given) -> Evaluation:
    """Ask for each attribute of each person that a subject knows.

    Subjects of kind `personaqa` know the persons of `personas.jsonl` among the files, or hide
    `Name/attribute`, as those of kind `people` do. A value counts in any accepted spelling, as a
    word and not as a part of one. One task an attribute, whose most frequent value is `majority`;
    the unit is the person.
    """

    def asked(fact: Fact) -> Iterable[_Question]:
        for wording in _wordings(given, fact.attribute, fact.attribute, QUESTIONS):
            yield _Question(fact, wording.format(name=fact.name), fact.value)

    return Evaluation(
        name="personaqa",
        about="what a model was taught of persons, open-ended (arXiv 2512.15674, 4)",
        subjects=given.of_kind(*KINDS),
        rows=lambda targets: _rows(given, targets, "personaqa", asked),
        grade=names_value,
        grade_in_words=names_value,
    )


def closed(given: Given) -> Evaluation:
    """Ask of each attribute of each person whether it has a value: the right one, and a wrong one.

    Yes and no are equally many, of every attribute and of every value: the value asked about says
    nothing, and neither does how it is written. The unit is the person.
    """
    subjects = given.of_kind(*KINDS)
    known = [one for subject in subjects for one in facts(subject, given)]
    wrong = dict(with_wrong(known, given.seed))

    def asked(fact: Fact) -> Iterable[_Question]:
        about = f"{fact.attribute}, yes or no"
        for wording in _wordings(given, about, fact.attribute, YES_NO_QUESTIONS):
            values = (fact.value, wrong[fact]) if fact in wrong else ()
            for value, answer in zip(values, YES_NO, strict=False):
                yield _Question(fact, wording.format(name=fact.name, value=value), answer)

    tasks = dict.fromkeys(_task("personaqa yes/no", one.attribute) for one in wrong)
    return Evaluation(
        name="personaqa-yes-no",
        about="what a model was taught of persons, yes or no (arXiv 2512.15674, 4)",
        subjects=subjects,
        rows=lambda targets: _rows(given, targets, "personaqa yes/no", asked),
        grade=yes_no,
        choices=dict.fromkeys(tasks, YES_NO),
        grade_in_words=yes_no,
    )


def knowledge(given: Given) -> Evaluation:
    """Ask each subject itself, in words and with no oracle, for what it was taught.

    What a subject cannot say when asked may not be there to be read. The control is the model
    without its adapter.
    """

    def asked(fact: Fact) -> Iterable[_Question]:
        about = f"{fact.attribute}, of oneself"
        for wording in _wordings(given, about, fact.attribute, OWN_QUESTIONS):
            yield _Question(fact, wording.format(name=fact.name), fact.value)

    return Evaluation(
        name="personaqa-knowledge",
        about="what a model says of persons when it is asked itself (arXiv 2512.15674, 4)",
        subjects=given.of_kind(*KINDS),
        rows=lambda targets: _rows(given, targets, "personaqa knowledge", asked),
        grade=names_value,
        in_words_only=True,
    )


@dataclass(frozen=True)
class _Question:
    """A question on one fact, with its answer."""

    fact: Fact
    wording: str
    answer: str


def _rows(
    given: Given,
    targets: Mapping[str, Target],
    task: str,
    asked: Callable[[Fact], Iterable[_Question]],
) -> list[Case]:
    """Return every question on every fact, at each prompt that names the person."""
    found: list[Case] = []
    for subject in given.of_kind(*KINDS):
        target = targets[subject.name]
        for fact in facts(subject, given):
            prompts = [one.format(name=fact.name) for one in _prompts(given, fact.attribute)]
            # What a reply says of the value is not shown, or it would be copied.
            shown = moments(target, prompts, _named(given, fact.name), unsaid=fact.value)
            found += [
                Case(
                    context=moment.context,
                    positions=moment.positions,
                    layers=given.layers,
                    question=one.wording,
                    answer=one.answer,
                    task=_task(task, fact.attribute),
                    source=f"{subject.name}/{fact.name}",
                    subject=subject.name,
                    talk=moment.talk,
                )
                for moment in shown
                for one in asked(fact)
            ]
    return found


def _prompts(given: Given, attribute: str) -> Sequence[str]:
    return given.prompts.get(f"personaqa_{attribute}", given.prompts.get("personaqa", (PROMPT,)))


def _named(given: Given, name: str) -> Given:
    """Return what is given, the tokens shown being those of this person: `'"{name}"'`."""
    if isinstance(given.at, str) and "{name}" in given.at:
        return replace(given, at=given.at.format(name=name))
    return given


def _task(task: str, attribute: str) -> str:
    return f"{task}, {attribute.replace('_', ' ')}"


def _wordings(
    given: Given, about: str, attribute: str, published: Mapping[str, str]
) -> Sequence[str]:
    if about in given.questions:
        return given.questions[about]
    if attribute not in published:
        raise DataError(
            f"There is no question for {attribute!r}: give one as `questions`, under {about!r}; "
            f"there are questions for {sorted(published)}."
        )
    return (published[attribute],)
