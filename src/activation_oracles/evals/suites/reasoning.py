"""Reasoning: what does a model work out in a step before it says it?

A model solves problems in its own words: steps, then a conclusion. It is read before its reply and
behind each step, and the oracle is asked for the conclusion, which stands nowhere in what is read.
What is true is what the model itself goes on to conclude; whether that is right is a second task.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.grade import Grade, yes_no
from activation_oracles.evals.subjects import BASE
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.begun import Reply, replies, said_at, shown
from activation_oracles.evals.suites.secrets import only
from activation_oracles.evals.suites.talks import Problem, read_talks
from activation_oracles.models.target import Target

logger = logging.getLogger(__name__)

CONCLUDES, RIGHT = "conclusion", "right"
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    CONCLUDES: ("Answer with one of these only: {choices}. What will the model conclude?",),
    RIGHT: ("Answer with 'Yes' or 'No' only. Is the model's conclusion going to be right?",),
}
YES_NO = ("Yes", "No")
BEFORE = "before the reply"
NEARING = ("next", "1 step before", "2 steps before", "3 steps before")
"""Behind the last step, the one before it, and so on: of more steps the last ones are read."""
MOMENTS = (*NEARING, BEFORE)
LONGEST_REPLY = 256
"""Tokens within which a model concludes."""


@dataclass(frozen=True)
class Solved:
    """A problem as a model solved it."""

    problem: Problem
    reply: Reply
    conclusion: str
    """Which of the choices it concluded."""
    steps: tuple[int, ...]
    """At which characters of the reply its steps end; nothing from the last on is ever shown."""


def reasoning(given: Given) -> Evaluation:
    """Ask what a model is going to conclude, and whether that is right, at every step before.

    Problems are the rows of `problems.jsonl` in `files` (`talks.py` has the fields). The model is
    read before its reply (of which the header is shown) and behind each of its steps; tasks say how
    many steps are still to come. Problems that it does not conclude as their row says are left out,
    with a word in the log. The unit is the problem.

    Raises:
        DataError: there are no problems.
    """
    drawn = given.problems() if given.problems else read_talks(given.files, "problems", Problem)
    problems = given.limited(drawn)
    choices = {one.choices for one in problems}
    grades: dict[str, Grade] = {}
    closed: dict[str, tuple[str, ...]] = {}
    either = partial(only, others=sorted({word for some in choices for word in some}))
    for moment in MOMENTS:
        concludes, right = f"{CONCLUDES}, {moment}", f"{RIGHT}, {moment}"
        grades |= {concludes: either, right: yes_no}
        closed |= {right: YES_NO, **({concludes: problems[0].choices} if len(choices) == 1 else {})}

    def rows(targets: Mapping[str, Target]) -> list[Case]:
        return [case for one in solved(targets[BASE], problems) for case in _cases(one, given)]

    return Evaluation(
        name="reasoning",
        about="what a model concludes, read before it says so, by its own words",
        subjects=(),
        rows=rows,
        grade=grades,
        choices=closed,
        grade_in_words=grades,
    )


def solved(target: Target, problems: Sequence[Problem]) -> list[Solved]:
    """Let a model solve problems, and say what it concluded of each.

    Raises:
        DataError: it concludes none of them as their rows say.
    """
    found: list[Solved] = []
    talks = [one.talk for one in problems]
    said = replies(target, talks, most=LONGEST_REPLY)
    for problem, reply in zip(problems, said, strict=True):
        marker = said_at(reply.words, problem.marker)
        behind = reply.words[marker:] if marker >= 0 else ""
        named = {said_at(behind, choice): choice for choice in problem.choices}
        if places := [place for place in named if place >= 0]:
            conclusion = named[min(places)]
            steps = _steps(reply.words[:marker], problem.step, conclusion)
            found.append(Solved(problem, reply, conclusion, steps))
    if not found:
        raise DataError(
            f"{target.model.name!r} concludes none of {len(problems)} problems within "
            f"{LONGEST_REPLY} tokens, by the marker of its row (as {problems[0].marker!r}) and one "
            f"of its choices; it says {said[0].words!r:.200}. Tell it in the problem how to."
        )
    if lost := len(problems) - len(found):
        logger.warning("left out %d of %d problems: no conclusion", lost, len(problems))
    return found


def _steps(words: str, end: str, conclusion: str) -> tuple[int, ...]:
    """Return where steps end, up to the one that first says the conclusion."""
    last = said_at(words, conclusion, otherwise=len(words))
    ends = [one.end() for one in re.finditer(re.escape(end), words)] if end else []
    if words[ends[-1] if ends else 0 :].strip():
        ends.append(len(words))
    return tuple(one for one in ends if one <= last)


def _cases(one: Solved, given: Given) -> Iterable[Case]:
    problem = one.problem
    facts = {CONCLUDES: one.conclusion}
    if problem.answer is not None:
        facts[RIGHT] = YES_NO[one.conclusion != problem.answer]
    read = [(BEFORE, 0), *zip(NEARING, reversed(one.steps), strict=False)]
    for (moment, end), (kind, truth) in product(read, facts.items()):
        text = one.reply.until(end)
        positions = shown(given.at, text)
        task = f"{kind}, {moment}"
        wordings = given.questions.get(task, given.questions.get(kind, QUESTIONS[kind]))
        for wording in wordings:
            yield Case(
                context=text.token_ids[: positions[-1] + 1],
                positions=positions,
                layers=given.layers,
                question=wording.format(choices=", ".join(problem.choices)),
                answer=truth,
                task=task,
                source=f"{problem.source}/{moment}",
                unit=problem.source,
                talk=one.reply.talk + one.reply.said(end),
            )
