"""`ao sweep`: one question at every token and every layer, each alone."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from activation_oracles.cli.reading import Reading
from activation_oracles.errors import DataError

if TYPE_CHECKING:
    from activation_oracles.oracle.oracle import Sweep as Grid
    from activation_oracles.types import Answer

WIDEST = 24
"""Characters of one cell of the printed table."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Ask one question of every token at every layer, each alone."""

    reading: Annotated[Reading, tyro.conf.arg(name="")]
    question: str
    """What to ask about each activation."""
    choices: tuple[str, ...] = ()
    """Answers to choose between; without them the oracle answers freely."""
    controls: tuple[str, ...] = ("nothing", "random")
    """What else to ask the same of: nothing, random."""
    json: bool = False
    """Print everything, provenance included, as one JSON object."""

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise DataError("The question is empty. Ask something, as 'What is the secret word?'.")
        lone = {"nothing", "random"}
        if not lone.issuperset(self.controls):
            raise DataError(
                f"A sweep's controls are nothing and random, got {', '.join(self.controls)}."
            )

    def run(self) -> None:
        """Print a table of answers, tokens down and layers across."""
        from activation_oracles.oracle.inputs import check_choices

        if self.choices:
            check_choices(self.choices)
        opened = self.reading.open(every_layer=True)
        grid = opened.oracle.sweep(
            opened.activations,
            self.question,
            choices=self.choices or None,
            controls=self.reading.controls(self.controls, opened),
        )
        if self.json:
            print(json.dumps(asdict(grid), ensure_ascii=False, indent=2))
            return
        for line in told(grid):
            print(line)


def told(grid: "Grid") -> list[str]:
    """Return the table's lines, and below it how often each control says the same."""
    rows = [["", "token", *(f"layer {layer}" for layer in grid.layers)]]
    for column, position in enumerate(grid.positions):
        piece = repr(grid.pieces[column]) if grid.pieces else ""
        rows.append([str(position), piece, *(_cell(row[column]) for row in grid.answers)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [*table, *_agreements(grid)]


def _agreements(grid: "Grid") -> list[str]:
    answers = [answer for row in grid.answers for answer in row]
    return [
        f"{name} says the same at {sum(_same(answer, name) for answer in answers)} "
        f"of {len(answers)} places"
        for name in answers[0].controls
    ]


def _same(answer: "Answer", control: str) -> bool:
    return answer.controls[control].text == answer.text


def _cell(answer: "Answer") -> str:
    best = f" {max(answer.probabilities.values()):.2f}" if answer.probabilities else ""
    text = " ".join(answer.text.split())
    room = WIDEST - len(best)
    return (text if len(text) <= room else f"{text[: room - 3]}...") + best
