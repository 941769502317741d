"""The table of the village: what the oracle reads, beside everything that might explain it away.

Layer and moments were chosen on development words, topics and organisms, which do not occur here.
The unit is a word, a person, an organism or a text; intervals resample units, never queries.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from activation_oracles.models.target import Target
from activation_oracles.statistics import clustered
from activation_oracles.types import Example
from activation_oracles.world.cards import OrganismCard
from activation_oracles.world.conditions import CONDITIONS, Said, ask_all
from activation_oracles.world.interviews import InterviewPlan, Query, interview
from activation_oracles.world.language.sentences import report_with
from activation_oracles.world.language.tables import (
    ATTRIBUTES,
    TRAINED_GROUPS,
    WITHHELD_GROUPS,
    things,
)
from activation_oracles.world.load import Demo
from activation_oracles.world.placing import WHOLE_TEXT, place

PLAN = InterviewPlan()
_OF_TEXTS = tuple(one for one in CONDITIONS if one not in ("difference", "base"))


@dataclass(frozen=True)
class ScoreRow:
    """One task under one condition."""

    task: str
    condition: str
    """One of `CONDITIONS`."""
    score: float
    """Share of right answers: whole answers, case and closing punctuation aside."""
    n: int
    """Queries."""
    num_units: int
    """Words, persons, organisms or texts."""
    low: float
    """Lower end of the 95 % interval over units."""
    high: float
    """Upper end."""
    chance: float
    """What a blind guess would score; for people, the best constant guess per attribute."""


def scores(
    demo: Demo,
    *,
    plan: InterviewPlan = PLAN,
    withheld: Sequence[str] = WITHHELD_GROUPS,
    quick: bool = False,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> list[ScoreRow]:
    """Recompute the table.

    Args:
        demo: the village.
        plan: how organisms are interviewed, and at which layers everything is read.
        withheld: yes/no groups that the oracle was not trained on.
        quick: ask a tenth, for a glance: the figures are rough.
        progress: draws the names of organisms as they are read.
    """
    plan = replace(plan, num_prompts=2, num_wordings=1) if quick else plan
    chosen = _few(demo.organisms) if quick else list(demo.organisms)
    targets = {"": demo.target()}
    queries: list[Query] = []
    for name in progress([card.name for card in chosen]):
        card = next(one for one in chosen if one.name == name)
        targets[name] = demo.target(name)
        queries += interview(targets[name], card.secret, plan)
    said = ask_all(demo.oracle, targets, queries)
    texts = classification_queries(targets[""], plan, withheld, 8 if quick else 60)
    said += ask_all(demo.oracle, targets, texts, _OF_TEXTS)
    return table(said)


def _few(cards: Sequence[OrganismCard]) -> list[OrganismCard]:
    """Return the first two organisms of every kind."""
    kinds = dict.fromkeys(card.kind for card in cards)
    return [card for kind in kinds for card in [one for one in cards if one.kind == kind][:2]]


def classification_queries(
    base: Target, plan: InterviewPlan, withheld: Sequence[str], num_texts: int
) -> list[Query]:
    """Draw as many texts with yes as with no for every group, withheld and trained."""
    random = Random(f"classification/{plan.seed}")
    queries: list[Query] = []
    for group in (*withheld, *TRAINED_GROUPS):
        is_withheld = group in withheld
        for number in range(num_texts if is_withheld else num_texts // 3):
            wanted = "Yes" if number % 2 else "No"
            scene = report_with(random, group, wanted)
            truth = next(one for one in scene.truths if one.aspect == group)
            placed = place(base.model.tokenizer, scene.messages)
            positions = placed.words(0)[-WHOLE_TEXT:]
            example = Example(
                context=placed.ids,
                positions=tuple(positions),
                layers=plan.layers_for("classification"),
                question=truth.question(random, reported=plan.reported_wordings),
                answer=wanted,
                task=group,
                source=f"report/{number}",
            )
            task = f"yes/no, withheld: {group}" if is_withheld else "yes/no, trained groups"
            unit = f"{group}/{number}"
            queries.append(Query("", task, unit, scene.messages, example))
    return queries


def table(said: Sequence[Said]) -> list[ScoreRow]:
    """Sum what was said up into rows, in the order of first appearance."""
    groups: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for one in said:
        for task in _tasks(one):
            groups[task, one.condition].append(one)
    rows: list[ScoreRow] = []
    for (task, condition), answers in groups.items():
        rows.append(_row(task, condition, answers, [one.score for one in answers]))
        if task == "taboo":
            firsts, shares = _by_majority(answers)
            rows.append(_row("taboo, by word (most frequent answer)", condition, firsts, shares))
    order = {task: place for place, task in enumerate(dict.fromkeys(row.task for row in rows))}
    return sorted(rows, key=lambda row: order[row.task])


def _tasks(said: Said) -> list[str]:
    """Return the rows an answer counts in: persona by class too, withheld groups together too."""
    task = said.query.task
    if task.startswith("persona"):
        return [task, f"{task}: {said.query.example.answer}"]
    if task.startswith("yes/no, withheld"):
        return ["yes/no, withheld groups", task]
    return [task]


def _row(task: str, condition: str, said: Sequence[Said], values: Sequence[float]) -> ScoreRow:
    estimate = clustered(values, [one.query.unit for one in said])
    return ScoreRow(
        task=task,
        condition=condition,
        score=round(estimate.score, 4),
        n=estimate.num_answers,
        num_units=estimate.num_units,
        low=round(estimate.low, 4),
        high=round(estimate.high, 4),
        chance=round(_chance(task, said), 4),
    )


def _by_majority(said: Sequence[Said]) -> tuple[list[Said], list[float]]:
    """Let the queries about one unit vote: the most frequent answer, the earliest among equals."""
    by_unit: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        by_unit[one.query.unit].append(one)
    firsts, values = [], []
    for answers in by_unit.values():
        votes = Counter(one.answer.casefold() for one in answers)
        firsts.append(answers[0])
        values.append(float(votes.most_common(1)[0][0] == answers[0].query.example.answer))
    return firsts, values


def _chance(task: str, said: Sequence[Said]) -> float:
    if task.startswith(("taboo", "constraint")):
        return 1 / len(things())
    if task.startswith("people"):
        return _best_constant(said)
    return 0.5


def _best_constant(said: Sequence[Said]) -> float:
    """Return the score of always saying each attribute's most frequent value."""
    counts: Mapping[str, Counter[str]] = defaultdict(Counter)
    for one in said:
        answer = one.query.example.answer
        aspect = next(
            name
            for name, values in ATTRIBUTES.items()
            if answer in values and one.query.example.question
        )
        counts[aspect][answer] += 1
    return sum(max(values.values()) for values in counts.values()) / len(said)
