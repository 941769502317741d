"""What an evaluation found, as a table for people and as JSON for programs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from activation_oracles.evals import blindspots_table, rivals
from activation_oracles.evals.blindspots import BlindSpots
from activation_oracles.evals.evaluation import (
    Comparison,
    Record,
    Row,
    advantages,
    compare,
    table,
)
from activation_oracles.evals.rivals import Rivals
from activation_oracles.files import writing


@dataclass(frozen=True)
class Summary:
    """Scores, what they gain over whom, and what was evaluated on what."""

    about: Mapping[str, Any]
    rows: Sequence[Row]
    gains: Sequence[Comparison]
    """Of the first reader of activations over everyone else, its own controls included."""
    advantages: Sequence[Comparison]
    """Of each reader of activations over the best of its own controls."""
    layout: str = ""
    """The table once more, laid out as an evaluation's own publication has it."""
    blind_spots: BlindSpots | None = None
    """What is read, unread or not there, where that was asked for."""
    rivals: Sequence[Rivals] = ()
    """Of each task, the oracle against asking in words."""

    def as_json(self) -> str:
        """Return everything, for programs."""
        held = {
            "about": dict(self.about),
            "rows": [asdict(row) for row in self.rows],
            "gains": [asdict(one) for one in self.gains],
            "advantages": [asdict(one) for one in self.advantages],
        }
        held["rivals"] = [asdict(one) | {"better": one.better} for one in self.rivals]
        if self.blind_spots is not None:
            held["blind_spots"] = blindspots_table.as_json(self.blind_spots)
        return json.dumps(held, indent=1, ensure_ascii=False)

    def as_markdown(self) -> str:
        """Return the tables, for people."""
        facts = "\n".join(f"- {name}: {value}" for name, value in self.about.items())
        best = _gains("advantage over its best control", self.advantages)
        spots = self.blind_spots
        matrix = "" if spots is None else blindspots_table.markdown(spots)
        asking = rivals.markdown(self.rivals)
        gains = _gains("gain", self.gains)
        parts = [self.layout, markdown(self.rows), best, asking, gains, matrix, facts]
        return "\n\n".join(filter(None, parts))

    def save(self, folder: Path) -> None:
        """Write `table.json` and `table.md`.

        Raises:
            DataError: they cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("table.json", self.as_json()), ("table.md", self.as_markdown())):
            with writing(folder / name) as part:
                part.write_text(text + "\n", encoding="utf-8")


def summary(
    records: Sequence[Record],
    about: Mapping[str, Any],
    layout: Callable[[Sequence[Row]], str] | None = None,
) -> Summary:
    """Sum up what was answered, and write the table once more where a layout is given.

    Readers of activations are whoever has controls of its own: an answerer, and the same name with
    something else in the slots. Who said nothing that the rule can judge has a line, and is in no
    comparison.
    """
    answerers = dict.fromkeys((one.who, one.control) for one in records)
    controlled = {who for who, control in answerers if control is not None}
    judged = {one.who for one in records if one.control is None and one.score is not None}
    readers = [who for who, control in answerers if control is None and who in controlled & judged]
    gains = {who: compare(records, who) for who in readers}
    every = [one for some in gains.values() for one in some]
    first = gains[readers[0]] if readers else []
    rows = table(records)
    return Summary(
        about,
        rows,
        first,
        advantages(every),
        layout(rows) if layout else "",
        rivals=rivals.rivals(records),
    )


def markdown(rows: Sequence[Row]) -> str:
    """Return a table for people: score with its interval, how many, chance and majority."""
    lines = [
        "| task | who | control | score | 95 % | n | units | chance | majority | unscorable |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        said, interval, answers, units = "-", "-", 0, 0
        if row.estimate is not None:
            said = f"{row.estimate.score:.3f}"
            interval = f"{row.estimate.low:.3f} to {row.estimate.high:.3f}"
            answers, units = row.estimate.num_answers, row.estimate.num_units
        who = " | ".join(_cell(name) for name in (row.task, row.who, row.control or "-"))
        lines.append(
            f"| {who} | {said} | {interval} | {answers} | {units} | {row.chance:.3f} "
            f"| {row.majority:.3f} | {row.num_unscorable} |"
        )
    return "\n".join(lines)


def _gains(what: str, gains: Sequence[Comparison]) -> str:
    lines = [
        f"| task | who | {what} | over | control | 95 % | n |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in gains:
        gain = one.gain
        lines.append(
            f"| {_cell(one.task)} | {one.who} | {gain.score:+.3f} | {one.other} "
            f"| {one.other_control or '-'} | {gain.low:+.3f} to {gain.high:+.3f} "
            f"| {gain.num_answers} |"
        )
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
