"""Train what is asked in the village: its oracle in two stages, and the one that abstains.

All go on from the same first stage. What is learned of saying that it cannot tell costs an oracle
some of what it reads in organisms, so that is learned by a second one: see `Oracle.with_abstainer`.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from activation_oracles.models.load import load
from activation_oracles.tasks import store
from activation_oracles.training.config import Grounding, Lora, Noise, TrainConfig
from activation_oracles.training.loop import finish, steps
from activation_oracles.training.prepare import SETTINGS, Run, prepare
from activation_oracles.training.progress import Step
from activation_oracles.types import Example
from activation_oracles.world.draft import Ways
from activation_oracles.world.load import BASE
from activation_oracles.world.organisms import LINEAR
from activation_oracles.world.parts import work_of
from activation_oracles.world.questions import CLOSING_SHARES, SHARES, questions
from activation_oracles.world.recipe import Recipe
from activation_oracles.world.records import edit_record, halve, write_record
from activation_oracles.world.unanswered import unanswered

COMMAND = "ao world build"
FIRST, CLOSING, ABSTAINING, MEAN = "first", "closing", "abstaining", "mean"
WEIGHTS = "adapter_model.safetensors"
KEPT = (WEIGHTS, "adapter_config.json", "ao_config.json", "README.md")
HELD_OUT = 1500
"""Questions that a stage is scored on."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A training run: on how many questions, and how it takes them."""

    questions: int
    steps: int
    rate: float
    warmup: float
    epochs: int
    seed: int
    """Decides which questions."""
    unanswered: float = 0.0
    """Share of questions that have no answer."""
    words_only: float = 0.0
    """Share of talks of which a message's words are shown, and none of the tokens around it."""
    reworded: bool = False
    """Whether its questions come in more wordings."""
    noise: Noise = Noise()  # noqa: RUF009 - frozen


def stages(recipe: Recipe) -> Mapping[str, Stage]:
    """Return a recipe's stages; those behind the first go on from it."""
    closing = closing_stages(recipe)
    first, *_ = closing.values()
    return {
        FIRST: Stage(
            questions=recipe.num_questions,
            steps=recipe.num_steps,
            rate=recipe.rate,
            warmup=0.03,
            epochs=2,
            seed=recipe.seed,
        ),
        **closing,
        ABSTAINING: replace(
            first,
            questions=_enough(recipe, recipe.abstaining_steps),
            steps=recipe.abstaining_steps,
            unanswered=recipe.unanswered,
            words_only=recipe.words_only,
            reworded=True,
            noise=Noise(share=recipe.noisy, strength=recipe.noise),
        ),
    }


def closing_stages(recipe: Recipe) -> Mapping[str, Stage]:
    """Return those of them of which the oracle that ships is the mean."""
    return {
        f"{CLOSING}-{seed}{'-reworded' if reworded else ''}": Stage(
            questions=_enough(recipe, recipe.closing_steps),
            steps=recipe.closing_steps,
            rate=recipe.closing_rate,
            warmup=0.05,
            epochs=1,
            seed=seed,
            reworded=reworded,
        )
        for seed in recipe.closing_seeds
        for reworded in (False, True)
    }


def _enough(recipe: Recipe, num_steps: int) -> int:
    """Return a few more questions than steps take: the last window is not cut short."""
    return (num_steps + 4) * recipe.batch_size


def write_questions(data: Path, base: str, stage: Stage, recipe: Recipe) -> None:
    """Draw a stage's training examples and write them as any task's."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    held_out = questions(tokenizer, seed=stage.seed + 1, count=HELD_OUT)
    store.write(
        data,
        {"train": _drawn(tokenizer, stage, is_first=stage.epochs > 1), "held_out": held_out},
        store.Manifest(
            seed=recipe.seed, command=COMMAND, tokenizer=store.hash_tokenizer(tokenizer)
        ),
    )


def _drawn(tokenizer: PreTrainedTokenizerBase, stage: Stage, *, is_first: bool) -> list[Example]:
    ways = Ways(is_closing=not is_first, words_only=stage.words_only, reworded=stage.reworded)
    without = round(stage.unanswered * stage.questions)
    drawn = questions(
        tokenizer,
        seed=stage.seed,
        count=stage.questions - without,
        shares=SHARES if is_first else CLOSING_SHARES,
        ways=ways,
    )
    if without:
        drawn += unanswered(tokenizer, seed=stage.seed + 1, count=without, ways=ways)
        Random(stage.seed).shuffle(drawn)
    return drawn


def train_stage(folder: Path, recipe: Recipe, name: str) -> Iterator[Step]:
    """Train one stage, as every process does that shares the work."""
    first = None if name == FIRST else work_of(folder, FIRST)[1]
    data, output = work_of(folder, name)
    yield from steps(_prepared(folder, recipe, stages(recipe)[name], (data,), output, first))


def average(folder: Path, recipe: Recipe) -> Path:
    """Save the mean of what the closing stages have learned, scored on what they are scored on.

    They begin as one oracle, and the mean of their weights has less of what each learned by chance
    from its own questions: Model soups, arXiv 2203.05482.
    """
    closing = closing_stages(recipe)
    data, runs = zip(*(work_of(folder, name) for name in closing), strict=True)
    mean, output = (work_of(folder, name)[1] for name in (MEAN, CLOSING))
    mean.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copy(runs[0] / name, mean / name)
    parts = [load_file(run / WEIGHTS) for run in runs]
    weights = {name: torch.stack([part[name] for part in parts]).mean(0) for name in parts[0]}
    save_file(weights, mean / WEIGHTS, {"format": "pt"})
    stage, *_ = closing.values()
    finish(_prepared(folder, recipe, stage, data, output, mean))
    return output


def _prepared(
    folder: Path,
    recipe: Recipe,
    stage: Stage,
    data: Sequence[Path],
    output: Path,
    start: Path | None,
) -> Run:
    model = load(str(folder / BASE), dtype="float32")
    model.name = BASE
    config = TrainConfig(
        model=BASE,
        data=tuple(map(str, data)),
        output=str(output),
        start=None if start is None else str(start),
        resume=(output / SETTINGS).exists(),
        lora=Lora(
            rank=recipe.rank,
            alpha=2 * recipe.rank,
            dropout=0.0,
            layers=LINEAR,
            blocks=recipe.blocks,
        ),
        grounding=Grounding(weight=recipe.grounding, tasks=recipe.grounded),
        noise=stage.noise,
        injection_block=recipe.block,
        learning_rate=stage.rate,
        warmup=stage.warmup,
        batch_size=recipe.batch_size,
        max_steps=stage.steps,
        epochs=stage.epochs,
        seed=recipe.seed,
        dtype="float32",
        device="cpu",
        evaluate_every=4_000,
        evaluate_examples=40,
    )
    return prepare(config, model)


def finish_oracle(trained: Path, home: Path, *, start: str) -> None:
    """Put a trained oracle into its folder, small, and without the paths of this machine."""
    home.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copy(trained / name, home / name)
    halve(home)
    edit_record(home / "adapter_config.json", base_model_name_or_path=BASE)
    card = json.loads((home / "ao_config.json").read_text(encoding="utf-8"))
    settings = card.get("training", {}).get("config", {})
    settings.update(data=["questions"], output=home.name, model=BASE, start=start)
    write_record(home / "ao_config.json", card)
