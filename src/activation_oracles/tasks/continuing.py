"""What a target writes itself behind texts and chats, in a file that `on_policy` makes examples of.

On-policy data (arXiv 2606.02609; adamkarvonen/activation_oracles_dev lets the target go on for 200
tokens at temperature 1). Departs from it in two ways. A plain text is cut at a drawn token, so that
the target goes on in its middle; there it goes on behind the whole. A chat is cut behind a drawn
turn of the user; there behind any turn, and half of the chats get a system prompt of LatentQA's.

A model must run for it, and no task loads one: who goes on is handed in.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import Field
from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.files import folder_at, naming_what_fails, writing
from activation_oracles.tasks import store
from activation_oracles.tasks.corpora import Ledger, draw_documents
from activation_oracles.tasks.sources import Document, encode, read_documents
from activation_oracles.tasks.spool import Spool
from activation_oracles.tasks.task import random_for, share_of
from activation_oracles.tasks.task_config import TextSources

VERSION = 1


class ContinueConfig(TextSources):
    """What a target goes on from, and how."""

    max_prompt: int = Field(default=512, ge=1)
    """The target is given at most so many tokens; longer chats are left out."""
    max_new_tokens: int = Field(default=200, ge=1)
    """It writes at most so many."""
    temperature: float = Field(default=1.0, ge=0)
    """0 takes the likeliest token; above, tokens are drawn."""
    seed: int = Field(default=42, ge=0)
    """Decides where texts are cut, and what is drawn."""
    batch_size: int = Field(default=16, ge=1)
    """Texts the target goes on from at once. What is drawn depends on it."""


@dataclass(frozen=True)
class Opening:
    """What the target is given of a text."""

    ids: tuple[int, ...]
    share: float
    """The text's place in [0, 1), which decides its side: as that of the same text elsewhere."""
    source: str


@dataclass(frozen=True)
class Continuation:
    """What the target was given of a text, and what it wrote behind that."""

    given: tuple[int, ...]
    own: tuple[int, ...]
    share: float
    source: str


@runtime_checkable
class GoOn(Protocol):
    """Whoever goes on from token ids: a target, in one batch, with draws decided by a seed."""

    def __call__(self, prompts: Sequence[Sequence[int]], *, seed: int) -> Sequence[Sequence[int]]:
        """Return what is written behind each prompt."""
        ...


@dataclass(frozen=True)
class Continuing:
    """All that decides a file of continuations."""

    config: ContinueConfig
    tokenizer: PreTrainedTokenizerBase
    """The target's."""
    provenance: Mapping[str, Any]
    """Who goes on, for the record; another one does not go on with a file."""
    root: Path = Path()
    """What file names in the config are relative to."""

    def write(
        self,
        path: str | Path,
        go_on: GoOn,
        progress: Callable[[Sequence[int]], Iterable[int]] = iter,
    ) -> Path:
        """Write JSON lines of ids and a manifest beside them; go on with a file that was begun.

        A stopped run loses one batch at most, and ends in the same bytes when it is run again.

        Args:
            path: a .jsonl file.
            go_on: the target.
            progress: draws the numbers of the batches it passes on.

        Raises:
            ConfigError: there is another file of this name, or one begun with other settings.
            DataError: a source is missing or empty, or the file cannot be written.
        """
        path = Path(path)
        openings, sources = self._openings()
        record: dict[str, Any] = {
            "version": VERSION,
            "config": self.config.model_dump(mode="json"),
            "tokenizer": store.hash_tokenizer(self.tokenizer),
            "provenance": dict(self.provenance),
            "sources": sources,
            "lines": len(openings),
        }
        if _begin(path, record):
            return path
        size = self.config.batch_size
        with naming_what_fails(path), path.open("r+b") as file:
            done = _whole_batches(file, size, len(openings))
            for number in progress(range(done, -(-len(openings) // size))):
                some = openings[number * size : (number + 1) * size]
                seed = random_for(self.config.seed, "go on", str(number)).getrandbits(63)
                new = go_on([one.ids for one in some], seed=seed)
                file.write("".join(map(self._line, some, new)).encode())
                file.flush()
        _write_record(path, {**record, "blake2b": store.hash_file(path)})
        return path

    def _line(self, opening: Opening, new: Sequence[int]) -> str:
        row = {
            "source": opening.source,
            "share": opening.share,
            "given": opening.ids,
            "own": list(new),
            # For people: nothing is made of it.
            "text": self.tokenizer.decode(list(new)),
        }
        return f"{json.dumps(row)}\n"

    def _openings(self) -> tuple[Spool[Opening], dict[str, str]]:
        config, ledger = self.config, Ledger()
        files = (read_documents(self.root / name, unit=config.unit) for name in config.files)
        drawn = draw_documents(config.corpora, config.num_documents, self.root, ledger)
        found = Spool(Opening, self._cut(chain(chain.from_iterable(files), drawn)))
        if not found:
            raise DataError(
                f"No text or chat of {[*config.files, *(one.repo for one in config.corpora)]} "
                f"can be gone on from: chats need a turn of the user, within {config.max_prompt} "
                "tokens."
            )
        hashes = {name: store.hash_file(self.root / name) for name in config.files}
        return found, {**hashes, **ledger.summary()}

    def _cut(self, documents: Iterable[Document]) -> Iterator[Opening]:
        for document in documents:
            numbers = random_for(self.config.seed, "opening", document.source)
            content = document.content
            if isinstance(content, str):
                ids = encode(self.tokenizer, content)[: self.config.max_prompt]
                ids = ids[: numbers.randint(1, len(ids))] if ids else ids
            else:
                ends = [n for n, one in enumerate(content, start=1) if one["role"] == "user"]
                if not ends:
                    continue
                chat = content[: numbers.choice(ends)]
                ids = encode(self.tokenizer, chat, add_generation_prompt=True)
            if 0 < len(ids) <= self.config.max_prompt:
                yield Opening(ids, share_of(document.words), document.source)


def read_continuations(path: str | Path, tokenizer: str) -> Spool[Continuation]:
    """Read a file of continuations.

    Args:
        path: as `Continuing.write` wrote it.
        tokenizer: hash of the vocabulary of the model that will read them.

    Raises:
        DataError: it is missing, not finished, or was changed since.
        MismatchError: it was made with another tokenizer.
    """
    path = Path(path)
    record = _read_record(path)
    if record is None or record.get("version") != VERSION:
        raise DataError(
            f"{path} has no {manifest_of(path).name} beside it that is understood. Make such a "
            "file with `ao data continue`."
        )
    if "blake2b" not in record:
        raise DataError(f"{path} is not finished. Run `ao data continue` once more, as before.")
    if store.hash_file(path) != record["blake2b"]:
        raise DataError(f"{path} is not the file its manifest speaks of. Make it again.")
    if record["tokenizer"] != tokenizer:
        raise MismatchError(
            f"{path} was made with another tokenizer ({record['tokenizer']}) than that of this "
            f"model ({tokenizer}). A target goes on for itself: make the file with this model."
        )
    rows = (row for row, _ in store.json_lines(path))
    return Spool(Continuation, map(_continuation, rows))


def _continuation(row: Mapping[str, Any]) -> Continuation:
    return Continuation(tuple(row["given"]), tuple(row["own"]), row["share"], row["source"])


def manifest_of(path: Path) -> Path:
    """Return the place of the manifest of a file of continuations."""
    return path.with_suffix(".manifest.json")


def _begin(path: Path, record: Mapping[str, Any]) -> bool:
    """Begin a file, or check one that was begun; say whether it is finished."""
    held = _read_record(path)
    if held is None:
        if path.exists():
            raise ConfigError(f"{path} is there already, and has no manifest. Name another file.")
        folder_at(path.parent)
        _write_record(path, record)
        path.touch()
        return False
    # As JSON holds them: tuples are lists there.
    present = json.loads(json.dumps(record))
    differing = [name for name in present if held.get(name) != present[name]]
    if differing:
        raise ConfigError(
            f"{path} was begun with another {', '.join(differing)}. Run with what "
            f"{manifest_of(path).name} says to go on with it, or name another file."
        )
    path.touch()
    return "blake2b" in held


def _whole_batches(file: Any, size: int, lines: int) -> int:
    """Cut off a batch that was not finished; return how many were."""
    ends = [0]
    for line in file:
        if not line.endswith(b"\n"):
            break
        ends.append(ends[-1] + len(line))
    num_lines = len(ends) - 1
    kept = num_lines if num_lines == lines else num_lines - num_lines % size
    file.seek(ends[kept])
    file.truncate()
    return -(-kept // size)


def _read_record(path: Path) -> dict[str, Any] | None:
    manifest = manifest_of(path)
    if not manifest.exists():
        return None
    try:
        return dict(json.loads(manifest.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{manifest} cannot be read: {error}.") from error


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    with writing(manifest_of(path)) as part:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
