"""Rows of data sets that lie on the hub, or of local copies, and a record of what was drawn.

A stream is no file whose bytes could be hashed, so every row that is taken is entered in a
`Ledger`, which goes beside the examples. One call to `datasets` reads hub and copies alike.
"""

import hashlib
import itertools
import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.files import folder_at, writing
from activation_oracles.tasks.sources import Document, check_messages
from activation_oracles.tasks.spool import Spool
from activation_oracles.tasks.task_config import CorpusConfig

DRAWN = "drawn.jsonl"
COMMIT = re.compile(r"[0-9a-f]{40}")

FINEWEB = CorpusConfig(
    repo="HuggingFaceFW/fineweb",
    revision="9bb295ddab0e05d785b879661af7260fed5140fc",
    # The default configuration's first folder: its stream begins with these files.
    files="data/CC-MAIN-2013-20/*.parquet",
    column="text",
)
LMSYS = CorpusConfig(
    repo="lmsys/lmsys-chat-1m",
    revision="200748d9d3cddcc9d782887541057aca0b18c5da",
    files="data/train-*.parquet",
    column="conversation",
)
SNLI = CorpusConfig(
    repo="stanfordnlp/snli",
    revision="cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
    files="plain_text/train-*.parquet",
)
WILI = CorpusConfig(repo="FrancophonIA/WiLI-2018", column="Text")


def sst2(split: str) -> CorpusConfig:
    """Return a split of the Stanford Sentiment Treebank: `sentence`, `label`."""
    return CorpusConfig(
        repo="stanfordnlp/sst2",
        revision="8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb",
        files=f"data/{split}-*.parquet",
        split=split,
    )


def md_gender(split: str) -> CorpusConfig:
    """Return a split of the Multi-Dimensional Gender Bias set: `text`, `title`, `gender`."""
    # Its main branch holds a program, which is not run; the hub keeps what it makes on this one.
    return CorpusConfig(
        repo="facebook/md_gender_bias",
        revision="refs/convert/parquet",
        files=f"funpedia/{split}/*.parquet",
        split=split,
    )


class Ledger:
    """Which rows were drawn from which data sets: how many, and hashes of what they held."""

    def __init__(self) -> None:
        self._digests: dict[str, tuple[int, Any]] = {}
        # Three numbers a listed row: its source, its number there, its hash. Rows are many.
        self._listed = array("Q")

    def enter(self, source: str, row: int, record: dict[str, Any], *, listed: bool) -> None:
        """Note one row of a source; `listed` ones get a line of their own, others only count."""
        content = json.dumps(record, sort_keys=True, ensure_ascii=False, default=str).encode()
        digest = hashlib.blake2b(content, digest_size=8)
        count, whole = self._digests.get(source, (0, hashlib.blake2b(digest_size=16)))
        whole.update(digest.digest())
        self._digests[source] = (count + 1, whole)
        if listed:
            place = list(self._digests).index(source)
            self._listed.extend((place, row, int.from_bytes(digest.digest(), "big")))

    def summary(self) -> dict[str, str]:
        """Return for each source how many rows were drawn, and the hash of their contents."""
        return {
            source: f"{count} rows {whole.hexdigest()}"
            for source, (count, whole) in sorted(self._digests.items())
        }

    def write(self, folder: str | Path) -> None:
        """Write the listed rows into a folder, one JSON line each; nothing where none is listed."""
        if not self._listed:
            return
        sources = list(self._digests)
        path = folder_at(Path(folder)) / DRAWN
        with writing(path) as part, part.open("w", encoding="utf-8") as file:
            for at in range(0, len(self._listed), 3):
                place, row, digest = self._listed[at : at + 3]
                line = {"source": sources[place], "row": row, "blake2b": f"{digest:016x}"}
                file.write(f"{json.dumps(line)}\n")


def read_corpus(corpus: CorpusConfig, root: str | Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield a data set's rows in the order they lie there, with their numbers from 1.

    Args:
        corpus: which.
        root: what its folder is relative to.

    Raises:
        ConfigError: the `datasets` package is missing.
        DataError: there is no such data set, it is gated, or its stream breaks off.
    """
    number = 0
    try:
        for number, record in enumerate(_stream(corpus, root), start=1):
            yield dict(record), number
    except _failures() as error:
        place = f" beyond row {number}" if number else ""
        raise DataError(
            f"{corpus.repo} cannot be read{place}: {_brief(error)}. {how_to_get(corpus)}"
        ) from error
    if not number:
        raise DataError(f"{corpus.repo} holds no rows. {how_to_get(corpus)}")


def problem(corpus: CorpusConfig, root: str | Path) -> str | None:
    """Say what keeps a data set from being read, or None: reads its first row."""
    try:
        next(read_corpus(corpus, root))
    except DataError as error:
        return str(error)
    return None


def how_to_get(corpus: CorpusConfig) -> str:
    """Say how a data set, or a copy of it, is got."""
    where = f"{corpus.folder or 'FOLDER'}/{corpus.repo}"
    download = (
        f"`hf download {corpus.repo} --repo-type dataset --revision {corpus.revision} "
        f"--local-dir {where}`"
    )
    if corpus.folder:
        return (
            f"Expected files {corpus.files or 'of its own layout'} in {where}: {download} puts "
            "them there, or lay other rows with the same columns there."
        )
    return (
        f"If it is gated, accept its terms at https://huggingface.co/datasets/{corpus.repo} and "
        f"log in with `hf auth login`. Without a connection, copy it elsewhere with {download} "
        "and name FOLDER in the settings."
    )


def identify(corpus: CorpusConfig) -> str:
    """Return a data set's name with the commit that is read, for the record.

    Raises:
        DataError: the hub does not say which commit a branch is at.
    """
    split = f":{corpus.split}"
    if corpus.folder:
        return f"{corpus.repo}{split} (local copy)"
    if COMMIT.fullmatch(corpus.revision):
        return f"{corpus.repo}@{corpus.revision}{split}"
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(corpus.repo, revision=corpus.revision).sha
    except _failures() as error:
        raise DataError(
            f"{corpus.repo}: the commit of {corpus.revision!r} cannot be told: {_brief(error)}."
        ) from error
    return f"{corpus.repo}@{commit}{split}"


def draw_documents(
    corpora: Sequence[CorpusConfig], count: int, root: str | Path, ledger: Ledger
) -> Sequence[Document]:
    """Take texts and chats from several data sets by turns, one from each, in stream order.

    Args:
        corpora: the data sets; `column` holds a text, or a chat as a list of messages.
        count: how many in all.
        root: what their folders are relative to.
        ledger: gets a line for each.

    Raises:
        DataError: a data set cannot be read, has too few rows, or holds something else.
    """
    readers = [_documents(corpus, root, ledger) for corpus in corpora]

    def by_turns() -> Iterator[Document]:
        turns = itertools.cycle(zip(readers, corpora, strict=True))
        for number, (reader, corpus) in enumerate(itertools.islice(turns, count)):
            document = next(reader, None)
            if document is None:
                raise DataError(
                    f"{corpus.repo} ended when {number} of {count} texts were drawn from "
                    f"{[one.repo for one in corpora]} by turns. Ask for fewer."
                )
            yield document

    return Spool(Document, by_turns())


def _documents(corpus: CorpusConfig, root: str | Path, ledger: Ledger) -> Iterator[Document]:
    name = identify(corpus)
    for record, number in read_corpus(corpus, root):
        where = f"{corpus.repo}:{number}"
        content = record.get(corpus.column)
        if isinstance(content, str) and not content.strip():
            continue
        ledger.enter(name, number, {corpus.column: content}, listed=True)
        if isinstance(content, str):
            yield Document(content, where)
        elif isinstance(content, list):
            yield Document(check_messages(content, where), where)
        else:
            raise DataError(
                f"{where} has no text or chat in {corpus.column!r}; it has {list(record)}."
            )


def _stream(corpus: CorpusConfig, root: str | Path) -> Iterable[dict[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ConfigError(
            f"{corpus.repo} is read with `datasets`: pip install 'activation-oracles[data]'."
        ) from error

    path = str(Path(root) / corpus.folder / corpus.repo) if corpus.folder else corpus.repo
    if corpus.folder and not Path(path).is_dir():
        raise FileNotFoundError(f"there is no folder {path}")
    files = {corpus.split: corpus.files} if corpus.files else None
    stream: Any = load_dataset(
        path, data_files=files, split=corpus.split, revision=corpus.revision, streaming=True
    )
    return stream


def _failures() -> tuple[type[Exception], ...]:
    """Return what goes wrong on the way to a data set: no connection, no access, no file."""
    from huggingface_hub.errors import HTTPError

    return (OSError, ValueError, HTTPError)


def _brief(error: Exception) -> str:
    """Return an error's first sentences on one line; the hub's come with a page."""
    return " ".join(str(error).split())[:300].rstrip(".")
