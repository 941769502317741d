"""Concepts to dream of in TinyTalk: the twelve tenses, with pairs of sentences for contrast.

python docs/results/tinytalk/concepts.py runs/tinytalk/tables runs/tinytalk/concepts.yaml
"""

import csv
import sys
from pathlib import Path
from random import Random

import yaml

PAIRS = 32
PROMPTS = ("Tell me about your day.", "What about your dog?", "What about your friends?")
SAID = {
    "present simple": "I play in the park.",
    "present continuous": "I am playing in the park.",
    "present perfect": "I have played in the park.",
    "present perfect continuous": "I have been playing in the park.",
    "past simple": "I played in the park.",
    "past continuous": "I was playing in the park.",
    "past perfect": "I had played in the park.",
    "past perfect continuous": "I had been playing in the park.",
    "future simple": "I will play in the park.",
    "future continuous": "I will be playing in the park.",
    "future perfect": "I will have played in the park.",
    "future perfect continuous": "I will have been playing in the park.",
}
SHOWN_BY = {
    "present simple": ("is", "are", "like", "have"),
    "present continuous": ("am", "are going", "is going"),
    "present perfect": ("have", "has"),
    "present perfect continuous": ("have been", "has been"),
    "past simple": ("was", "were", "did", "went"),
    "past continuous": ("was", "were"),
    "past perfect": ("had",),
    "past perfect continuous": ("had been",),
    "future simple": ("will", "going to"),
    "future continuous": ("will be",),
    "future perfect": ("will have",),
    "future perfect continuous": ("will have been",),
}
"""Words that come with a tense; some come with others, too, so compare with the unsteered share."""


def main(tables: Path, out: Path) -> None:
    """Write the concepts."""
    with (tables / "tense.train.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    concepts = [concept(tense, rows) for tense in SAID]
    out.write_text(yaml.safe_dump(concepts, sort_keys=False, allow_unicode=True), encoding="utf-8")


def concept(tense: str, rows: list[tuple[str, str]]) -> dict[str, object]:
    """Return one tense: sentences in it against as many in others, drawn by its name."""
    random = Random(tense)
    return {
        "name": tense,
        "question": "Which tense is this sentence in?",
        "answer": tense,
        "prompts": list(PROMPTS),
        "reply": SAID[tense],
        "instead": [said for other, said in SAID.items() if other != tense],
        "shown_by": list(SHOWN_BY[tense]),
        "about": random.sample([text for text, label in rows if label == tense], PAIRS),
        "not_about": random.sample([text for text, label in rows if label != tense], PAIRS),
        "instruction": f"Say it in the {tense}.",
    }


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
