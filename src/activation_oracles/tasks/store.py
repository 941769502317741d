"""Examples on disk: one parquet file a split, and a manifest that says where they come from.

Rows hold token ids and words, never tensors: activations are read again when they are needed.
A user's own examples may come as JSON lines or as one parquet file with the same fields.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError
from activation_oracles.files import folder_at, writing
from activation_oracles.tasks import rows
from activation_oracles.tasks.rows import LISTS, WORDS, Rows
from activation_oracles.tasks.task import SPLITS, Split, split_of
from activation_oracles.types import Example

MANIFEST = "manifest.json"
VERSION = 1
OWN_FILES = (".jsonl", ".parquet")
"""Endings of files of a user's own examples; anything else is a folder."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Where a set of examples comes from: enough to make it again and to compare two sets."""

    seed: int
    command: str
    """What to run to make the same files."""
    tokenizer: str
    """Hash of the vocabulary that the token ids belong to, by `hash_tokenizer`; checked before
    training."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Name of each file that was read, and the hash of its bytes."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The settings that made the examples."""


def write(
    folder: str | Path, splits: Mapping[Split, Sequence[Example]], manifest: Manifest
) -> Path:
    """Write examples as `{split}.parquet` and a manifest beside them; return the folder.

    The manifest is written last: a folder that has one is whole.

    Raises:
        DataError: a split has another name than `train` or `held_out`, `train` is empty, or the
            folder cannot be written to.
    """
    if not set(splits) <= set(SPLITS) or not splits.get("train"):
        raise DataError(
            f"Splits are some train examples and perhaps held_out ones, got "
            f"{ {name: len(examples) for name, examples in splits.items()} }."
        )
    folder = folder_at(Path(folder))
    (folder / MANIFEST).unlink(missing_ok=True)
    record = {
        "version": VERSION,
        **asdict(manifest),
        "splits": {name: _write_split(folder, name, split) for name, split in splits.items()},
        "versions": {name: _version(name) for name in ("activation-oracles", "pyarrow")},
    }
    with writing(folder / MANIFEST) as part:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def read(source: str | Path, split: Split, *, held_out_fraction: float = 0.02) -> Rows:
    """Return the examples of one split, in the order they were written; they stay on disk.

    Args:
        source: a folder that `write` made, or a `.jsonl` or `.parquet` file of examples.
        split: `train` or `held_out`; a folder may have no held-out examples.
        held_out_fraction: for such a file only, which states no split: its examples are split by a
            hash of their `source`, so that questions about one text stay on one side.

    Raises:
        DataError: the source is missing, damaged, or was not written whole.
    """
    source = Path(source)
    if source.suffix in OWN_FILES:
        return rows.spooled(
            one for one in read_own(source) if split_of(one.source, held_out_fraction) == split
        )
    held = read_manifest(source)["splits"]
    if split not in held:
        return Rows([])
    path = source / f"{split}.parquet"
    if not path.is_file() or hash_file(path) != held[split]["blake2b"]:
        raise DataError(f"{path} is not the file its manifest speaks of. Build the data again.")
    return rows.from_parquet(path)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Return the manifest of a folder of examples.

    Raises:
        DataError: there is none, or one of another version.
    """
    path = Path(folder) / MANIFEST
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} holds no examples: {MANIFEST} cannot be read ({error}). Make such a folder "
            "with `ao data build`, or give a .jsonl or .parquet file of examples."
        ) from error
    if record.get("version") != VERSION:
        raise DataError(f"{path} has version {record.get('version')}; {VERSION} is understood.")
    return record


def fingerprint(source: str | Path) -> str:
    """Return a hash of a source's examples: equal for equal data, wherever it lies."""
    source = Path(source)
    if source.suffix in OWN_FILES:
        return hash_file(source)
    splits = read_manifest(source)["splits"]
    return "+".join(splits[name]["blake2b"] for name in sorted(splits))


def hash_file(path: str | Path) -> str:
    """Return the hash of a file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def read_own(path: str | Path) -> Iterator[Example]:
    """Yield the examples of a file whose keys or columns are the fields of `Example`.

    Raises:
        DataError: the file is missing, or a line or row is no example; its number is named.
    """
    path = Path(path)
    if path.suffix == ".jsonl":
        found = json_lines(path)
    else:
        numbered = enumerate(rows.records(path), start=1)
        found = ((row, f"{path}, row {number}") for number, row in numbered)
    return (_from_row(row, where) for row, where in found)


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the hash of a vocabulary and chat template, as in the provenance of activations."""
    by_id = sorted((index, token) for token, index in tokenizer.get_vocab().items())
    listing = "".join(f"{index} {token}\n" for index, token in by_id)
    text = f"{listing}{tokenizer.chat_template}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def json_lines(path: str | Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each object of a JSON-lines file, with `file:line` to name it by in an error.

    Raises:
        DataError: the file is missing, or a line is not a JSON object.
    """
    try:
        # Not as Python splits lines: JSON may hold U+2028 or a lone return, which end none here.
        with Path(path).open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _object(line, f"{path}:{number}"), f"{path}:{number}"
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}.") from error


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        # JSON allows it; no tokenizer does, and no column.
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise DataError(
            f"{where} holds half a character, {half} without its other half, as a cut emoji leaves "
            "it. Remove it."
        ) from error
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise DataError(f"{where} is not a JSON object but {type(row).__name__}.")
    return row


def _from_row(row: dict[str, Any], where: str) -> Example:
    names = {one.name for one in fields(Example)}
    missing = {one.name for one in fields(Example) if one.default is MISSING} - set(row)
    if missing or set(row) - names:
        raise DataError(
            f"{where} is not an example: missing {sorted(missing)}, "
            f"unknown {sorted(set(row) - names)}."
        )
    for name in LISTS:
        values = row[name]
        if not isinstance(values, list) or not all(map(_is_number, values)):
            raise DataError(
                f"{where}: {name} is a list of whole numbers from 0, got {values!r:.100}."
            )
    words = {name: row[name] for name in WORDS if name in row}
    for name, value in words.items():
        if not isinstance(value, str):
            raise DataError(f"{where}: {name} is a text, got {value!r:.100}.")
    lists = {name: tuple(row[name]) for name in LISTS}
    try:
        return Example(**lists, **words)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _is_number(value: object) -> bool:
    # Not a bool, which is an int too. Larger ones have no room in a column, nor in any vocabulary.
    return type(value) is int and 0 <= value < 2**31


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _write_split(folder: Path, name: str, examples: Sequence[Example]) -> dict[str, Any]:
    """Write one file, piece by piece, and return what the manifest says of it."""
    arrow, parquet = rows.pyarrow()
    path = folder / f"{name}.parquet"
    tasks: Counter[str] = Counter()
    with (
        writing(path) as part,
        parquet.ParquetWriter(part, rows.schema(), compression="zstd") as file,
    ):
        for some in rows.chunked(examples):
            tasks.update(one.task for one in some)
            file.write_table(arrow.Table.from_pydict(rows.columns(some), schema=rows.schema()))
    return {
        "examples": len(examples),
        "tasks": dict(sorted(tasks.items())),
        "blake2b": hash_file(path),
    }
