"""Run answerers over examples, keep every answer as a `Record`, and make a table of them.

Answerers are handed in: an oracle, a probe, a prompt and a control are the same thing here. No
table is made without at least two controls, because a score alone cannot tell what was read from
what was guessed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.cases import unit_of
from activation_oracles.evals.grade import Grade
from activation_oracles.statistics import Estimate, clustered, paired_difference
from activation_oracles.types import Example

MIN_CONTROLS = 2


@runtime_checkable
class Answerer(Protocol):
    """Anything that answers examples: an oracle, a probe, a prompt, or a control of one."""

    @property
    def name(self) -> str:
        """Who answers, as `oracle` or `linear probe`."""
        ...

    @property
    def control(self) -> str | None:
        """What was put in place of what should be read, as `nothing`; None for the real thing."""
        ...

    def answer(self, examples: Sequence[Example]) -> Sequence[str | None]:
        """Return one answer an example, in order, without looking at the true ones.

        None where an example cannot be put to it: that is unscored, and not wrong.
        """
        ...


@dataclass(frozen=True)
class Record:
    """One example, what was said to it, and how that was judged."""

    example: Example
    text: str
    """What was said; empty where nobody was asked."""
    score: float | None
    """From 0 to 1; None where the rule cannot judge it, or nobody was asked."""
    who: str
    control: str | None


@dataclass(frozen=True)
class Row:
    """One line of a table: one answerer on one task."""

    task: str
    who: str
    control: str | None
    estimate: Estimate | None
    """Score and 95 % interval; None when no answer could be judged."""
    num_unscorable: int
    """How many answers the rule could not judge; they are in no other number."""
    chance: float
    """One over the number of different true answers in these rows."""
    majority: float
    """What always saying the most frequent true answer of these rows would score."""


@dataclass(frozen=True)
class Comparison:
    """How much better one answerer did than another on the same rows of a task."""

    task: str
    who: str
    control: str | None
    other: str
    other_control: str | None
    gain: Estimate
    """Mean difference of the two scores; an interval without 0 is more than chance."""


def run(
    examples: Sequence[Example],
    answerers: Sequence[Answerer],
    grade: Grade | Mapping[str, Grade],
    *,
    progress: Callable[[Sequence[Answerer]], Iterable[Answerer]] = iter,
) -> list[Record]:
    """Put every example to every answerer and judge what they say.

    Args:
        examples: the rows; the answerers see all of them.
        answerers: who answers; at least two must be controls.
        grade: one rule for all, or one for each task.
        progress: wraps the answerers, to show how far the run is.

    Raises:
        ConfigError: fewer than two controls, two answerers of one name, or a task without a rule.
        DataError: there are no examples.
    """
    check_answerers(answerers)
    if not examples:
        raise DataError("There are no examples to evaluate. Is this split empty?")
    return [
        record for answerer in progress(answerers) for record in judged(examples, answerer, grade)
    ]


def judged(
    examples: Sequence[Example], answerer: Answerer, grade: Grade | Mapping[str, Grade]
) -> list[Record]:
    """Put every example to one answerer and judge what it says.

    Raises:
        ConfigError: a task without a rule.
    """
    rules = grade if isinstance(grade, Mapping) else {one.task: grade for one in examples}
    without = sorted({one.task for one in examples} - set(rules))
    if without:
        raise ConfigError(f"Tasks {without} have no grade; give one for each.")
    texts = answerer.answer(examples)
    assert len(texts) == len(examples), f"{answerer.name}: {len(texts)} of {len(examples)}"
    return [
        Record(
            one,
            text or "",
            None if text is None else rules[one.task](text, one.answer),
            answerer.name,
            answerer.control,
        )
        for one, text in zip(examples, texts, strict=True)
    ]


def table(records: Sequence[Record], *, unit: Callable[[Example], str] = unit_of) -> list[Row]:
    """Return one row for each task and answerer, in the order they were first seen.

    Args:
        records: what `run` returned.
        unit: what of an example is independent of others: its word, its person, its text.
    """
    groups: dict[tuple[str, str, str | None], list[Record]] = defaultdict(list)
    for record in records:
        groups[record.example.task, record.who, record.control].append(record)
    places = {task: place for place, task in enumerate(dict.fromkeys(key[0] for key in groups))}
    ordered = sorted(groups, key=lambda key: places[key[0]])
    return [_row(*key, groups[key], unit) for key in ordered]


def compare(
    records: Sequence[Record], who: str, *, unit: Callable[[Example], str] = unit_of
) -> list[Comparison]:
    """Set the answerer `who` (not its controls) against every other, task by task, row by row.

    Rows that one of the two was not put, or that cannot be judged, are left out.

    Raises:
        DataError: nobody of that name answered.
    """
    scores: dict[tuple[str, str, str | None], dict[Example, float]] = defaultdict(dict)
    for record in records:
        if record.score is not None:
            key = record.example.task, record.who, record.control
            scores[key][record.example] = record.score
    if not any(name == who and control is None for _, name, control in scores):
        raise DataError(f"Nobody named {who!r} answered, of {sorted({key[1] for key in scores})}.")
    found: list[Comparison] = []
    for (task, other, control), theirs in scores.items():
        ours = scores.get((task, who, None), {})
        both = [one for one in theirs if one in ours]
        if (other, control) == (who, None) or not both:
            continue
        gain = paired_difference(
            [ours[one] for one in both], [theirs[one] for one in both], [unit(one) for one in both]
        )
        found.append(Comparison(task, who, None, other, control, gain))
    return found


def advantages(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return, of each task and answerer, its gain over the best of its own controls.

    The best is the one it gains least on: which that is was chosen on the same rows, so what is
    left is rather too little than too much.
    """
    least: dict[tuple[str, str], Comparison] = {}
    for one in comparisons:
        held = least.get((one.task, one.who))
        is_own = one.other == one.who and one.other_control is not None
        if is_own and (held is None or one.gain.score < held.gain.score):
            least[one.task, one.who] = one
    return list(least.values())


def check_answerers(
    answerers: Sequence[Answerer], *, min_controls: int = MIN_CONTROLS, are_distinct: bool = True
) -> None:
    """See that a table of these answerers can be read, and is honest.

    Raises:
        ConfigError: two have one name and must be distinct, or too few are controls.
    """
    names = Counter((answerer.name, answerer.control) for answerer in answerers)
    twice = sorted(str(name) for name, count in names.items() if count > 1)
    if twice and are_distinct:
        raise ConfigError(f"Answerers {twice} come twice; a table could not tell them apart.")
    num_controls = sum(answerer.control is not None for answerer in answerers)
    if num_controls < min_controls:
        raise ConfigError(
            f"An evaluation needs at least {min_controls} controls, got {num_controls} among "
            f"{[answerer.name for answerer in answerers]}. Add for example no injection and a "
            "random direction."
        )


def _row(
    task: str,
    who: str,
    control: str | None,
    records: Sequence[Record],
    unit: Callable[[Example], str],
) -> Row:
    true = Counter(record.example.answer for record in records)
    judged = [
        (record.score, unit(record.example)) for record in records if record.score is not None
    ]
    return Row(
        task=task,
        who=who,
        control=control,
        estimate=clustered([score for score, _ in judged], [one for _, one in judged])
        if judged
        else None,
        num_unscorable=len(records) - len(judged),
        chance=1 / len(true),
        majority=max(true.values()) / len(records),
    )
