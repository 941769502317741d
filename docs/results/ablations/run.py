"""What each part of a recipe is worth: the runs, tables and figures of ../ablations.md.

    python docs/results/ablations/run.py village runs/ablations/village
    python docs/results/ablations/run.py tinytalk runs/ablations/tinytalk \\
        ../shared runs/tinytalk/tables

Every run is an ordinary one of a grid, so that the same command goes on with what was stopped. All
oracles of a model answer the same held-out questions; what differs is what they learned from.
"""

import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from subjects import BATCH, NUM_LAYERS, STEPS, TRAINED, Subject, tinytalk, village
from transformers import PreTrainedTokenizerFast

from activation_oracles.evals.grade import exact
from activation_oracles.evals.report.grids import read_grids
from activation_oracles.evals.report.plots import save_plots
from activation_oracles.evals.report.report import report
from activation_oracles.figures import colour_of, save, sheet
from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.statistics import over_runs
from activation_oracles.tasks import store
from activation_oracles.training.grid import Grid, plan
from activation_oracles.training.ranking import rank
from activation_oracles.training.ranking import save as save_table
from activation_oracles.training.running import Outcome, run_all
from activation_oracles.types import Example

SEEDS = [1, 2, 3]
HELD_OUT = 150
"""Questions of each task that every oracle answers."""
LAYERS: Mapping[str, tuple[int, ...]] = {"3L-1N": (2, 4, 6), "6L-1N": (1, 2, 3, 4, 5, 6)}


def main(name: str, output: str, *sources: str) -> None:
    """Make the data, run what is not finished, and write tables and figures."""
    torch.set_num_threads(1)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    subject = {"village": village, "tinytalk": tinytalk}[name](folder, *sources)
    data = folder / "data"
    if not data.exists():
        _write_data(subject, data)
    grids = {
        "data and layers": _run(
            subject, folder / "data and layers", {"data": [[str(one)] for one in _in(data)]}
        )
    }
    for name, setting, values in (
        ("block", "injection_block", [0, 1]),
        ("mode", "injection_mode", ["add", "replace"]),
    ):
        for seed in SEEDS:
            # The same run stands in every grid.
            place = folder / name / f"{setting}-{values[0]}_seed-{seed}"
            if not place.exists():
                shutil.copytree(folder / "data and layers" / f"data-full_seed-{seed}", place)
        grids[name] = _run(subject, folder / name, {setting: values}, data=[str(data / "full")])
    tables = [_table(outcomes) for outcomes in grids.values()] + [_by_layer(subject, folder)]
    (folder / "tables.md").write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    save_plots(report([], {}, grids=read_grids([folder])), folder / "figures")


def _in(data: Path) -> list[Path]:
    order = ["full", "truncated"]
    found = sorted(one for one in data.iterdir() if one.name not in (*order, *LAYERS))
    return [data / one for one in order] + found + [data / one for one in LAYERS]


def _write_data(subject: Subject, folder: Path) -> None:
    """Write every variant of the training examples, beside held-out ones that all share."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(subject.model)
    held_out = list(_each(subject.draw("held_out", 20 * HELD_OUT), HELD_OUT))
    drawn = subject.draw("train", STEPS * BATCH)
    share = STEPS * BATCH // len(subject.families)
    by_family = {
        family: [one for one in drawn if one.task.startswith(tasks)][:share]
        for family, tasks in subject.families.items()
    }
    short = [name for name, some in by_family.items() if len(some) < share]
    assert not short, short
    full = [one for some in by_family.values() for one in some]
    Random("ablations").shuffle(full)
    at_all = {
        name: [replace(one, layers=layers) for one in full] for name, layers in LAYERS.items()
    }
    variants = {"full": full, "truncated": full[:share], **by_family, **at_all}
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    manifest = partial(store.Manifest, command=" ".join(sys.argv), seed=7)
    for name, train in variants.items():
        layers = LAYERS.get(name)
        asked = [replace(one, layers=layers) for one in held_out] if layers else held_out
        splits = {"train": train, "held_out": asked}
        store.write(part / name, splits, manifest(tokenizer=store.hash_tokenizer(tokenizer)))
    part.rename(folder)


def _each(examples: Sequence[Example], count: int) -> Iterator[Example]:
    """Yield so many examples of each task."""
    seen: dict[str, int] = defaultdict(int)
    for one in examples:
        seen[one.task] += 1
        if seen[one.task] <= count:
            yield one


def _run(
    subject: Subject, folder: Path, varied: Mapping[str, list[Any]], **more: Any
) -> list[Outcome]:
    base = {
        "model": subject.model,
        "dtype": "float32",
        "device": "cpu",
        "injection_block": 0,
        "learning_rate": 1e-3,
        "batch_size": BATCH,
        "evaluate_every": 10 * STEPS,
        "evaluate_examples": HELD_OUT,
        **subject.settings,
        **more,
    }
    runs = plan(Grid(base=base, grid={**varied, "seed": SEEDS}), folder)
    outcomes = run_all(runs, progress=lambda some: _announced(list(some)))
    save_table(rank(outcomes, "accuracy", over_runs), folder)
    return outcomes


def _announced(runs: list[Any]) -> Iterator[Any]:
    for number, run in enumerate(runs, start=1):
        print(f"{number} of {len(runs)}: {run.config.output}", file=sys.stderr, flush=True)
        yield run


def _table(outcomes: Sequence[Outcome]) -> str:
    """Return accuracy by task, and the mean loss, each with its interval over seeds."""
    by_settings: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in outcomes:
        assert one.scores is not None, one.error
        named = {key: value for key, value in one.run.varied.items() if key != "seed"}
        by_settings[", ".join(map(_named, named.values()))].append(one.scores)
    tasks = list(outcomes[0].scores or {})
    lines = [f"| | {' | '.join(tasks)} | mean over tasks | loss |", "|---" * (len(tasks) + 3) + "|"]
    for settings, runs in by_settings.items():
        cells = [_cell([run[task].accuracy for run in runs], (0, 1)) for task in tasks]
        means = [sum(run[task].accuracy for task in tasks) / len(tasks) for run in runs]
        losses = [sum(run[task].loss for task in tasks) / len(tasks) for run in runs]
        row = [settings, *cells, _cell(means, (0, 1)), _cell(losses, None)]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _named(value: Any) -> str:
    return Path(value[0]).name if isinstance(value, list) else str(value)


def _cell(values: Sequence[float], limits: tuple[float, float] | None) -> str:
    low, high = over_runs(values, limits)
    return f"{sum(values) / len(values):.2f} ({low:.2f} to {high:.2f})"


def _by_layer(subject: Subject, folder: Path) -> str:
    """Ask the three whole oracles at every layer, also those that they were not trained at."""
    place = folder / "layers.json"
    if not place.exists():
        found = [_at_every_layer(subject, folder, seed) for seed in SEEDS]
        place.write_text(json.dumps(found, indent=1), encoding="utf-8")
    found = json.loads(place.read_text(encoding="utf-8"))
    tasks = list(found[0]["0"]["read"])
    lines = [
        f"| layer | {' | '.join(tasks)} | mean | mean, random |",
        "|---" * (len(tasks) + 3) + "|",
    ]
    drawn: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for layer in map(str, range(NUM_LAYERS)):
        cells = [_cell([run[layer]["read"][task] for run in found], (0, 1)) for task in tasks]
        for shown in ("read", "random"):
            means = [sum(run[layer][shown].values()) / len(tasks) for run in found]
            cells.append(_cell(means, (0, 1)))
            drawn[shown].append((sum(means) / len(means), *over_runs(means, (0, 1))))
        trained = ", trained" if int(layer) in TRAINED else ""
        lines.append(f"| {layer}{trained} | {' | '.join(cells)} |")
    save([("by layer", _figure(drawn))], folder / "figures by layer")
    return "\n".join(lines)


def _at_every_layer(subject: Subject, folder: Path, seed: int) -> dict[str, Any]:
    model = load(subject.model, dtype="float32")
    home = folder / "data and layers" / f"data-full_seed-{seed}"
    oracle, target = Oracle.from_pretrained(str(home), model=model), Target(model)
    asked = list(store.read(folder / "data" / "full", "held_out"))
    found: dict[str, Any] = {}
    for layer in range(NUM_LAYERS):
        examples = [replace(one, layers=(layer,)) for one in asked]
        read = list(target.vectors(examples))
        noise = torch.Generator().manual_seed(seed)
        random = [torch.randn(one.shape, generator=noise) for one in read]
        found[str(layer)] = {
            "read": _accuracies(oracle, examples, read),
            "random": _accuracies(oracle, examples, random),
        }
    return found


def _accuracies(
    oracle: Oracle, examples: Sequence[Example], vectors: Sequence[torch.Tensor]
) -> dict[str, float]:
    right: dict[str, list[float]] = defaultdict(list)
    for one, said in zip(examples, oracle.answer(examples, vectors), strict=True):
        right[one.task].append(exact(said, one.answer) or 0.0)
    return {task: sum(some) / len(some) for task, some in right.items()}


def _figure(drawn: Mapping[str, Sequence[tuple[float, float, float]]]) -> Any:
    figure, (axes,) = sheet(3.4)
    for place, (shown, points) in enumerate(drawn.items()):
        means = [mean for mean, _, _ in points]
        lengths = [
            [mean - low for mean, low, _ in points],
            [high - mean for mean, _, high in points],
        ]
        axes.errorbar(
            range(NUM_LAYERS), means, yerr=lengths, marker="o", color=colour_of(place), label=shown
        )
    axes.set(
        xlabel="layer (trained at 2, 4, 6)",
        ylabel="share right, mean over tasks",
        ylim=(-0.02, 1.02),
    )
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
