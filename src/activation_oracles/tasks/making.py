"""Tasks from their configs: each one's files and data sets are read here, and nothing else is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError
from activation_oracles.tasks import groups, store
from activation_oracles.tasks.asking import Asker
from activation_oracles.tasks.classification import Classification, Sides, Windowing
from activation_oracles.tasks.config import (
    Answerable,
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
from activation_oracles.tasks.continuing import Continuation, read_continuations
from activation_oracles.tasks.conversation import Conversations, Talk, read_talks
from activation_oracles.tasks.corpora import Ledger, draw_documents
from activation_oracles.tasks.entries import Entry, read_entries
from activation_oracles.tasks.features import SaeFeatures, read_decoder, read_features
from activation_oracles.tasks.later_config import (
    ConversationConfig,
    OnPolicyConfig,
    PrefixSuffixConfig,
)
from activation_oracles.tasks.nulls import Unanswerable
from activation_oracles.tasks.on_policy import OnPolicy
from activation_oracles.tasks.paraphrases import Paraphrased, read_wordings
from activation_oracles.tasks.prefix_suffix import PrefixSuffix, Sought, read_sought
from activation_oracles.tasks.sources import Document, read_documents
from activation_oracles.tasks.spool import Spool, drawn
from activation_oracles.tasks.system_prompt import Asked, SystemPrompt, read_asked, read_latentqa
from activation_oracles.tasks.tables import read_questions, read_table
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
            one.name: self._reworded(one, self._task(one))
            for one in self.config.tasks
            if not isinstance(one, UnanswerableConfig)
        }
        return [
            self._reworded(one, self._unanswerable(one, made))
            if isinstance(one, UnanswerableConfig)
            else made[one.name]
            for one in self.config.tasks
        ]

    def share(self, one: AnyTask) -> float:
        """Return the share of a task's texts that is held out."""
        return self.config.held_out if one.held_out is None else one.held_out

    def _reworded(self, one: AnyTask, task: Task) -> Task:
        if one.paraphrases is None:
            return task
        return Paraphrased(
            task=task,
            wordings=read_wordings(one.paraphrases, self.root, one.held_out_paraphrases),
            file=one.paraphrases,
            times=one.rewordings,
            covers_all=one.paraphrases_cover == "all",
        )

    def _task(self, one: Answerable) -> Task:
        if isinstance(one, ContextConfig):
            return self._context(one)
        if isinstance(one, SystemPromptConfig):
            return self._system_prompt(one)
        if isinstance(one, SaeFeaturesConfig):
            return self._features(one)
        if isinstance(one, OnPolicyConfig):
            return self._on_policy(one)
        if isinstance(one, ConversationConfig):
            return self._conversations(one)
        if isinstance(one, PrefixSuffixConfig):
            return self._prefix_suffix(one)
        return self._classification(one)

    def _layers(self, one: AnyTask) -> Layers:
        drawn = self.config.drawn_layers
        if drawn is not None:
            return Layers(drawn.pool(self.num_layers), one.layers, drawn)
        return Layers.at_percents(self.num_layers, self.config.layer_percents, one.layers)

    def _numbers(self, one: AnyTask) -> Random:
        """Return random numbers to draw a task's rows with."""
        return random_for(self.config.seed, one.name, "rows")

    def _limit(self, one: AnyTask) -> int:
        return min(one.max_tokens, self.tokenizer.model_max_length)

    def _context(self, one: ContextConfig) -> Task:
        more = draw_documents(one.corpora, one.num_documents, self.root, self.ledger)
        return ContextPrediction(
            documents=Spool(Document, chain(self._documents(one), more)),
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
            asked=drawn(Asked, asked, one.max_questions, self._numbers(one)),
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
            rows = read_table(one, self.config.seed, self.root)
            asker, sizes = read_questions(one, self.root), (None, None)
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

    def _on_policy(self, one: OnPolicyConfig) -> OnPolicy:
        tokenizer = store.hash_tokenizer(self.tokenizer)
        files = (read_continuations(self.root / name, tokenizer) for name in one.files)
        texts = Spool(Continuation, chain.from_iterable(files))
        return OnPolicy(
            texts=drawn(Continuation, texts, one.max_texts, self._numbers(one)),
            tokenizer=self.tokenizer,
            layers=self._layers(one),
            name=one.name,
            widths=one.widths,
            max_wanted=one.max_wanted,
            max_tokens=self._limit(one),
            held_out_fraction=self.share(one),
        )

    def _conversations(self, one: ConversationConfig) -> Conversations:
        paths = [self.root / name for name in one.files]
        entries = (read_entries(path) for path in paths if path.suffix == ".json")
        read = [read_talks(path, unit=one.unit) for path in paths if path.suffix != ".json"]
        more = draw_documents(one.corpora, one.num_documents, self.root, self.ledger)
        talks = Spool(Talk, chain.from_iterable(asked for asked, _ in read))
        held = Spool(Entry, chain.from_iterable(entries))
        return Conversations(
            talks=drawn(Talk, talks, one.max_questions, self._numbers(one)),
            chats=Spool(Document, chain(*(chats for _, chats in read), more)),
            entries=drawn(Entry, held, one.max_questions, self._numbers(one)),
            tokenizer=self.tokenizer,
            layers=self._layers(one),
            name=one.name,
            at=one.at,
            asks=one.asks,
            max_answer=one.max_answer,
            max_tokens=self._limit(one),
            held_out_fraction=self.share(one),
        )

    def _prefix_suffix(self, one: PrefixSuffixConfig) -> PrefixSuffix:
        read = [read_sought(self.root / name, unit=one.unit) for name in one.files]
        more = draw_documents(one.corpora, one.num_documents, self.root, self.ledger)
        sought = Spool(Sought, chain.from_iterable(asked for asked, _ in read))
        return PrefixSuffix(
            sought=drawn(Sought, sought, one.max_questions, self._numbers(one)),
            documents=Spool(Document, chain(*(texts for _, texts in read), more)),
            tokenizer=self.tokenizer,
            layers=self._layers(one),
            name=one.name,
            sides=one.sides,
            widths=one.widths,
            max_tokens=self._limit(one),
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
