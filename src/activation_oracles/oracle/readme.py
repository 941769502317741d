"""The README beside a saved oracle, which is its model card on the hub: what a stranger reads.

It says nothing that the card does not hold. Scores stand with their controls or say that they have
none, and what an answer is not good for stands on the same page as how to get one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from activation_oracles.oracle.card import Card
from activation_oracles.oracle.inspection import manifests_of, tasks_of, version_of, within
from activation_oracles.oracle.scores import HeldOut, Line, evaluated, held_out, unproven

FILE = "README.md"
HERE = "this folder or hub id"

USE = """```python
from activation_oracles import Oracle, Target
from activation_oracles.oracle.controls import Nothing, RandomDirection
oracle = Oracle.from_pretrained("{name}")
reading = Target(oracle.model).read("The soup was cold.", layers={layers}, positions="all")
answer = oracle.ask(reading, "What is this about?", controls=[Nothing(), RandomDirection()])
print(answer.text, {{name: one.text for name, one in answer.controls.items()}}, answer.warnings)
```"""

WITHOUT_CONTROLS = (
    "Shares of exact greedy answers on held-out examples at the end of training. The interval "
    "counts every answer as independent, so it is too narrow where several are about one text. "
    "**No controls were run for these**: they do not tell what was read from activations from what "
    "the question gives away. `ao eval` scores both."
)
WITH_CONTROLS = (
    "Each score with its 95 % interval, resampled over texts, and beside it what the same "
    "questions score with something else in the slots, or asked otherwise. What does not exceed "
    "its controls was not read from activations."
)
ANSWERS = (
    "It always answers, also where the vectors hold nothing of what is asked; unsupported answers "
    "read as fluently as true ones."
)
ABSTAINS = (
    "It was taught to say that it cannot tell. It may fail to where it should, and say so of what "
    "it could have read; unsupported answers read as fluently as true ones."
)
TAUGHT_TO_ABSTAIN = ("unanswerable", "unanswered")
"""Tasks of questions without an answer, by what stands before their slash."""
INVENTS = "Details (names, numbers, quotations) can be invented even where the gist is right."
UNMEASURED = (
    "At other layers than those above it was not trained, and its answers there were not measured."
)
MEASURED = (
    "At other layers than those above it was not trained; what it scores there stands by depth."
)
MISUSE = (
    "An answer is not evidence by itself. It is a guess by a language model about numbers, and may "
    "be wrong without any sign of it. Report it together with the answers to controls (nothing in "
    "the slots, random directions, another text's activations), and check what follows from it in "
    "another way.\n\n"
    "Do not use it against people: not to infer what a person is, believes or intends, not to "
    "watch or sort users, and not as a ground for any decision about them."
)


def readme(
    card: Card, *, name: str = HERE, license_id: str | None = None, datasets: Sequence[str] = ()
) -> str:
    """Return the model card, with the metadata that the hub reads.

    Args:
        card: what is known of the oracle.
        name: where it is loaded from.
        license_id: the hub's name of a licence, as `mit`; left out where it is not known.
        datasets: hub ids of data that it was trained on.
    """
    metadata = {
        "library_name": "peft",
        "base_model": card.model,
        "base_model_relation": "adapter",
        "license": license_id,
        "datasets": list(datasets),
        "tags": ["activation-oracle", "interpretability", "lora"],
    }
    recommended = card.depth.recommended if card.depth else ()
    known = {field: value for field, value in metadata.items() if value}
    parts = [
        f"---\n{yaml.safe_dump(known, sort_keys=False, allow_unicode=True)}---",
        f"# Activation oracle for {card.model}",
        f"A LoRA adapter with which {card.model} answers questions, in words, about activations of "
        f"{card.model} itself or of fine-tuned variants of it. Method: Activation Oracles, "
        "[arXiv 2512.15674](https://arxiv.org/abs/2512.15674).",
        _facts(card),
        "## Use",
        USE.format(name=name, layers=list(recommended or card.layers[0])),
        "## Trained on",
        _training(card),
        "## Scores",
        _scores(card),
        *_depth(card),
        "## Known failures",
        _failures(card),
        "## What it must not be used for",
        MISUSE,
    ]
    return "\n\n".join(parts) + "\n"


def write_readme(card: Card, folder: Path) -> None:
    """Write `README.md` from the card."""
    (folder / FILE).write_text(readme(card), encoding="utf-8")


def _facts(card: Card) -> str:
    lora = within(card.training, "config", "lora")
    version = version_of(card)
    rows = [
        ("trained at layers", "; ".join(_sets(card))),
        ("blocks of the base", card.num_layers or "not known"),
        (
            "vectors are written",
            f"after block {card.block}, {card.mode}, strength {card.strength:g}",
        ),
        ("placeholder", f"`{card.placeholder}`"),
    ]
    if lora:
        said = (f"{name} {lora[name]:g}" for name in ("rank", "alpha", "dropout") if name in lora)
        rows.append(("adapter", f"LoRA, {', '.join(said)}"))
    if version:
        rows.append(("made with", f"activation-oracles {version}"))
    return _table(("", ""), rows)


def _sets(card: Card) -> list[str]:
    return [*(" + ".join(map(str, one)) for one in card.fixed_sets), *card.drawn_in_words]


def _training(card: Card) -> str:
    tasks = tasks_of(card)
    counted = [(task, _count(n)) for task, n in tasks.items()]
    parts = [_table(("task", "examples"), counted) if tasks else "Its card names no tasks."]
    steps, seed = card.training.get("steps"), within(card.training, "config").get("seed")
    if steps is not None:
        parts.append(
            f"{_count(steps)} optimizer steps, seed {seed}. All settings: `ao_config.json`."
        )
    data = manifests_of(card)
    named = {name for one in data for name in (*within(one, "sources"), one.get("file"))}
    sources = sorted(name for name in named if name)
    if sources:
        parts.append(f"Files: {', '.join(f'`{name}`' for name in sources)}.")
    return "\n\n".join(parts)


def _scores(card: Card) -> str:
    lines, alone = evaluated(card.scores), held_out(card.scores)
    parts: list[str] = [WITH_CONTROLS] if lines else []
    for who in dict.fromkeys(line.who for line in lines):
        parts += [f"### {who}", _beside([line for line in lines if line.who == who])]
    if alone:
        parts += ["### While training", WITHOUT_CONTROLS] if lines else [WITHOUT_CONTROLS]
        parts.append(_alone(alone))
    return "\n\n".join(parts) or "None were kept. `ao eval` scores an oracle beside its controls."


def _beside(lines: Sequence[Line]) -> str:
    controls = list(dict.fromkeys(name for line in lines for name in line.controls))
    others = list(dict.fromkeys(name for line in lines for name in line.others))
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        found = {**line.others, **line.controls}
        beside = [found.get(name) or "-" for name in (*controls, *others)]
        counted = f"{line.score.num_answers} ({line.score.num_units})"
        rows.append((line.task, counted, f"**{line.score}**", *beside, f"{line.chance:.2f}"))
    named = (*(f"control: {one}" for one in controls), *others)
    return _table(("task", "n (texts)", "oracle", *named, "chance"), rows)


def _alone(scores: Sequence[HeldOut]) -> str:
    rows = [(one.task, one.num_examples, one.exact or "-", f"{one.loss:.2f}") for one in scores]
    return _table(("task", "n", "exact (95 %)", "loss"), rows)


def _depth(card: Card) -> list[str]:
    """Return the section about depths, where they were measured."""
    if card.depth is None:
        return []
    header = ("layer", "trained", "score", "best control", "its score", "advantage")
    rows = [
        (
            name,
            "yes" if one.is_trained else "no",
            one.score,
            one.control,
            one.control_score,
            one.gain,
        )
        for name, one in card.depth.layers.items()
    ]
    return ["## By depth", f"{card.depth.recommendation}.", _table(header, rows)]


def _failures(card: Card) -> str:
    weak = [
        f"{task}: not shown to beat {', '.join(controls)} (95 % of the difference includes 0)."
        for task, controls in unproven(card.scores).items()
    ]
    if not evaluated(card.scores):
        weak = ["Which tasks it fails on was not measured beside controls."]
    taught = {task.partition("/")[0] for task in tasks_of(card)} & {*TAUGHT_TO_ABSTAIN}
    refusing = ABSTAINS if taught else ANSWERS
    elsewhere = MEASURED if card.depth else UNMEASURED
    return "\n".join(f"- {one}" for one in (refusing, INVENTS, elsewhere, *weak))


def _count(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", r"\|").split())
