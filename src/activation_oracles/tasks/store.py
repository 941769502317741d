"""Examples on disk: one parquet file a split, and a manifest that says where they come from.

Rows hold token ids and words, never tensors: activations are read again when they are needed.
A user's own examples may come as JSON lines with the same fields.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks.task import SPLITS, Split, split_of
from activation_oracles.types import Example

MANIFEST = "manifest.json"
VERSION = 1
LISTS = ("context", "positions", "layers")
WORDS = ("question", "answer", "task", "source")


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
        DataError: a split has another name than `train` or `held_out`, or `train` is empty.
    """
    if not set(splits) <= set(SPLITS) or not splits.get("train"):
        raise DataError(
            f"Splits are some train examples and perhaps held_out ones, got "
            f"{ {name: len(examples) for name, examples in splits.items()} }."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    files = {name: _write_split(folder, name, examples) for name, examples in splits.items()}
    record = {
        "version": VERSION,
        **asdict(manifest),
        "splits": {
            name: {
                "examples": len(examples),
                "tasks": dict(sorted(Counter(example.task for example in examples).items())),
                "blake2b": files[name],
            }
            for name, examples in splits.items()
        },
        "versions": {name: _version(name) for name in ("activation-oracles", "pyarrow")},
    }
    temporary = folder / f"{MANIFEST}.part"
    temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST)
    return folder


def read(source: str | Path, split: Split, *, held_out_fraction: float = 0.02) -> list[Example]:
    """Return the examples of one split, in the order they were written.

    Args:
        source: a folder that `write` made, or a `.jsonl` file of examples.
        split: `train` or `held_out`; a folder may have no held-out examples.
        held_out_fraction: for a `.jsonl` file only, which states no split: its examples are split
            by a hash of their `source`, so that questions about one text stay on one side.

    Raises:
        DataError: the source is missing, damaged, or was not written whole.
    """
    source = Path(source)
    if source.suffix == ".jsonl":
        examples = read_jsonl(source)
        return [one for one in examples if split_of(one.source, held_out_fraction) == split]
    held = read_manifest(source)["splits"]
    if split not in held:
        return []
    path = source / f"{split}.parquet"
    if not path.is_file() or hash_file(path) != held[split]["blake2b"]:
        raise DataError(f"{path} is not the file its manifest speaks of. Build the data again.")
    return _read_parquet(path)


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
            f"{folder} holds no examples: {MANIFEST} cannot be read ({error}). "
            "Make such a folder with `ao data build`, or give a .jsonl file of examples."
        ) from error
    if record.get("version") != VERSION:
        raise DataError(f"{path} has version {record.get('version')}; {VERSION} is understood.")
    return record


def fingerprint(source: str | Path) -> str:
    """Return a hash of a source's examples: equal for equal data, wherever it lies."""
    source = Path(source)
    if source.suffix == ".jsonl":
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


def read_jsonl(path: str | Path) -> list[Example]:
    """Return the examples of a JSON-lines file whose keys are the fields of `Example`.

    Raises:
        DataError: the file is missing, or a line is not an example; the line's number is named.
    """
    return [_from_row(row, where) for row, where in json_lines(path)]


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the hash of a vocabulary and chat template, as in the provenance of activations."""
    by_id = sorted((index, token) for token, index in tokenizer.get_vocab().items())
    listing = "".join(f"{index} {token}\n" for index, token in by_id)
    text = f"{listing}{tokenizer.chat_template}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def json_lines(path: str | Path) -> Iterable[tuple[dict[str, Any], str]]:
    """Yield each object of a JSON-lines file, with `file:line` to name it by in an error.

    Raises:
        DataError: the file is missing, or a line is not a JSON object.
    """
    try:
        # Not splitlines: JSON may hold U+2028, which ends no line here.
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number} is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number} is not a JSON object but {type(row).__name__}.")
        yield row, f"{path}:{number}"


def _from_row(row: dict[str, Any], where: str) -> Example:
    names = {one.name for one in fields(Example)}
    if set(row) != names:
        raise DataError(
            f"{where} is not an example: missing {sorted(names - set(row))}, "
            f"unknown {sorted(set(row) - names)}."
        )
    for name in LISTS:
        values = row[name]
        if not isinstance(values, list) or not all(type(value) is int for value in values):
            raise DataError(f"{where}: {name} is a list of whole numbers, got {values!r:.100}.")
    for name in WORDS:
        if not isinstance(row[name], str):
            raise DataError(f"{where}: {name} is a text, got {row[name]!r:.100}.")
    lists = {name: tuple(row[name]) for name in LISTS}
    words = {name: row[name] for name in WORDS}
    try:
        return Example(**lists, **words)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _write_split(folder: Path, name: str, examples: Sequence[Example]) -> str:
    arrow, parquet = _pyarrow()
    columns = {
        **{
            column: arrow.array([getattr(example, column) for example in examples], kind)
            for column, kind in zip(LISTS, (arrow.list_(arrow.int32()),) * 3, strict=True)
        },
        **{
            column: arrow.array([getattr(example, column) for example in examples], arrow.string())
            for column in WORDS
        },
    }
    path, temporary = folder / f"{name}.parquet", folder / f"{name}.parquet.part"
    parquet.write_table(arrow.table(columns), temporary, compression="zstd")
    temporary.replace(path)
    return hash_file(path)


def _read_parquet(path: Path) -> list[Example]:
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
        columns = [_lists(table[name]) for name in LISTS]
        columns += [table[name].to_pylist() for name in WORDS]
    except (arrow.ArrowException, KeyError) as error:
        raise DataError(f"{path} is not a file of examples: {error}.") from error
    return [Example(*row) for row in zip(*columns, strict=True)]


def _lists(column: Any) -> list[tuple[int, ...]]:
    """Return a list column as tuples; ten times faster than pyarrow's own way to Python."""
    rows: list[tuple[int, ...]] = []
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=False).tolist()
        rows += [tuple(values[start:end]) for start, end in pairwise(chunk.offsets.to_pylist())]
    return rows


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            "Examples on disk need pyarrow: pip install 'activation-oracles[train]'."
        ) from error
    return pyarrow, pyarrow.parquet
