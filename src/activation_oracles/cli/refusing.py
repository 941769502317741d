"""When does an abstainer refuse: a threshold that costs an oracle few right answers."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from activation_oracles.errors import DataError
from activation_oracles.types import Example

if TYPE_CHECKING:
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.oracle.refusing import Refusal


@dataclass(frozen=True)
class Weighed:
    """An example, how likely the abstainer finds its refusal, and what that would cost."""

    example: Example
    likely: float
    sure: float
    """How likely the oracle finds its own answer."""
    right: float | None
    """Whether the oracle answers it rightly; None where there is no answer."""


@dataclass(frozen=True)
class Refused:
    """A rule, and what it does to questions that it was not chosen on."""

    rule: "Refusal"
    num_right: int
    """Right answers among those."""
    lost: float
    """Share of them that is refused."""
    num_wrong: int
    warned: float
    """Share of wrong answers that is refused."""
    without: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Of questions without an answer, by task: how many, and the share that is refused."""


def weighed(
    oracle: "Oracle", abstainer: "Oracle", examples: Sequence[Example], max_new_tokens: int
) -> tuple[str, list[Weighed]]:
    """Ask an oracle and its abstainer, and return the refusal's words and what was found.

    Raises:
        DataError: no example has a refusal for its answer.
    """
    from activation_oracles.evals.grade import exact
    from activation_oracles.models.target import Target
    from activation_oracles.oracle import refusing
    from activation_oracles.oracle.confidence import abstains

    words = Counter(one.answer for one in examples if abstains(one.answer))
    if not words:
        raise DataError(
            "No example says that it cannot be told: what an abstainer should refuse is not known. "
            "Build some with `kind: unanswerable`."
        )
    [(text, _)] = words.most_common(1)
    vectors = Target(oracle.model).vectors(examples)
    said = oracle.answer(examples, vectors, max_new_tokens=max_new_tokens)
    pairs = refusing.weighed(oracle, abstainer, examples, vectors, said, text)
    right = [
        None if abstains(one.answer) else exact(answer, one.answer)
        for one, answer in zip(examples, said, strict=True)
    ]
    rows = [Weighed(one, *pair, hit) for one, pair, hit in zip(examples, pairs, right, strict=True)]
    # Where no rule can judge an answer, neither right nor wrong is known.
    return text, [row for row in rows if row.right is not None or abstains(row.example.answer)]


def chosen(text: str, rows: Sequence[Weighed], others: Sequence[Weighed], loss: float) -> Refused:
    """Choose the rule on some rows, and say what it does to others.

    Raises:
        DataError: too few right answers to choose it on.
    """
    from activation_oracles.evals.calibrating import hashed, refusal_rule
    from activation_oracles.oracle.refusing import WEIGHTS, Refusal, refusal_score

    scores = {
        weight: [refusal_score(row.likely, row.sure, weight) for row in rows] for weight in WEIGHTS
    }
    weight, threshold = refusal_rule(scores, [row.right for row in rows], loss)
    rule = Refusal(
        text=text,
        threshold=threshold,
        weight=weight,
        loss=loss,
        num_answers=int(sum(row.right or 0.0 for row in rows)),
        data=hashed([row.example for row in rows]),
    )
    by_kind: defaultdict[str, list[bool]] = defaultdict(list)
    for row in others:
        kind = {None: row.example.task, 0.0: "wrong"}.get(row.right, "right")
        score = refusal_score(row.likely, row.sure, weight)
        by_kind[kind].append(score > threshold)
    right, wrong = by_kind.pop("right", []), by_kind.pop("wrong", [])
    without = {task: (len(some), _share(some)) for task, some in sorted(by_kind.items())}
    return Refused(rule, len(right), _share(right), len(wrong), _share(wrong), without)


def told(found: Refused) -> list[str]:
    """Return what was found as lines for people."""
    rule = found.rule
    lines = [
        f"chosen on {rule.num_answers} right answers, of which it may take {rule.loss:.3f}; "
        "measured on others",
        "",
        f"refuses where the log-odds of {rule.text!r}, less {rule.weight} times those of the "
        f"answer, exceed {rule.threshold:.3f}:",
        f"  {found.lost:.3f} of {found.num_right} right answers",
        f"  {found.warned:.3f} of {found.num_wrong} wrong ones",
    ]
    for task, (number, share) in found.without.items():
        lines.append(f"  {share:.3f} of {number} without an answer, {task}")
    return lines


def _share(refused: Sequence[bool]) -> float:
    return sum(refused) / len(refused) if refused else 0.0
