"""Texts, chats and labelled rows from files, each with the place it was found at.

Files are checked line by line before any example is made of them, and held on disk from then on:
only a .json file is ever in memory as a whole.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError
from activation_oracles.models.chat import render
from activation_oracles.tasks.spool import Spool
from activation_oracles.tasks.store import json_lines

END_OF_TEXT = "<|endoftext|>"
ROLE = {
    "User": "user",
    "Human": "user",
    "Bot": "assistant",
    "Assistant": "assistant",
    "System": "system",
}
TABLES = (".csv", ".tsv", ".json", ".jsonl")
SPEAKER = re.compile(rf"({'|'.join(ROLE)}): ?(.*)")

Messages = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Document:
    """A text or a chat."""

    content: str | Messages
    source: str
    """The file's name, and which of its documents or lines, counted from 1."""

    @property
    def words(self) -> str:
        """All that is said in it: what decides its side of a split."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(message["content"] for message in self.content)


@dataclass(frozen=True)
class Row:
    """A text and its label."""

    text: str
    label: str
    source: str

    @property
    def key(self) -> str:
        """What decides its side of a split."""
        return self.text


def read_documents(
    path: str | Path, *, unit: Literal["blocks", "lines"] = "blocks"
) -> Sequence[Document]:
    """Read texts or chats.

    A `.jsonl` file holds objects with `text`, or with `messages` (role and content). In any other
    file a document ends at a blank line or at `<|endoftext|>` on a line of its own (`unit`
    blocks), or at every line's end (lines). A document that begins with `User: ...` is a chat, its
    turns begun by `User:` and `Bot:`; in a file that begins so, the marker ends a turn.

    Raises:
        DataError: the file is missing, empty, or a document in it is not one.
    """
    path = Path(path)
    if path.suffix == ".jsonl":
        found = (document_of(row, where) for row, where in json_lines(path))
    else:
        found = (
            Document(_chat(piece) if SPEAKER.match(piece) else piece, f"{path.name}:{number}")
            for number, piece in enumerate(_pieces(read_lines(path), unit), start=1)
        )
    held = Spool(Document, found)
    if not held:
        raise DataError(f"{path} holds no text.")
    return held


def read_rows(
    path: str | Path, text: str, label: str, *, header: bool = True, encoding: str = "utf-8"
) -> Sequence[Row]:
    """Read a labelled table.

    Args:
        path: the file, as `read_records` takes them; lines have the columns `text` and `label`,
            whatever is asked for.
        text: the text's column: its name, or without header its number from 0.
        label: the label's column.
        header: whether a `.csv` or `.tsv` begins with the columns' names.
        encoding: of the characters, where it is neither JSON nor UTF-8, as `latin-1`.

    Raises:
        DataError: the file is missing or empty, or a row lacks one of the columns.
    """
    path = Path(path)
    if path.suffix not in TABLES:
        text, label = "text", "label"
    records = read_records(path, header=header, encoding=encoding)
    rows = Spool(Row, (_row(record, where, text, label) for record, where in records))
    if not rows:
        raise DataError(f"{path} holds no rows.")
    return rows


def read_records(
    path: str | Path, *, header: bool = True, encoding: str = "utf-8"
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the rows of a table, each by column, with its place: `file:line`.

    A table is `.csv`, `.tsv`, `.json` (a list of objects) or `.jsonl`. In a file with any other
    ending each line is a label, a space, and a text; of a label as `HUM:desc` the part before the
    colon counts.

    Raises:
        DataError: the file is missing, or is not such a table.
    """
    path = Path(path)
    if path.suffix in (".csv", ".tsv"):
        return _table(path, read_lines(path, encoding), header=header)
    if path.suffix == ".jsonl":
        return json_lines(path)
    if path.suffix == ".json":
        return _json_list(path)
    return _labelled_lines(path, read_lines(path, encoding))


def read_lines(path: str | Path, encoding: str = "utf-8") -> Iterator[str]:
    """Yield a file's lines, each with its end.

    Raises:
        DataError: it is missing, or not in this encoding.
    """
    try:
        with Path(path).open(encoding=encoding) as file:
            yield from file
    except (OSError, UnicodeDecodeError, LookupError) as error:
        raise DataError(
            f"{path} cannot be read as {encoding} text: {error}. Is `encoding` right?"
        ) from error


def read_json(path: str | Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        DataError: it is missing, or not JSON.
    """
    try:
        return json.loads("".join(read_lines(path)))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}.") from error


def encode(
    tokenizer: PreTrainedTokenizerBase,
    content: str | Sequence[dict[str, str]],
    *,
    first: str | None = None,
    add_generation_prompt: bool = False,
) -> tuple[int, ...]:
    """Return the ids of a text or chat as the target reads it.

    Args:
        tokenizer: the target's.
        content: what is read.
        first: what stands before a text, in place of the special tokens that the tokenizer itself
            adds.
        add_generation_prompt: whether a chat ends where the assistant is to speak.
    """
    if isinstance(content, str):
        ids = (
            tokenizer(content)["input_ids"]
            if first is None
            else tokenizer(first + content, add_special_tokens=False)["input_ids"]
        )
    else:
        rendered = render(tokenizer, content, add_generation_prompt=add_generation_prompt)
        ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    assert isinstance(ids, list)
    return tuple(ids)


def document_of(row: dict[str, Any], where: str) -> Document:
    """Return the text or chat of a line's object.

    Raises:
        DataError: it has neither.
    """
    source = Path(where).name
    if "messages" in row:
        return Document(check_messages(row["messages"], where), source)
    if isinstance(row.get("text"), str) and row["text"].strip():
        return Document(row["text"], source)
    raise DataError(f"{where} has neither `text` nor `messages`; its keys are {list(row)}.")


def as_user(tokenizer: PreTrainedTokenizerBase, text: str) -> str | Messages:
    """Return a text as a user's message, or as it is for a model that knows no chats."""
    return text if tokenizer.chat_template is None else ({"role": "user", "content": text},)


def check_messages(messages: Any, where: str) -> Messages:
    """Return the messages of a chat.

    Raises:
        DataError: they are not a list of objects with a role and a content.
    """
    good = isinstance(messages, list) and messages
    for message in messages if good else ():
        good = good and isinstance(message, dict) and {"role", "content"} <= set(message)
    if not good:
        raise DataError(
            f"{where}: messages is a list of objects with role and content, got {messages!r:.100}."
        )
    return tuple({"role": str(one["role"]), "content": str(one["content"])} for one in messages)


def _row(record: dict[str, Any], where: str, text: str, label: str) -> Row:
    missing = [column for column in (text, label) if record.get(column) in (None, "")]
    if missing:
        raise DataError(
            f"{where} has nothing in column {missing[0]!r}; its columns are {list(record)}."
        )
    return Row(str(record[text]).strip(), str(record[label]).strip(), Path(where).name)


def _pieces(lines: Iterable[str], unit: str) -> Iterator[str]:
    marker: str | None = None
    block: list[str] = []
    for line in lines:
        if marker is None and line.strip():
            # In chats it ends a turn, elsewhere a text.
            marker = "" if SPEAKER.match(line.lstrip()) else "\n\n"
        for part in line.removesuffix("\n").replace(END_OF_TEXT, marker or "").split("\n"):
            if part.strip():
                block.append(part)
            if block and (unit == "lines" or not part.strip()):
                yield "\n".join(block).strip()
                block = []
    if block:
        yield "\n".join(block).strip()


def _chat(piece: str) -> Messages:
    messages: list[dict[str, str]] = []
    for line in piece.splitlines():
        spoken = SPEAKER.match(line)
        if spoken:
            messages.append({"role": ROLE[spoken[1]], "content": spoken[2].strip()})
        else:
            messages[-1]["content"] += f"\n{line}"
    return tuple(messages)


def _table(
    path: Path, lines: Iterable[str], *, header: bool
) -> Iterator[tuple[dict[str, Any], str]]:
    separator = "\t" if path.suffix == ".tsv" else ","
    # Quotes in tab-separated text are words of the text, not marks of the format.
    quoting = csv.QUOTE_NONE if path.suffix == ".tsv" else csv.QUOTE_MINIMAL
    rows = csv.reader(lines, delimiter=separator, quoting=quoting)
    names = next(rows, []) if header else None
    for number, row in enumerate(rows, start=1 + header):
        if row:
            columns = map(str, range(len(row))) if names is None else names
            yield dict(zip(columns, row, strict=False)), f"{path}:{number}"


def _json_list(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    records = read_json(path)
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise DataError(f"{path} is not a JSON list of objects.")
    for number, record in enumerate(records, start=1):
        yield record, f"{path}:{number}"


def _labelled_lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[dict[str, Any], str]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            label, _, text = line.removesuffix("\n").partition(" ")
            yield {"label": label.partition(":")[0], "text": text}, f"{path}:{number}"
