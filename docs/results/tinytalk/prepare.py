"""Three labelled sets as tables of text and label, train and test apart.

usage: python prepare.py FOLDER_OF_DATA OUTPUT_FOLDER

Tense comes as a file for each of twelve tenses. A sentence that stands in two has no one label and
is dropped; a fifth of the rest, chosen by a hash of the sentence, is for testing. The other sets
are split as published. Test texts that also stand in training are dropped: none was ever seen.
"""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from activation_oracles.tasks.task import split_of

Rows = list[tuple[str, str]]


def tense(folder: Path) -> tuple[Rows, Rows]:
    """Return train and test rows of (sentence, tense)."""
    labels: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.csv")):
        label = path.stem.lower().replace("_", " ")
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines()):
            if row and row[0].strip():
                labels.setdefault(row[0].strip(), set()).add(label)
    rows = [(text, next(iter(own))) for text, own in labels.items() if len(own) == 1]
    test = [row for row in rows if split_of(row[0], 0.2, "tinytalk test") == "held_out"]
    return without(rows, test), test


def sst2(path: Path) -> Rows:
    """Return rows of (sentence, sentiment)."""
    names = {"0": "negative", "1": "positive"}
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(text, names[label]) for text, label in (line.split("\t") for line in lines)]


def trec(path: Path) -> Rows:
    """Return rows of (question, what it asks for)."""
    names = ("description", "thing", "abbreviation", "person", "place", "number")
    lines = path.read_text(encoding="latin-1").splitlines()
    return [(text, names[int(label)]) for label, text in (line.split(" ", 1) for line in lines)]


def without(rows: Rows, others: Rows) -> Rows:
    """Return the rows whose text, case and spacing aside, is in none of the others."""
    seen = {plain(text) for text, _ in others}
    return [row for row in rows if plain(row[0]) not in seen]


def plain(text: str) -> str:
    """Return text as it is compared."""
    return " ".join(text.casefold().split())


def write(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a table with the columns text and label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(rows)


def main() -> None:
    """Write {set}.{train,test}.csv for the three sets."""
    data, output = Path(sys.argv[1]), Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    tenses = data / "activation_oracles/classification_datasets/tense/tense_wise_sentence"
    sets = {
        "tense": tense(tenses),
        "trec": (trec(data / "trec/train.txt"), trec(data / "trec/test.txt")),
        "sst2": (
            sst2(data / "sst2/train.tsv") + sst2(data / "sst2/dev.tsv"),
            sst2(data / "sst2/test.tsv"),
        ),
    }
    for name, (train, test) in sets.items():
        unseen = without(test, train)
        write(output / f"{name}.train.csv", train)
        write(output / f"{name}.test.csv", unseen)
        print(f"{name}: {len(train)} to train on, {len(unseen)} of {len(test)} to test on")


if __name__ == "__main__":
    main()
