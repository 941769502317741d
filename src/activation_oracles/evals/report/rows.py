"""Every row of a report with everybody's answers, as compact JSON that its page looks through.

Texts are written once and named by number: most answers come many times, and a page of twenty
thousand rows must still open.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from activation_oracles.evals.cases import Case, subject_of, unit_of
from activation_oracles.evals.report.report import Report
from activation_oracles.models.blocks import named_layers
from activation_oracles.types import READING, Example

FIELDS = ("task", "question", "answer", "subject", "unit", "source", "where", "text", "shown")
"""What stands before the answers of a row, each by its number among the texts."""
DECIMALS = 4


@dataclass
class Texts:
    """Texts in order of their first use."""

    numbers: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: str) -> int:
        """Return the number of a text."""
        return self.numbers.setdefault(text, len(self.numbers))


def rows(report: Report) -> dict[str, Any]:
    """Return all rows: `texts`, `fields`, `answerers` (run, who, control) and `rows`.

    A row is the numbers of its fields' texts, then for each answer three numbers: the answerer,
    the text that it said, and its score, which is null where the rule could not judge it.
    """
    texts = Texts()
    answerers: dict[tuple[str, str, str | None], int] = {}
    found: dict[Example, list[int | float | None]] = {}
    for run in report.runs:
        for record in run.records:
            row = found.get(record.example)
            if row is None:
                row = found[record.example] = [
                    texts(one) for one in _fields(record.example, report.decode)
                ]
            key = run.name, record.who, record.control
            number = answerers.setdefault(key, len(answerers))
            score = None if record.score is None else round(record.score, DECIMALS)
            row += [number, texts(record.text), score]
    return {
        "texts": list(texts.numbers),
        "fields": FIELDS,
        "answerers": list(answerers),
        "rows": list(found.values()),
    }


def _fields(example: Example, decode: Callable[[Sequence[int]], str] | None) -> list[str]:
    text, shown = "", ""
    if decode is not None and example.context:
        text = decode(example.context)
        if example.shown == READING:
            shown = decode([example.context[place] for place in example.positions])
    elif isinstance(example, Case):
        text = "\n".join(f"{role}: {content}" for role, content in example.talk)
    held = {
        "task": example.task,
        "question": example.question,
        "answer": example.answer,
        "subject": subject_of(example),
        "unit": unit_of(example),
        "source": example.source,
        "where": _where(example),
        "text": text,
        "shown": shown,
    }
    return [held[name] for name in FIELDS]


def _where(example: Example) -> str:
    """Say which layers and tokens are shown."""
    layers = f"layer{'s' if len(example.layers) > 1 else ''} {named_layers(example.layers)}"
    if example.shown != READING:
        return f"{layers}, shown {example.shown}"
    first, last = min(example.positions), max(example.positions)
    of = f"of {len(example.context)} tokens"
    if len(example.positions) == 1:
        return f"{layers}, token {first} {of}"
    is_span = len(example.positions) == last - first + 1
    places = f"{first} to {last}" if is_span else f"{len(example.positions)} in {first} to {last}"
    return f"{layers}, tokens {places} {of}"
