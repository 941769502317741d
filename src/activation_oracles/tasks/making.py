"""Tasks from their configs: each one's files and data sets are read here, and nothing else is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks import groups
from activation_oracles.tasks.asking import Asker, Questions
from activation_oracles.tasks.classification import Classification, Sides, Windowing
from activation_oracles.tasks.config import (
    AnyTask,
    ClassificationConfig,
    ContextConfig,
    DataConfig,
    GroupConfig,
    SaeFeaturesConfig,
    SystemPromptConfig,
    UnanswerableConfig,
)
from activation_oracles.tasks.context import ContextPrediction
from activation_oracles.tasks.corpora import Ledger, draw_documents
from activation_oracles.tasks.features import SaeFeatures, read_decoder, read_features
from activation_oracles.tasks.nulls import Unanswerable
from activation_oracles.tasks.sources import Document, Row, read_documents, read_json, read_rows
from activation_oracles.tasks.spool import Record, Spool
from activation_oracles.tasks.system_prompt import Asked, SystemPrompt, read_asked, read_latentqa
from activation_oracles.tasks.task import Task, random_for
from activation_oracles.tasks.windows import Layers


@dataclass(frozen=True)
class Making:
    """What every task is made with."""

    config: DataConfig
    tokenizer: PreTrainedTokenizerBase
    num_layers: int
    root: Path
    ledger: Ledger

    def tasks(self) -> list[Task]:
        """Read the files and data sets of all tasks.

        Raises:
            ConfigError: settings that do not fit together, or not the model.
            DataError: a file is missing, or not what its task reads.
        """
        made = {
            one.name: self._task(one)
            for one in self.config.tasks
            if not isinstance(one, UnanswerableConfig)
        }
        return [
            self._unanswerable(one, made) if isinstance(one, UnanswerableConfig) else made[one.name]
            for one in self.config.tasks
        ]

    def share(self, one: AnyTask) -> float:
        """Return the share of a task's texts that is held out."""
        return self.config.held_out if one.held_out is None else one.held_out

    def _task(
        self,
        one: ContextConfig
        | ClassificationConfig
        | GroupConfig
        | SystemPromptConfig
        | SaeFeaturesConfig,
    ) -> Task:
        if isinstance(one, ContextConfig):
            return self._context(one)
        if isinstance(one, SystemPromptConfig):
            return self._system_prompt(one)
        if isinstance(one, SaeFeaturesConfig):
            return self._features(one)
        return self._classification(one)

    def _layers(self, one: AnyTask) -> Layers:
        drawn = self.config.drawn_layers
        if drawn is not None:
            return Layers(drawn.pool(self.num_layers), one.layers, drawn)
        return Layers.at_percents(self.num_layers, self.config.layer_percents, one.layers)

    def _limit(self, one: AnyTask) -> int:
        return min(one.max_tokens, self.tokenizer.model_max_length)

    def _context(self, one: ContextConfig) -> Task:
        drawn = draw_documents(one.corpora, one.num_documents, self.root, self.ledger)
        return ContextPrediction(
            documents=Spool(Document, chain(self._documents(one), drawn)),
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
        files = (
            read_asked(self.root / name)
            if name.endswith(".jsonl")
            else read_latentqa(self.root / name, self.root / one.qa if one.qa else None)
            for name in one.files
        )
        asked = Spool(Asked, chain.from_iterable(files))
        return SystemPrompt(
            asked=_sample(Asked, asked, one.max_questions, one.name, self.config.seed),
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

    def _features(self, one: SaeFeaturesConfig) -> SaeFeatures:
        if one.layer >= self.num_layers:
            raise ConfigError(
                f"{one.name} is about layer {one.layer}; the model has {self.num_layers}, which "
                "count from 0."
            )
        features = read_features(self.root / one.explanations)
        return SaeFeatures(
            features=features,
            vectors=read_decoder(self.root / one.decoder, features, one.tensor),
            layer=one.layer,
            name=one.name,
            asks=one.asks,
            held_out_fraction=self.share(one),
        )

    def _unanswerable(self, one: UnanswerableConfig, made: Mapping[str, Task]) -> Unanswerable:
        unknown = sorted(set(one.of) - set(made))
        if unknown or not (made or one.questions):
            raise ConfigError(
                f"{one.name} asks questions of the tasks {unknown or 'of a mixture'}, which there "
                f"are not. There are {sorted(made)}; or give `questions` and `files`."
            )
        return Unanswerable(
            asked=[made[name] for name in one.of or made],
            documents=self._documents(one),
            questions=one.questions,
            tokenizer=self.tokenizer,
            layers=self._layers(one),
            kinds=one.weights,
            name=one.name,
            answer=one.answer,
            share=one.share,
            widths=one.widths,
            max_tokens=self._limit(one),
            held_out_fraction=self.share(one),
        )

    def _documents(self, one: ContextConfig | UnanswerableConfig) -> Sequence[Document]:
        files = (read_documents(self.root / name, unit=one.unit) for name in one.files)
        return Spool(Document, chain.from_iterable(files))


def _sample(
    kind: type[Record], records: Sequence[Record], size: int | None, name: str, seed: int
) -> Sequence[Record]:
    """Return so many records, drawn by the seed; all where there are no more."""
    if size is None or size >= len(records):
        return records
    places = random_for(seed, name, "rows").sample(range(len(records)), size)
    return Spool(kind, (records[at] for at in places))


def _rows(one: ClassificationConfig, seed: int, root: Path) -> Sequence[Row]:
    files = (
        read_rows(root / name, one.text, one.label, header=one.header, encoding=one.encoding)
        for name in one.files
    )
    rows = Spool(Row, chain.from_iterable(files))
    if one.labels:
        unknown = sorted(set(one.labels) - {row.label for row in rows})
        if unknown:
            raise DataError(f"{one.name} names labels {unknown}, which no row of its files has.")
        named = (
            replace(row, label=one.labels[row.label]) for row in rows if row.label in one.labels
        )
        rows = Spool(Row, named)
    return _sample(Row, rows, one.max_rows, one.name, seed)


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
