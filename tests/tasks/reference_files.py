"""Tiny files in the form of the reference's repository and of the hub's data sets."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

THINGS = "mill river moon boat apple pear miller word day song".split()
NUM_ROWS = 150
BEHAVIOURS = 150
WORDINGS = {
    "geometry_of_truth": ["Is this true?", "Is this statement true?"],
    "relations": ["Is this true?", "Is this statement true?"],
    "sst2": {"positive": ["Is this good?"], "negative": ["Is this bad?"]},
    "md_gender": ["Is this sentence about a {} person?"],
    "snli": ["Does this follow?", "Is this so?"],
    "ner": ["Does this text mention {}?"],
    "tense": ["Is this in the {} tense?"],
    "ag_news": ["Is this about {}?"],
    "language_identification": ["Is this in {}?"],
    "singular_plural": {"single": ["Is it one?"], "multiple": ["Are they many?"]},
    "engels": {
        f"headline_is{name}": {name: [f"About {name}?"], f"not_{name}": [f"Not about {name}?"]}
        for name in ("trump", "obama", "china")
    }
    | {"hist_fig_ismale": {"male": ["A man?"], "female": ["A woman?"]}},
}


def lay_reference(folder: Path) -> None:
    """Write what the reference's folder `datasets` holds, small."""
    place = folder / "classification_datasets"
    lay_json(place / "paraphrases" / "question.json", WORDINGS)
    for name in ("sp_en_trans", "cities", "smaller_than", "larger_than", "companies_true_false"):
        rows = [(f"{name} says {n}.", n % 2) for n in range(40)]
        lay_csv(place / "gmt" / f"{name}.csv", ("statement", "label"), rows)
    for kind in ("factual", "linguistic"):
        samples = [{"subject": f"{kind} {n}", "object": THINGS[n % 10]} for n in range(80)]
        relation = {"prompt_templates": ["{} lies by the", "By {} is the"], "samples": samples}
        lay_json(place / "relations" / kind / f"{kind}_place.json", relation)
    tenses = ("past", "present", "future")
    rows = [{"sentence": f"It is day {n}.", "label": tenses[n % 3]} for n in range(NUM_ROWS)]
    lay_json(place / "tense" / "tense_processed.json", rows)
    lay_words(place / "ner" / "ner.csv")
    news = [(n % 4 + 1, f"Title {n}", f"Some news, {n} of them.") for n in range(NUM_ROWS)]
    lay_csv(place / "ag_news" / "ag_news.csv", ("Class Index", "Title", "Description"), news)
    counts = [(f"Anna has {n}.", ("single", "multiple")[n % 2]) for n in range(NUM_ROWS)]
    file = place / "singular_plural" / "singular_plural.csv"
    lay_csv(file, ("sentence", "n_subjects"), counts)
    for name in ("21_headline_istrump", "22_headline_isobama", "23_headline_ischina"):
        heads = [(f"{name} {n}", 9, bool(n % 2)) for n in range(NUM_ROWS)]
        lay_csv(place / "engels" / f"{name}.csv", ("prompt", "prompt_len", "target"), heads)
    people = [(f"Person {n}", 2, n % 2) for n in range(NUM_ROWS)]
    file = place / "engels" / "5_hist_fig_ismale.csv"
    lay_csv(file, ("prompt", "prompt_len", "target"), people)
    lay_latentqa(folder / "latentqa_datasets" / "train")


def lay_latentqa(place: Path) -> None:
    """Write the three stimulus files and their questions, two for each behaviour."""
    control, stimulus, completion = [], [], []
    for n in range(BEHAVIOURS):
        control.append({"control_user": f"Speak of {n} mills.", "label": f"goal-{n}"})
        reply = {"control_model": "I will.", "control_thought": "", "stimulus_user": f"Hello {n}?"}
        stimulus.append({**control[-1], **reply})
        completion.append({**stimulus[-1], "stimulus_model": f"There are {n} mills."})
    lay_json(place / "control.json", control)
    lay_json(place / "stimulus.json", stimulus)
    lay_json(place / "stimulus_completion.json", completion)
    answers = {one["label"]: [["What of?", one["label"]], ["Is it?", "It is."]] for one in control}
    lay_json(place / "qa.json", answers)


def lay_words(path: Path) -> None:
    """Write sentences word by word, with a name of one word and one of two, side by side."""
    rows = []
    for n in range(NUM_ROWS):
        words = [("Then", "O"), (f"Anna{n % 20}", "B-per"), (f"New{n % 7}", "B-geo")]
        words += [("York", "I-geo"), (f"came {n}.", "O")]
        for at, (word, tag) in enumerate(words):
            rows.append(("" if at else f"Sentence: {n}", word, "X", tag))
    rows += [("Sentence: none", "Nobody", "X", "O"), ("", "came.", "X", "O")]
    lay_csv(path, ("Sentence #", "Word", "POS", "Tag"), rows)


def lay_copies(folder: Path, *, documents: int) -> None:
    """Write what the hub's data sets hold, small."""
    for split, first in (("train", 0), ("validation", 1000)):
        rows = [{"sentence": f" day {first + n} ", "label": n % 2} for n in range(NUM_ROWS)]
        lay_parquet(folder / "stanfordnlp/sst2" / f"data/{split}-00000-of-00001.parquet", rows)
    for at, split in enumerate(("train", "validation", "test")):
        rows = [
            {"text": f"{split} wrote {n} songs.", "title": f"Person {n}", "gender": (n + at) % 3}
            for n in range(NUM_ROWS)
        ]
        lay_parquet(folder / "facebook/md_gender_bias" / f"funpedia/{split}/0000.parquet", rows)
    rows = [
        {"premise": f"A man on boat {n // 3}.", "hypothesis": f"He {n}.", "label": n % 4 - 1}
        for n in range(4 * NUM_ROWS)
    ]
    lay_parquet(folder / "stanfordnlp/snli/plain_text/train-00000-of-00001.parquet", rows)
    rows = [{"Text": f"Words {n}.", "language": f"L{n % 5}"} for n in range(NUM_ROWS)]
    lay_parquet(folder / "FrancophonIA/WiLI-2018/train.parquet", rows)
    texts = [{"text": f"{n} " + " ".join(THINGS * 8) + "."} for n in range(documents)]
    lay_parquet(folder / "HuggingFaceFW/fineweb/data/CC-MAIN-2013-20/000_00000.parquet", texts)
    chats = [
        {
            "conversation": [
                {"role": "user", "content": f"{n} " + " ".join(THINGS * 4)},
                {"role": "assistant", "content": " ".join(THINGS * 4)},
            ]
        }
        for n in range(documents)
    ]
    lay_parquet(folder / "lmsys/lmsys-chat-1m/data/train-00000-of-00001-0.parquet", chats)


def lay_json(path: Path, content: object) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def lay_csv(path: Path, names: tuple[str, ...], rows: list) -> None:
    """Write a table with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="latin-1") as file:
        csv.writer(file).writerows([names, *rows])


def lay_parquet(path: Path, rows: list[dict]) -> None:
    """Write rows as parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
