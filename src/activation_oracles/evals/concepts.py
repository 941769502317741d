"""Concepts under conditions: which rows ask for one, and what everybody scores on them.

A concept is what a question is about: a task, one of its answers, or a group of rows. A condition
is where it is read: at which layers, from how many tokens.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from activation_oracles.errors import ConfigError
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.grade import plain
from activation_oracles.evals.report.slices import WAYS
from activation_oracles.statistics import Estimate, paired_difference
from activation_oracles.types import Example

QUESTION_ALONE = "no activations"
"""The control that knows nothing but the question: nobody has read anything who is no better."""

Answerer = tuple[str, str | None]
"""Who, and under which control."""
Values = dict[Example, float]


def cells(
    records: Sequence[Record], concept: Callable[[Example], str], by: Sequence[str]
) -> dict[tuple[str, str], dict[Answerer, list[Record]]]:
    """Return, for each concept and condition, everybody's answers to its tasks' rows under it.

    Args:
        records: everybody's answers.
        concept: what a row is about.
        by: what makes conditions, of `slices.WAYS`.

    Raises:
        ConfigError: there is no such way to make conditions.
    """
    if unknown := sorted(set(by) - set(WAYS)):
        raise ConfigError(f"Conditions are made by {', '.join(map(repr, WAYS))}; got {unknown}.")
    examples = list(dict.fromkeys(one.example for one in records))
    ways = [(name, *WAYS[name](examples)) for name in by]
    rows: defaultdict[tuple[str, str], defaultdict[Answerer, list[Record]]]
    rows = defaultdict(lambda: defaultdict(list))
    tasks: dict[tuple[str, str], set[str]] = {}
    condition_of = {
        one: "; ".join(f"{name} {of[one]}" for name, of, _ in ways) or "all"
        for one in examples
        if all(one in of for _, of, _ in ways)
    }
    places = {one: [groups.index(of[one]) for _, of, groups in ways] for one in condition_of}
    concepts = list(dict.fromkeys(map(concept, examples)))
    order = sorted(places, key=lambda one: (concepts.index(concept(one)), places[one]))
    for one in order:
        condition = condition_of[one]
        tasks.setdefault((concept(one), condition), set()).add(one.task)
    for record in records:
        if record.example in condition_of:
            place = record.example.task, condition_of[record.example]
            rows[place][record.who, record.control].append(record)
    found: dict[tuple[str, str], dict[Answerer, list[Record]]] = {}
    for (name, condition), some in tasks.items():
        held: defaultdict[Answerer, list[Record]] = defaultdict(list)
        for task in sorted(some):
            for answerer, answers in rows[task, condition].items():
                held[answerer] += answers
        found[name, condition] = held
    return found


class Cell:
    """What everybody scores on the rows of a concept under a condition.

    A concept of several true answers is found where these are told apart. One that is a single
    answer is found where that is given when it is true, and not when it is not: then the value of
    a row is its share of the covariance of the two, over all rows of the task.
    """

    def __init__(
        self,
        rows: Mapping[Answerer, Sequence[Record]],
        name: str,
        concept: Callable[[Example], str],
        unit: Callable[[Example], str],
    ) -> None:
        self.name, self.unit = name, unit
        inside = {one.example for some in rows.values() for one in some}
        self.inside = {one for one in inside if concept(one) == name}
        answers = {(one.task, plain(one.answer)) for one in self.inside}
        self.is_one_answer = len(answers) == len({task for task, _ in answers})
        self.share = len(self.inside) / len(inside) if self.is_one_answer else 0.5
        self._rows = rows
        self._answer = next(iter(answers))[1]
        self.is_known = 0 < self.share < 1 and not (self.is_one_answer and len(answers) > 1)
        """Whether there is anything to tell apart."""

    @property
    def scale(self) -> float:
        """What makes differences of values ones of scores."""
        return 2 / (self.share * (1 - self.share)) if self.is_one_answer else 1.0

    def scores(self, answerer: Answerer) -> Values:
        """Return the scores of the concept's own rows."""
        return {
            one.example: one.score
            for one in self._rows.get(answerer, ())
            if one.score is not None and one.example in self.inside
        }

    def values(self, answerer: Answerer) -> Values:
        """Return what each row says for the answerer."""
        if not self.is_one_answer:
            return self.scores(answerer)
        said = {
            one.example: float(plain(one.text) == self._answer)
            for one in self._rows.get(answerer, ())
            if one.score is not None
        }
        mean = sum(said.values()) / max(1, len(said))
        # Halved: two differ by up to 2, and estimates are of differences up to 1.
        return {
            example: (gave - mean) * ((example in self.inside) - self.share) / 2
            for example, gave in said.items()
        }

    def chance(self, values: Values) -> Values:
        """Return what always giving the most frequent answer scores, on average, in a row's task.

        Its share and not its score row by row: true answers given, who reads nothing is right in
        that share at best, and to compare with a share is much surer.
        """
        if self.is_one_answer:
            return dict.fromkeys(values, 0.0)
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for one in values:
            counts[one.task][plain(one.answer)] += 1
        share = {task: max(some.values()) / some.total() for task, some in counts.items()}
        return {one: share[one.task] for one in values}

    def elsewhere(self, answerer: Answerer) -> float:
        """Return how often the answerer gives the concept's answer where another is true."""
        said = [
            plain(one.text) == self._answer
            for one in self._rows[answerer]
            if one.score is not None and one.example not in self.inside
        ]
        return sum(said) / max(1, len(said))

    def gain(self, ours: Values, theirs: Values, level: float) -> Estimate | None:
        """Estimate what one gains over another on the rows that both have; None without any."""
        both = [one for one in ours if one in theirs]
        if not both:
            return None
        found = paired_difference(
            [ours[one] for one in both],
            [theirs[one] for one in both],
            [self.unit(one) for one in both],
            level=level,
        )
        times = self.scale
        return replace(
            found, score=found.score * times, low=found.low * times, high=found.high * times
        )

    def floors(self, who: str) -> list[Answerer]:
        """Return what an answerer must beat: its own controls, and who knows the question alone."""
        return [
            (other, control)
            for other, control in self._rows
            if control is not None and (other == who or control == QUESTION_ALONE)
        ]
