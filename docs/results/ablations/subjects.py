"""The two models that are ablated on, and the questions that their oracles learn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerFast

from activation_oracles.tasks import store
from activation_oracles.tasks.build import build
from activation_oracles.tasks.config import DataConfig
from activation_oracles.types import Example
from activation_oracles.world.load import BASE, DATA
from activation_oracles.world.questions import questions

STEPS = 600
BATCH = 16
NUM_LAYERS = 8
TRAINED = (2, 4, 6)
"""25, 50 and 75 % of eight blocks."""
MOST_SLOTS = 16
"""Tokens of an example, so that one at six layers is no longer than the village's longest."""


@dataclass(frozen=True)
class Subject:
    """A model, and questions about what it reads."""

    model: str
    families: Mapping[str, tuple[str, ...]]
    """Which tasks each family of the mixture has, by the beginning of their names."""
    draw: Callable[[str, int], list[Example]]
    """Returns a split's examples, `train` or `held_out`, each at one layer."""
    settings: Mapping[str, Any]
    """What its runs have beside the published settings."""


def village(folder: Path) -> Subject:
    """Return the base model of the village that ships."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(DATA / BASE)
    families = {
        "secrets": ("secret", "brief", "people"),
        "yes or no": ("classification",),
        "what is said": ("concept", "recital", "context"),
    }
    shares = {"secret": 13, "brief": 11, "people": 9, "classification": 33}
    shares |= {"concept": 20, "recital": 9, "context": 4}

    def draw(split: str, count: int) -> list[Example]:
        seed = 7 if split == "train" else 8
        found = questions(tokenizer, seed=seed, count=3 * count // 2, shares=shares)
        one = Random(f"layer/{split}")
        return [
            replace(
                example,
                task=example.task.partition("/")[0],
                positions=example.positions[-MOST_SLOTS:],
                layers=(one.choice(TRAINED),),
            )
            for example in found
        ]

    settings = {"lora": {"dropout": 0.0, "blocks": [1, 2, 3]}}
    return Subject(str(DATA / BASE), families, draw, settings)


def tinytalk(folder: Path, shared: str, tables: str) -> Subject:
    """Return a small model that nobody here made; it follows no system prompts."""
    model = str(Path(shared) / "models" / "tinytalk-chat")
    families = {"labels": ("tense", "question type", "sentiment"), "context": ("context",)}

    def draw(split: str, count: int) -> list[Example]:
        home = folder / "drawn"
        if not (home / store.MANIFEST).exists():
            tokenizer = PreTrainedTokenizerFast.from_pretrained(model)
            build(_of_tinytalk(shared, tables), home, tokenizer, NUM_LAYERS)
        return list(store.read(home, "train" if split == "train" else "held_out"))

    return Subject(model, families, draw, {"lora": {"dropout": 0.0}})


def _of_tinytalk(shared: str, tables: str) -> DataConfig:
    asked = {
        "tense": ("tense", "What is the tense of this sentence?"),
        "question type": ("trec", "What does this question ask for?"),
        "sentiment": ("sst2", "What is the sentiment of this text?"),
    }
    labels: list[dict[str, Any]] = [
        {
            "kind": "classification",
            "name": name,
            "weight": 1,
            "files": [f"{tables}/{table}.train.csv"],
            "open_questions": [question],
            "windows": [{"width": MOST_SLOTS, "questions": 2}],
        }
        for name, (table, question) in asked.items()
    ]
    data = Path(shared) / "data"
    context = {
        "kind": "context_prediction",
        "name": "context",
        "weight": 3,
        "files": [str(data / "tinystories/validation.txt"), str(data / "chat/soda_val.txt")],
        "widths": [MOST_SLOTS],
        "max_wanted": 5,
        "max_tokens": 96,
    }
    return DataConfig(
        tasks=[*labels, context], num_examples=4 * STEPS * BATCH // 3, held_out=0.1, seed=7
    )
