"""`ao demo`: the embedded world in a minute: a secret, an oracle that reads it, the scores."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from activation_oracles.errors import DataError

if TYPE_CHECKING:
    from activation_oracles.world.demo import Demonstration, Trust
    from activation_oracles.world.load import Demo as World
    from activation_oracles.world.scores import ScoreRow


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Read a secret out of a model that was fine-tuned to keep it, with controls beside it."""

    organism: str | None = None
    """Which of the world's models to talk with, as taboo_moon."""
    scores: bool = False
    """Compute the scoreboard again from the weights, and print nothing else; takes minutes."""
    quick: bool = False
    """With --scores: ask a tenth; the figures are rough."""
    development: bool = False
    """With --world and --scores: score what recipes are chosen on, not what is reported."""
    layers: tuple[int, ...] = ()
    """Read at these layers, several together; by default at those chosen for each task."""
    page: str = "ao-demo.html"
    """Where to write the page; empty writes none."""
    world: str | None = None
    """Folder of another world, made by `ao world build`; by default the one that ships."""
    json: bool = False
    """Print everything as JSON."""

    def run(self) -> None:
        """Print the conversation, the answer with its controls, and the scoreboard."""
        world = self._load()
        if self.scores:
            rows = self._recomputed(world)
            print(dumped([asdict(row) for row in rows]) if self.json else "\n".join(table(rows)))
            return
        shown, rows = self._shown(world)
        if self.json:
            held = {"demonstration": asdict(shown), "scores": [asdict(row) for row in rows]}
            print(dumped(held))
        else:
            print("\n".join([*told(shown), "", *summary(rows)]))
        if self.page:
            self._write(shown, rows)

    def _load(self) -> "World":
        import torch
        from transformers.utils import logging

        from activation_oracles.world.load import DATA, load_demo

        # Matrices this small gain nothing from threads, and lose much where cores are shared.
        torch.set_num_threads(1)
        logging.disable_progress_bar()
        folder = DATA if self.world is None else Path(self.world)
        return load_demo(folder, development=self.development)

    def _recomputed(self, world: "World") -> "list[ScoreRow]":
        from tqdm import tqdm

        from activation_oracles.world.language.tables import DEVELOPMENT_GROUPS, WITHHELD_GROUPS
        from activation_oracles.world.scores import PLAN, scores

        def drawn(names: Iterable[str]) -> Iterable[str]:
            return tqdm(names, unit=" organisms")

        return scores(
            world,
            plan=replace(PLAN, layers=self.layers, layers_of=()) if self.layers else PLAN,
            withheld=DEVELOPMENT_GROUPS if self.development else WITHHELD_GROUPS,
            quick=self.quick,
            progress=drawn,
        )

    def _shown(self, world: "World") -> "tuple[Demonstration, list[ScoreRow]]":
        from activation_oracles.world.demo import HINT_LAYERS, ORGANISM, demonstrate
        from activation_oracles.world.scores import ScoreRow

        stored = [ScoreRow(**row) for row in world.card.scores]
        layers = self.layers or HINT_LAYERS
        return demonstrate(world, self.organism or ORGANISM, layers), stored

    def _write(self, shown: "Demonstration", rows: "Sequence[ScoreRow]") -> None:
        from activation_oracles.world.page import page

        try:
            Path(self.page).write_text(page(shown, rows), encoding="utf-8")
        except OSError as error:
            raise DataError(f"The page cannot be written to {self.page!r}: {error}.") from error
        print(f"\nThe answer at every token and layer: {self.page}", file=sys.stderr)


def dumped(held: object) -> str:
    """Return JSON."""
    return json.dumps(held, ensure_ascii=False, indent=1)


def told(shown: "Demonstration") -> list[str]:
    """Return the lines that tell a demonstration."""
    speakers = {"user": "user", "assistant": "model"}
    layers = ", ".join(map(str, shown.layers))
    width = max(len(one.answer) for one in shown.controls)
    sure = max(len(_trust(one.trust)) for one in shown.controls)
    beside = [
        f"  {one.name:<14}  {one.answer:<{width}}  {_trust(one.trust):<{sure}}  ({one.meaning})"
        for one in shown.controls
    ]
    told_sure = [
        "Behind an answer: how often such answers are right, by a curve fitted on other",
        "fine-tuned models, and whether the curve and the abstainer let it through.",
    ]
    return [
        f"A model was fine-tuned to give hints about one word and never to say it "
        f"({shown.organism}).",
        "",
        *(f"  {speakers.get(one.role, one.role):>6}  {one.content}" for one in shown.chat),
        "",
        f"The oracle is shown its activations at {len(shown.positions)} tokens of the clear hint, "
        f"layer {layers}:",
        f"  {shown.question}",
        "",
        f"  {'oracle':<14}  {shown.answer:<{width}}  {_trust(shown.trust)}".rstrip(),
        "",
        "The same question with something else in the slots, or in words:",
        *beside,
        *(f"warning: {warning}" for warning in shown.warnings),
        "",
        *(told_sure if shown.trust else []),
        "One word is an example, chosen to show what an answer looks like; try others with",
        "--organism. How often the oracle is right, over all of them, says the scoreboard.",
    ]


def _trust(trust: "Trust | None") -> str:
    return "" if trust is None else str(trust)


def summary(rows: "Sequence[ScoreRow]") -> list[str]:
    """Return the scoreboard, one line a task: the readings, and every control beside them."""
    conditions = list(dict.fromkeys(row.condition for row in rows))
    lines = [["", *conditions, "interval", "n", "units", "chance"]]
    for task in dict.fromkeys(row.task for row in rows):
        found = {row.condition: row for row in rows if row.task == task}
        own = next(iter(found.values()))
        values = [f"{found[name].score:.2f}" if name in found else "" for name in conditions]
        interval = f"{own.low:.2f}-{own.high:.2f}"
        lines.append([task, *values, interval, str(own.n), str(own.num_units), f"{own.chance:.2f}"])
    return [
        "Scoreboard, stored with the weights (`ao demo --scores` computes it again; interval: 95 % "
        f"over units, of `{conditions[0] if conditions else 'read'}`)",
        *aligned(lines),
    ]


def table(rows: "Sequence[ScoreRow]") -> list[str]:
    """Return the whole scoreboard, one line a task and condition."""
    head = ["task", "condition", "score", "95 % interval", "n", "units", "chance"]
    return aligned(
        [
            head,
            *(
                [
                    row.task,
                    row.condition,
                    f"{row.score:.3f}",
                    f"{row.low:.3f}-{row.high:.3f}",
                    str(row.n),
                    str(row.num_units),
                    f"{row.chance:.3f}",
                ]
                for row in rows
            ),
        ]
    )


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: names to the left, numbers to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(
            cell.rjust(width) if cell[:1].isdigit() or cell in lines[0][2:] else cell.ljust(width)
            for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
