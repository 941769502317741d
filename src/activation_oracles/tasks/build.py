"""A data set from its config: files read and checked first, then examples made, then written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks import groups, store
from activation_oracles.tasks.asking import Asker, Questions
from activation_oracles.tasks.classification import Classification, Sides, Windowing
from activation_oracles.tasks.config import (
    AnyTask,
    ClassificationConfig,
    ContextConfig,
    CorpusConfig,
    DataConfig,
    GroupConfig,
    SystemPromptConfig,
)
from activation_oracles.tasks.context import ContextPrediction
from activation_oracles.tasks.corpora import Ledger, draw_documents, problem
from activation_oracles.tasks.sources import Row, read_documents, read_json, read_rows
from activation_oracles.tasks.system_prompt import SystemPrompt, read_asked, read_latentqa
from activation_oracles.tasks.task import Task, mix, random_for
from activation_oracles.tasks.windows import Layers
from activation_oracles.types import Example


def build(
    config: DataConfig,
    folder: str | Path,
    tokenizer: PreTrainedTokenizerBase,
    num_layers: int,
    *,
    command: str = "",
    root: str | Path = ".",
) -> Path:
    """Make the examples of a config and write them into a folder; return it.

    Args:
        config: which tasks, from which files.
        folder: where they go.
        tokenizer: of the model that will read them.
        num_layers: decoder blocks of that model.
        command: what was typed, for the manifest.
        root: what file names in the config are relative to.

    Raises:
        ConfigError: settings that do not fit together.
        DataError: a file is missing or not what its task reads, or makes too few examples.
    """
    root = Path(root)
    _check_weights(config)
    _check_sources(config, root)
    ledger = Ledger()
    making = _Making(config, tokenizer, num_layers, root, ledger)
    tasks = [making.task(one) for one in config.tasks]
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise ConfigError(f"Two tasks have one name among {names}. Give each a `name` of its own.")
    weights = [one.weight for one in config.tasks if one.weight is not None and _trains(one)]
    splits: dict[store.Split, Sequence[Example]] = {
        "train": mix(
            [task for task, one in zip(tasks, config.tasks, strict=True) if _trains(one)],
            weights or None,
            split="train",
            seed=config.seed,
            num_examples=config.num_examples,
        )
    }
    if any(making.share(one) or not _trains(one) for one in config.tasks):
        # Held-out texts are few, and evaluation reports by task: all are kept.
        splits["held_out"] = mix(tasks, split="held_out", seed=config.seed)
    manifest = store.Manifest(
        seed=config.seed,
        command=command,
        tokenizer=store.hash_tokenizer(tokenizer),
        sources={
            **{name: store.hash_file(root / name) for name in sorted(_files(config, root))},
            **ledger.summary(),
        },
        config={**config.model_dump(mode="json"), "num_layers": num_layers},
    )
    ledger.write(folder)
    return store.write(folder, splits, manifest)


@dataclass(frozen=True)
class _Making:
    """What every task is made with."""

    config: DataConfig
    tokenizer: PreTrainedTokenizerBase
    num_layers: int
    root: Path
    ledger: Ledger

    def task(self, one: AnyTask) -> Task:
        """Read a task's files and data sets."""
        if isinstance(one, ContextConfig):
            return self._context(one)
        if isinstance(one, SystemPromptConfig):
            return self._system_prompt(one)
        return self._classification(one)

    def share(self, one: AnyTask) -> float:
        """Return the share of a task's texts that is held out."""
        return self.config.held_out if one.held_out is None else one.held_out

    def _layers(self, one: AnyTask) -> Layers:
        return Layers.at_percents(self.num_layers, self.config.layer_percents, one.layers)

    def _limit(self, one: AnyTask) -> int:
        return min(one.max_tokens, self.tokenizer.model_max_length)

    def _context(self, one: ContextConfig) -> Task:
        documents = [
            document
            for name in one.files
            for document in read_documents(self.root / name, unit=one.unit)
        ]
        if one.corpora:
            documents += draw_documents(one.corpora, one.num_documents, self.root, self.ledger)
        return ContextPrediction(
            documents=documents,
            tokenizer=self.tokenizer,
            layers=self._layers(one),
            name=one.name,
            widths=one.widths,
            max_wanted=one.max_wanted,
            max_tokens=self._limit(one),
            held_out_fraction=self.share(one),
            compat=self.config.compat,
        )

    def _system_prompt(self, one: SystemPromptConfig) -> Task:
        asked = [
            asked
            for name in one.files
            for asked in (
                read_asked(self.root / name)
                if name.endswith(".jsonl")
                else read_latentqa(self.root / name, self.root / one.qa if one.qa else None)
            )
        ]
        if one.max_questions is not None and one.max_questions < len(asked):
            asked = random_for(self.config.seed, one.name, "rows").sample(asked, one.max_questions)
        return SystemPrompt(
            asked=asked,
            tokenizer=self.tokenizer,
            layers=self._layers(one),
            name=one.name,
            max_tokens=self._limit(one),
            held_out_fraction=self.share(one),
            compat=self.config.compat,
        )

    def _classification(self, one: ClassificationConfig | GroupConfig) -> Task:
        rows: Sequence[Any]
        asker: Asker[Any]
        if isinstance(one, GroupConfig):
            rows, asker = groups.read_group(one, self.root, self.config.seed, self.ledger)
            sizes = (one.train_rows, one.held_out_rows)
        else:
            rows = _rows(one, self.config.seed, self.root)
            asker, sizes = _questions(one, self.root), (None, None)
        return Classification(
            name=one.name,
            rows=rows,
            tokenizer=self.tokenizer,
            layers=self._layers(one),
            questions=asker,
            windowing=tuple(Windowing(window.width, window.questions) for window in one.windows),
            max_tokens=self._limit(one),
            sides=Sides(self.share(one), *sizes, self.config.compat),
        )


def _check_weights(config: DataConfig) -> None:
    weights = [task.weight for task in config.tasks]
    if None in weights and set(weights) != {None}:
        raise ConfigError("Give a weight to every task of the mixture, or to none.")
    if config.num_examples and None in weights:
        raise ConfigError("num_examples needs a weight for every task, to know what to leave out.")
    if not any(_trains(task) for task in config.tasks):
        raise ConfigError("Every task holds all of its texts out; there is nothing to train on.")


def _check_sources(config: DataConfig, root: Path) -> None:
    """Look for every file and data set before any is read, which may take an hour."""
    missing = [_missing(task, root) for task in config.tasks]
    found = [one for one in missing if one]
    if found:
        raise DataError(" ".join(found))


def _missing(one: AnyTask, root: Path) -> str | None:
    """Say what a task lacks, what it would have made, and how to get it; None if nothing."""
    absent = [name for name in _files_of(one, root) if not (root / name).is_file()]
    parts = []
    if absent:
        parts.append(
            f"{', '.join(str(root / name) for name in absent)} cannot be read: no such file."
        )
        parts += [f"Get it: {one.origin}."] if one.origin else []
    parts += [text for corpus in _corpora_of(one) if (text := problem(corpus, root))]
    if not parts:
        return None
    lost = f"about {one.expects:,} examples of {one.name}" if one.expects else f"all of {one.name}"
    return f"{' '.join(parts)} It would have made {lost}; without it, leave that task out."


def _rows(one: ClassificationConfig, seed: int, root: Path) -> list[Row]:
    rows = [
        row
        for name in one.files
        for row in read_rows(
            root / name, one.text, one.label, header=one.header, encoding=one.encoding
        )
    ]
    if one.labels:
        unknown = sorted(set(one.labels) - {row.label for row in rows})
        if unknown:
            raise DataError(f"{one.name} names labels {unknown}, which no row of its files has.")
        rows = [
            Row(row.text, one.labels[row.label], row.source)
            for row in rows
            if row.label in one.labels
        ]
    if one.max_rows is not None and one.max_rows < len(rows):
        rows = random_for(seed, one.name, "rows").sample(rows, one.max_rows)
    return rows


def _questions(one: ClassificationConfig, root: Path) -> Questions:
    wordings: Any = one.questions
    if one.questions_file:
        name, _, key = one.questions_file.partition("#")
        read = read_json(root / name)
        for part in key.split("/") if key else ():
            read = read.get(part) if isinstance(read, dict) else None
        if not _are_questions(read):
            raise DataError(
                f"{one.questions_file} is neither a list of questions, nor an object of such lists "
                "by label. Name the part to take behind a `#`, as `question.json#tense`."
            )
        wordings = read
    if isinstance(wordings, dict):
        return Questions(by_label=wordings, open=one.open_questions)
    return Questions(about_label=wordings, open=one.open_questions)


def _are_questions(read: object) -> bool:
    lists = list(read.values()) if isinstance(read, dict) else [read]
    return bool(lists) and all(
        isinstance(one, list) and bool(one) and all(isinstance(text, str) for text in one)
        for one in lists
    )


def _trains(one: AnyTask) -> bool:
    """Say whether a task has a training side at all."""
    return not (isinstance(one, GroupConfig) and one.train_rows == 0)


def _files(config: DataConfig, root: Path) -> set[str]:
    return {name for task in config.tasks for name in _files_of(task, root)}


def _files_of(one: AnyTask, root: Path) -> list[str]:
    """Return the files of a task, relative to the root."""
    if isinstance(one, GroupConfig):
        return [f"{one.folder}/{name}" for name in groups.files(one, root)]
    more: list[str | None] = []
    if isinstance(one, SystemPromptConfig):
        more = [one.qa]
    if isinstance(one, ClassificationConfig) and one.questions_file:
        more = [one.questions_file.partition("#")[0]]
    return [*one.files, *(name for name in more if name)]


def _corpora_of(one: AnyTask) -> tuple[CorpusConfig, ...]:
    if isinstance(one, GroupConfig):
        return groups.corpora(one)
    return one.corpora if isinstance(one, ContextConfig) else ()
