"""Activation sensitivity: shown another context's activations, does the oracle say what they hold?

The same question is put to two contexts whose truths differ, so that all that changes is what is
shown. An oracle that answers from the question says the same twice. A change alone is no merit:
random directions change answers, too; counted is also whether both were right.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from random import Random

from activation_oracles.evals.cases import Case, unit_of
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.grade import Grade, contains, exact, plain
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.classification import (
    answers_of,
    as_cases,
    by_task,
    distribution,
)
from activation_oracles.evals.suites.secrets import taboo
from activation_oracles.models.target import Target

CHANGED, BOTH = "answer changed", "right both times"


def sensitivity(given: Given) -> Evaluation:
    """Put each question to a context, and to another with another answer spliced in.

    Contexts are the labelled texts of `classification`, those with few answers, and where there are
    subjects of kind `taboo` their talks. There is the share of answers that are right for what was
    shown, task by task; and of tasks in and out of distribution and of the talks the share of pairs
    whose answers differ, and the share that is right both times. `chance` and `majority` are of
    single answers, not of pairs.
    """
    words = taboo(given) if any(one.kind == "taboo" for one in given.subjects) else None
    has_texts = given.examples is not None or words is None
    texts = by_task(given, is_closed=True) if has_texts else {}
    grades: dict[str, Grade] = dict.fromkeys(texts, exact)
    if words is not None:
        grades |= dict.fromkeys(("taboo, direct", "taboo, standard"), contains)

    def rows(targets: Mapping[str, Target]) -> list[Case]:
        found = [
            replace(one, layers=given.layers)
            for some in texts.values()
            for one in as_cases(some, targets)
        ]
        return [*found, *(words.rows(targets) if words is not None else ())]

    return Evaluation(
        name="sensitivity",
        about="whether answers follow what is shown, right both times (after AObench)",
        subjects=() if words is None else words.subjects,
        rows=rows,
        grade=grades,
        choices={task: answers_of(some) for task, some in texts.items()},
        further=lambda records: paired(
            records,
            {task: distribution(given, task) if task in texts else task for task in grades},
            seed=given.seed,
        ),
    )


def paired(records: Sequence[Record], names: Mapping[str, str], *, seed: int) -> list[Record]:
    """Return two records a pair of answers: whether they differ, and whether both are right.

    A pair is one question, put by one answerer to two contexts of one task that have different true
    answers; every context is the first of one pair, its partner is drawn by the seed, alike for all
    answerers. A question whose contexts all have one answer makes none.

    Args:
        records: single answers.
        names: under which name the pairs of each task are counted.
        seed: decides on partners.
    """
    groups: defaultdict[Hashable, list[Record]] = defaultdict(list)
    for one in records:
        key = one.example.task, one.example.question, one.example.layers, one.who, one.control
        groups[key].append(one)
    found: list[Record] = []
    for group in groups.values():
        random = Random(seed)
        for one in group:
            partner = _partner(one, group, random)
            if partner is not None:
                found += _judged(one, partner, names[one.example.task])
    return found


def _partner(one: Record, group: Sequence[Record], random: Random) -> Record | None:
    start = random.randrange(len(group))
    for other in (*group[start:], *group[:start]):
        differs = plain(other.example.answer) != plain(one.example.answer)
        if differs and unit_of(other.example) != unit_of(one.example):
            return other
    return None


def _judged(one: Record, other: Record, name: str) -> tuple[Record, Record]:
    both = None if None in (one.score, other.score) else min(one.score or 0, other.score or 0)
    # Where nobody was asked there is no text, which is no change.
    is_silent = any(record.score is None and not record.text for record in (one, other))
    changed = None if is_silent else float(plain(one.text) != plain(other.text))
    said = f"{one.text} | {other.text}"
    return (
        replace(
            one, example=replace(one.example, task=f"{name}: {CHANGED}"), text=said, score=changed
        ),
        replace(one, example=replace(one.example, task=f"{name}: {BOTH}"), text=said, score=both),
    )
