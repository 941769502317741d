"""Passages with a question and its answer, read from local files of the forms they come in.

| file | rows |
|---|---|
| `.jsonl` `.json` `.parquet` `.csv` `.tsv` | a text, a `question`, an `answer` or `answers` |
| the same | a text and its `label`, which is asked for among all labels of the file |
| `.tsv` | `prompt_source`, `subject`, `prompt_target`, `object`: the published facts |
| `.txt` | bAbI: numbered lines, questions with their answer behind a tab |

The text is called `context`, `passage`, `text` or `sentence`; answers are a list or SQuAD's object.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.tasks.rows import records
from activation_oracles.tasks.sources import read_lines, read_records

TABLES = (".jsonl", ".json", ".parquet", ".csv", ".tsv")
_TEXTS = ("context", "passage", "text", "sentence")
_FACT = ("prompt_source", "subject", "prompt_target", "object")
FACT_QUESTION = "Respond with the answer only and nothing else. What is {relation} this?"
LABEL_QUESTION = "Which of these fits the text: {labels}?"
_NUMBERED = re.compile(r"(\d+) (.+)")


@dataclass(frozen=True)
class Passage:
    """A text, a question that it answers, and the answer."""

    group: str
    """As `fact`: passages of one group are scored together."""
    source: str
    """File and row."""
    text: str
    question: str
    answer: str
    talk: tuple[tuple[str, str], ...] = ()
    """Role and content of each message, where the text is a chat."""


def read_passages(path: Path, group: str) -> list[Passage]:
    """Read all passages of a file.

    Raises:
        DataError: it is missing, has no rows, or a row has none of the forms above.
    """
    if path.suffix == ".txt":
        found = list(_babi(path, group))
    else:
        found = list(_tabular(list(_records(path)), path, group))
    if not found:
        raise DataError(f"{path} holds no passages with a question and an answer.")
    return found


def _records(path: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    if path.suffix not in TABLES:
        raise DataError(f"{path} is no file of passages: expected .txt, {', '.join(TABLES)}.")
    if path.suffix == ".parquet":
        return ((row, f"{path}, row {number}") for number, row in enumerate(records(path), start=1))
    if path.suffix == ".tsv" and set(_FACT) <= set(next(read_lines(path), "").split("\t")):
        # Unlike other tab-separated text these lists quote, and break lines inside.
        rows = csv.DictReader(read_lines(path), delimiter="\t")
        return ((row, f"{path}, row {number}") for number, row in enumerate(rows, start=1))
    return iter(read_records(path))


def _tabular(
    rows: Sequence[tuple[Mapping[str, Any], str]], path: Path, group: str
) -> Iterator[Passage]:
    labels = sorted({str(row["label"]) for row, _ in rows if "label" in row})
    for number, (row, where) in enumerate(rows):
        source = f"{path.name}/{number}"
        if set(_FACT) <= set(row):
            yield from _fact(row, group, source)
            continue
        text = next((row[name] for name in _TEXTS if row.get(name)), None)
        answer = _answer(row)
        question = row.get("question")
        if question is None and "label" in row:
            question, answer = LABEL_QUESTION.format(labels=", ".join(labels)), str(row["label"])
        if not isinstance(text, str) or not isinstance(question, str) or not answer:
            raise DataError(
                f"{where} is no passage: expected a text ({', '.join(_TEXTS)}), a question and an "
                f"answer, or a text and a label; it has {sorted(row)}."
            )
        yield Passage(group, source, text.strip(), question.strip(), answer)


def _answer(row: Mapping[str, Any]) -> str:
    """Return the answer; of several the first, as one answer is what an example has."""
    held = row.get("answer", row.get("answers"))
    if isinstance(held, Mapping):
        held = held.get("text")
    if isinstance(held, list):
        held = held[0] if held else None
    return str(held).strip() if held is not None else ""


def _fact(row: Mapping[str, Any], group: str, source: str) -> Iterator[Passage]:
    """Yield a fact of a text's last words; none where the text does not spell them out."""
    subject, written = str(row["subject"]), str(row["prompt_source"])
    end = written.find(subject) + len(subject)
    if subject and subject in written:
        # As published: the text ends with the subject, and what is asked of it is not in it.
        relation = re.sub(r"\s*\bx$", "", str(row["prompt_target"]))
        question = FACT_QUESTION.format(relation=relation)
        yield Passage(group, source, written[:end].strip(), question, str(row["object"]))


def _babi(path: Path, group: str) -> Iterator[Passage]:
    """Yield the questions of bAbI stories, each with the story up to it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    told: list[str] = []
    for number, line in enumerate(filter(None, lines), start=1):
        match = _NUMBERED.fullmatch(line)
        if match is None:
            raise DataError(f"{path}:{number} is no line of bAbI: it has no number.")
        told = [] if match[1] == "1" else told
        question, *rest = match[2].split("\t")
        if rest:
            yield Passage(
                group, f"{path.name}/{number}", " ".join(told), question.strip(), rest[0].strip()
            )
        else:
            told.append(question.strip())
