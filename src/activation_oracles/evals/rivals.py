"""Oracle or asking: for which questions does reading activations beat simply asking in words?

Of each task the best way of asking the oracle is set against the best way of asking in words, on
the rows that both can be judged on. A way that declines to answer some is in no running: it would
win by what it leaves out. To have beaten words is worth nothing where a control of the
oracle's own does as well, so both gains decide.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from activation_oracles.evals.cases import unit_of
from activation_oracles.evals.evaluation import Record
from activation_oracles.statistics import Estimate, clustered, paired_difference
from activation_oracles.types import Example

IN_WORDS = "text, no activations"
"""The control of whoever is given the text and the question, and no activations."""
Better = Literal["oracle", "asking", "neither"]
LEVEL = 0.95
_Key = tuple[str, str | None]
_Scores = Mapping[Example, float]


@dataclass(frozen=True)
class Rivals:
    """One task: the best way of asking the oracle, and the best way of asking in words."""

    task: str
    oracle: str
    """Which way of asking the oracle."""
    read: Estimate
    """What it scores."""
    asked: str
    """Who is asked in words, and how."""
    said: Estimate
    """What that scores."""
    gain: Estimate
    """Of the oracle over asking, row by row; the interval is wider than 95 % where the best of
    several was taken, by so many."""
    advantage: Estimate | None
    """Of the oracle over the best of its own controls; None where none can be judged."""

    @property
    def better(self) -> Better:
        """Return which of the two is better, as far as these rows tell.

        An oracle that does not beat its controls has read nothing, however little words say.
        """
        if self.gain.high < 0:
            return "asking"
        reads = self.advantage is not None and self.advantage.low > 0
        return "oracle" if self.gain.low > 0 and reads else "neither"


def rivals(records: Sequence[Record], *, unit: Callable[[Example], str] = unit_of) -> list[Rivals]:
    """Return the rivals of each task that both sides answered, in the order of the records.

    Args:
        records: answers of an oracle, its controls, and of whoever was asked in words.
        unit: what of an example is independent of others, as in `table`.
    """
    by_task: dict[str, dict[_Key, dict[Example, float]]] = defaultdict(lambda: defaultdict(dict))
    declining = {
        (one.example.task, one.who)
        for one in records
        if one.control is None and one.score is None and not one.text
    }
    for one in records:
        if one.score is not None and (one.example.task, one.who) not in declining:
            by_task[one.example.task][one.who, one.control][one.example] = one.score
    found = [_rivals(task, scores, unit) for task, scores in by_task.items()]
    return [one for one in found if one is not None]


def markdown(found: Sequence[Rivals]) -> str:
    """Return a table for people; nothing where there are no rivals."""
    if not found:
        return ""
    lines = [
        "| task | better | oracle | score | in words | score | gain | 95 % | over its best control "
        "| n |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        names = [one.task, one.better, one.oracle, f"{one.read.score:.3f}", one.asked]
        own = one.advantage
        numbers = [
            f"{one.said.score:.3f}",
            f"{one.gain.score:+.3f}",
            f"{one.gain.low:+.3f} to {one.gain.high:+.3f}",
            "-" if own is None else f"{own.score:+.3f} ({own.low:+.3f} to {own.high:+.3f})",
            str(one.gain.num_answers),
        ]
        cells = [cell.replace("|", r"\|").replace("\n", " ") for cell in (*names, *numbers)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _rivals(
    task: str, scores: Mapping[_Key, _Scores], unit: Callable[[Example], str]
) -> Rivals | None:
    controlled = {who for who, control in scores if control not in (None, IN_WORDS)}
    readers = [key for key in scores if key[1] is None and key[0] in controlled]
    asked = [key for key in scores if key[1] == IN_WORDS]
    pairs = [(a, b) for a in readers for b in asked if scores[a].keys() & scores[b].keys()]
    if not pairs:
        return None

    def estimate(key: _Key) -> Estimate:
        held = scores[key]
        return clustered(list(held.values()), [unit(one) for one in held])

    def gain(ours: _Key, theirs: _Key, level: float = LEVEL) -> Estimate | None:
        both = [one for one in scores[ours] if one in scores[theirs]]
        if not both:
            return None
        mine, other = ([scores[key][one] for one in both] for key in (ours, theirs))
        return paired_difference(mine, other, [unit(one) for one in both], level=level)

    oracle = max((key for key, _ in pairs), key=lambda key: estimate(key).score)
    words = max((b for a, b in pairs if a == oracle), key=lambda key: estimate(key).score)
    best = gain(oracle, words, 1 - (1 - LEVEL) / len(pairs))
    assert best is not None, "pairs share rows"
    own = [gain(oracle, key) for key in scores if key[0] == oracle[0] and key != oracle]
    return Rivals(
        task=task,
        oracle=oracle[0],
        read=estimate(oracle),
        asked=words[0],
        said=estimate(words),
        gain=best,
        advantage=min(
            (one for one in own if one is not None), key=lambda one: one.score, default=None
        ),
    )
