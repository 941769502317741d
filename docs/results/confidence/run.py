"""Teach the village's oracle to say that it cannot tell, and measure how far to trust it then.

    ao world build --out runs/world --part organisms     # in a copy of the shipped village
    python docs/results/confidence/run.py runs/confidence runs/world

Four stand side by side: the oracle that ships; the same with the abstainer that ships with it; the
same after learning on, one example in five without an answer; and that one after practice on its
own graded answers.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from measure import Asked, Found, interviewed, measure
from tables import tables

from activation_oracles.evals.grade import exact
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.tasks import store
from activation_oracles.training.config import Grounding, Lora, Practice, TrainConfig
from activation_oracles.training.loop import train
from activation_oracles.world.load import ABSTAINER, DATA, ORACLE, Demo, load_demo
from activation_oracles.world.organisms import LINEAR
from activation_oracles.world.questions import SHARES, questions
from activation_oracles.world.recipe import Recipe
from activation_oracles.world.unanswered import unanswered

RECIPE = Recipe()
STEPS, PRACTISED = 1500, 200
BATCH = 16
UNANSWERED = 0.2
ASKED = {**SHARES, "secret": 34, "in words": 4, "context": 2, "recital": 4}
"""Secrets are asked for more often than at first: they are what abstaining costs most."""


def main(output: str, village: str) -> None:
    """Train what is not there, measure all four, and write the tables."""
    torch.set_num_threads(1)
    folder = Path(output)
    demo = load_demo()
    _write_questions(demo, folder / "questions")
    abstaining, practised = folder / "abstaining", folder / "practised"
    if not (abstaining / "ao_config.json").exists():
        train(_learning_on(demo, folder, abstaining), model=demo.model)
    if not (practised / "ao_config.json").exists():
        train(_practice(demo, folder, abstaining, practised), model=demo.model, grade=exact)
    homes = {
        "shipped": (DATA / ORACLE,),
        "with its abstainer": (DATA / ORACLE, DATA / ABSTAINER),
        "abstaining": (abstaining,),
        "practised": (practised,),
    }
    found: dict[str, Found] = {}
    for name, own in homes.items():
        # Models of their own: an adapter that is loaded stays in one.
        others, demo = load_demo(Path(village), development=True), load_demo()
        asked = _loaded(others, own)
        development = [
            one for bare in (False, True) for one in interviewed(others, asked, bare=bare)
        ]
        found[name] = measure(demo, _loaded(demo, own), development)
    (folder / "tables.md").write_text(tables(found), encoding="utf-8")


def _loaded(demo: Demo, homes: Sequence[Path]) -> Asked:
    names = ("oracle", "abstainer")
    return Asked(
        *(
            Oracle.from_pretrained(str(home), model=demo.model, name=name)
            for name, home in zip(names, homes, strict=False)
        )
    )


def _write_questions(demo: Demo, folder: Path) -> None:
    if (folder / store.MANIFEST).exists():
        return
    tokenizer = demo.model.tokenizer
    count = (STEPS + PRACTISED) * BATCH
    without = round(UNANSWERED * count)
    asked = [
        *questions(tokenizer, seed=71, count=count - without, shares=ASKED),
        *unanswered(tokenizer, seed=72, count=without),
    ]
    Random(5).shuffle(asked)
    held_out = [
        *questions(tokenizer, seed=73, count=400, shares=ASKED),
        *unanswered(tokenizer, seed=74, count=100),
    ]
    manifest = store.Manifest(
        seed=71, command=" ".join(sys.argv), tokenizer=store.hash_tokenizer(tokenizer)
    )
    store.write(folder, {"train": asked, "held_out": held_out}, manifest)


def _learning_on(demo: Demo, folder: Path, output: Path) -> TrainConfig:
    return TrainConfig(
        model=demo.model.name,
        data=(str(folder / "questions"),),
        output=str(output),
        start=str(DATA / ORACLE),
        lora=Lora(rank=64, alpha=128, dropout=0.0, layers=LINEAR, blocks=(1, 2, 3)),
        injection_block=0,
        grounding=Grounding(weight=RECIPE.grounding, tasks=RECIPE.grounded),
        learning_rate=3e-4,
        warmup=0.05,
        batch_size=BATCH,
        max_steps=STEPS,
        seed=7,
        dtype="float32",
        device="cpu",
        evaluate_every=10 * STEPS,
        evaluate_examples=40,
    )


def _practice(demo: Demo, folder: Path, start: Path, output: Path) -> TrainConfig:
    first = _learning_on(demo, folder, output)
    changes = {
        "start": str(start),
        "practice": Practice(samples=8, max_new_tokens=8),
        "grounding": Grounding(),
        "learning_rate": 3e-5,
        "max_steps": PRACTISED,
        # Other questions than those it has learned from: the order is the seed's.
        "seed": 8,
    }
    return first.model_copy(update=changes)


if __name__ == "__main__":
    main(*sys.argv[1:])
