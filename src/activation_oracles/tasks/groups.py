"""The published classification groups: their texts, and the rule by which each is asked about.

Questions and many texts lie in the reference's repository and are read from a checkout of it; the
other texts are data sets of the hub, or copies of them. Differs from the reference, besides what
`tasks.asking` and `tasks.classification` say, in: an order of files that no machine decides; a
relation's true and false statement on one side; names that follow one another in `ner` kept whole
(the reference loses the second), and its characters read as Latin-1.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.tasks.asking import Asker, Claim, Claims, Mention, Mentions, Questions
from activation_oracles.tasks.config import GroupConfig
from activation_oracles.tasks.corpora import (
    SNLI,
    WILI,
    Ledger,
    identify,
    md_gender,
    read_corpus,
    sst2,
)
from activation_oracles.tasks.sources import Row, read_json, read_lines, read_records
from activation_oracles.tasks.spool import Spool
from activation_oracles.tasks.task import random_for
from activation_oracles.tasks.task_config import CorpusConfig

FOLDER = "classification_datasets"
QUESTIONS = f"{FOLDER}/paraphrases/question.json"
NER = f"{FOLDER}/ner/ner.csv"
RELATIONS = f"{FOLDER}/relations/*/*.json"
TRUTHS = ("sp_en_trans", "cities", "smaller_than", "larger_than", "companies_true_false")
HEADLINES = ((21, "trump"), (22, "obama"), (23, "china"))
OCCUPATIONS = (
    (59, "journalist"),
    (60, "athlete"),
    (62, "politician"),
    (63, "singer"),
    (64, "researcher"),
)


@dataclass(frozen=True)
class Table:
    """A group whose questions are about a label."""

    text: str
    """The text, with columns in braces."""
    label: str
    """The label's column."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What its values are called; others are left out. Empty: as they are."""
    file: str = ""
    corpora: tuple[CorpusConfig, ...] = ()
    questions: str = ""
    """Where its questions are, if not under its own name."""
    even: bool = False
    """Whether as many rows are taken of each label."""


def _engels(file: str, name: str, yes: str, no: str) -> Table:
    return Table(
        "{prompt}",
        "target",
        {"1": yes, "True": yes, "0": no, "False": no},
        f"{FOLDER}/engels/{file}.csv",
        questions=f"engels/{name}",
    )


def _headline(number: int, name: str) -> Table:
    return _engels(f"{number}_headline_is{name}", f"headline_is{name}", name, f"not_{name}")


def _occupation(number: int, name: str) -> Table:
    file = f"{number}_wikidata_occupation_is{name}"
    return _engels(file, f"wikidata_is{name}", name, f"not_{name}")


TABLES: Mapping[str, Table] = {
    "sst2": Table(
        "{sentence}",
        "label",
        {"0": "negative", "1": "positive"},
        corpora=(sst2("train"), sst2("validation")),
    ),
    "md_gender": Table(
        "{text}\n\nThis text is about {title}.",
        "gender",
        {"1": "female", "2": "male"},
        corpora=tuple(md_gender(split) for split in ("train", "validation", "test")),
        even=True,
    ),
    "tense": Table("{sentence}", "label", file=f"{FOLDER}/tense/tense_processed.json"),
    "ag_news": Table(
        "{Title}\n\n{Description}",
        "Class Index",
        {"1": "World News", "2": "Sports", "3": "Business", "4": "Science/Technology"},
        f"{FOLDER}/ag_news/ag_news.csv",
    ),
    "language_identification": Table("{Text}", "language", corpora=(WILI,)),
    "singular_plural": Table(
        "{sentence}", "n_subjects", file=f"{FOLDER}/singular_plural/singular_plural.csv"
    ),
    "engels_news_class_politics": _engels(
        "139_news_class_Politics", "news_class_politics", "politics", "not_politics"
    ),
    **{f"engels_headline_is{name}": _headline(n, name) for n, name in HEADLINES},
    "engels_hist_fig_ismale": _engels("5_hist_fig_ismale", "hist_fig_ismale", "male", "female"),
    **{f"engels_wikidata_is{name}": _occupation(n, name) for n, name in OCCUPATIONS},
}


def read_group(
    one: GroupConfig, root: str | Path, seed: int, ledger: Ledger
) -> tuple[Sequence[Any], Asker[Any]]:
    """Read a group's texts, and the rule by which they are asked about.

    Args:
        one: which, and where its files are.
        root: what its folders are relative to.
        seed: decides what a reader draws: the false objects of relations, the men of `md_gender`.
        ledger: gets the rows that are no file's.

    Raises:
        DataError: a source cannot be read, or is not what the group is made of.
    """
    folder = Path(root) / one.folder
    table = TABLES.get(one.group)
    wordings = _wordings(folder, (table and table.questions) or one.group)
    if table is not None:
        records = _records(table.file, corpora(one), folder, root, ledger)
        found = Spool(Row, _labelled(table, records))
        rows = _evened(found, seed) if table.even else found
        if isinstance(wordings, dict):
            return rows, Questions(by_label=wordings)
        return rows, Questions(about_label=wordings)
    if one.group == "ner":
        return Spool(Mention, _mentions(folder / NER)), Mentions(wordings)
    if one.group == "snli":
        pairs = _records("", corpora(one), folder, root, ledger)
        return Spool(Claim, _inferences(pairs)), Claims(wordings)
    paths = [folder / name for name in files(one, root)[1:]]
    if one.group == "relations":
        return [claim for path in paths for claim in _relation(path, seed)], Claims(wordings)
    return [claim for path in paths for claim in _truths(path)], Claims(wordings)


def corpora(one: GroupConfig) -> tuple[CorpusConfig, ...]:
    """Return the data sets that a group's texts come from; none where they lie in files."""
    table = TABLES.get(one.group)
    found = (SNLI,) if one.group == "snli" else table.corpora if table else ()
    return tuple(corpus.model_copy(update={"folder": one.copies}) for corpus in found)


def files(one: GroupConfig, root: str | Path) -> list[str]:
    """Return the files that a group is made of, relative to its folder, its questions first."""
    if one.group == "relations":
        place = Path(root) / one.folder
        found = sorted(str(path.relative_to(place)) for path in place.glob(RELATIONS))
        return [QUESTIONS, *(found or [RELATIONS])]
    if one.group == "geometry_of_truth":
        return [QUESTIONS, *(f"{FOLDER}/gmt/{name}.csv" for name in TRUTHS)]
    if one.group == "ner":
        return [QUESTIONS, NER]
    table = TABLES.get(one.group)
    return [QUESTIONS, table.file] if table and table.file else [QUESTIONS]


def _wordings(folder: Path, key: str) -> Any:
    found = read_json(folder / QUESTIONS)
    for part in key.split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    lists = list(found.values()) if isinstance(found, dict) else [found]
    if not all(isinstance(one, list) and one for one in lists):
        raise DataError(f"{folder / QUESTIONS} holds no questions under {key!r}.")
    return found


def _records(
    file: str, corpora: Sequence[CorpusConfig], folder: Path, root: str | Path, ledger: Ledger
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the rows of a file, or else of data sets, each with its place."""
    if file:
        for record, where in read_records(folder / file):
            yield record, Path(where).name
    for corpus in corpora:
        name = identify(corpus)
        for record, number in read_corpus(corpus, root):
            ledger.enter(name, number, record, listed=False)
            yield record, f"{corpus.repo}:{corpus.split}:{number}"


def _labelled(table: Table, records: Iterator[tuple[dict[str, Any], str]]) -> Iterator[Row]:
    for record, where in records:
        value = str(_of(record, table.label, where))
        if table.labels and value not in table.labels:
            continue
        try:
            text = table.text.format_map(record).strip()
        except KeyError as error:
            raise DataError(f"{where} has no column {error}; it has {list(record)}.") from error
        yield Row(text, table.labels.get(value, value), where)


def _of(record: dict[str, Any], column: str, where: str) -> Any:
    if record.get(column) is None:
        raise DataError(f"{where} has nothing in column {column!r}; it has {list(record)}.")
    return record[column]


def _evened(rows: Sequence[Row], seed: int) -> Sequence[Row]:
    """Return as many rows of each label as the rarest has, in their order."""
    places: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        places.setdefault(row.label, []).append(at)
    size = min(map(len, places.values()), default=0)
    kept = [
        at
        for label in sorted(places)
        for at in random_for(seed, "even", label).sample(places[label], size)
    ]
    return Spool(Row, (rows[at] for at in sorted(kept)))


def _truths(path: Path) -> Iterator[Claim]:
    for record, where in read_records(path):
        text = str(_of(record, "statement", where)).strip()
        holds = str(_of(record, "label", where)) == "1"
        yield Claim(text, claim="", holds=holds, key=text, source=Path(where).name)


def _relation(path: Path, seed: int) -> Iterator[Claim]:
    """Yield a true and a false statement about each subject, in one wording."""
    relation = read_json(path)
    try:
        wordings = list(relation["prompt_templates"])
        pairs = [(one["subject"], one["object"]) for one in relation["samples"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is no relation: it lacks {error}.") from error
    objects = sorted({thing for _, thing in pairs})
    numbers = random_for(seed, "relations", path.stem)
    for number, (subject, thing) in enumerate(pairs, start=1):
        wording = numbers.choice(wordings)
        false = numbers.choice([other for other in objects if other != thing])
        for said, holds in ((thing, True), (false, False)):
            text = f"{wording.replace('{}', subject)} {said}."
            key = f"{path.stem}: {subject}"
            yield Claim(text, claim="", holds=holds, key=key, source=f"{path.name}:{number}")


def _inferences(records: Iterator[tuple[dict[str, Any], str]]) -> Iterator[Claim]:
    """Yield premises with what follows from them, or contradicts them; neutral pairs are left."""
    for record, where in records:
        label = _of(record, "label", where)
        if label in (0, 2):
            text = str(_of(record, "premise", where))
            claim = str(_of(record, "hypothesis", where))
            yield Claim(text, claim=claim, holds=label == 0, key=text, source=where)


def _mentions(path: Path) -> Iterator[Mention]:
    """Yield sentences that name something, from one word a line with tags `B-`, `I-` and `O`."""
    lines = csv.DictReader(read_lines(path, "latin-1"))
    words: list[str] = []
    names: list[list[str]] = []
    inside = False
    number = 0
    for line in lines:
        try:
            begins, word, tag = line["Sentence #"].strip(), line["Word"], line["Tag"]
        except KeyError as error:
            raise DataError(f"{path} has no column {error}; it has {list(line)}.") from error
        if begins and words:
            number += 1
            if names:
                yield _mention(words, names, f"{path.name}:{number}")
            words, names, inside = [], [], False
        words.append(word)
        if tag.startswith("B") or (tag.startswith("I") and not inside):
            names.append([word])
        elif tag.startswith("I"):
            names[-1].append(word)
        inside = tag[:1] in ("B", "I")
    if names:
        yield _mention(words, names, f"{path.name}:{number + 1}")


def _mention(words: Sequence[str], names: Sequence[Sequence[str]], source: str) -> Mention:
    return Mention(" ".join(words), tuple(" ".join(name) for name in names), source)
