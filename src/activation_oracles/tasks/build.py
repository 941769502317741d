"""A data set from its config: files read and checked first, then examples made, then written."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks import store
from activation_oracles.tasks.classification import Classification, Questions, Windowing
from activation_oracles.tasks.config import (
    AnyTask,
    ClassificationConfig,
    ContextConfig,
    DataConfig,
    SystemPromptConfig,
)
from activation_oracles.tasks.context import ContextPrediction
from activation_oracles.tasks.sources import Row, read_documents, read_json, read_rows
from activation_oracles.tasks.system_prompt import SystemPrompt, read_asked, read_latentqa
from activation_oracles.tasks.task import SPLITS, Task, mix, random_for
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
    weights = [task.weight for task in config.tasks]
    if None in weights and set(weights) != {None}:
        raise ConfigError("Give a weight to every task of the mixture, or to none.")
    if config.num_examples and None in weights:
        raise ConfigError("num_examples needs a weight for every task, to know what to leave out.")
    tasks = [_task(one, config, tokenizer, num_layers, root) for one in config.tasks]
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise ConfigError(f"Two tasks have one name among {names}. Give each a `name` of its own.")
    shares = [weight for weight in weights if weight is not None] or None
    splits: dict[store.Split, list[Example]] = {
        split: mix(
            tasks,
            # Held-out texts are few, and evaluation reports by task: all are kept.
            shares if split == "train" else None,
            split=split,
            seed=config.seed,
            num_examples=config.num_examples if split == "train" else None,
        )
        for split in (SPLITS if config.held_out else SPLITS[:1])
    }
    manifest = store.Manifest(
        seed=config.seed,
        command=command,
        tokenizer=store.hash_tokenizer(tokenizer),
        sources={name: store.hash_file(root / name) for name in sorted(_files(config))},
        config={**config.model_dump(mode="json"), "num_layers": num_layers},
    )
    return store.write(folder, splits, manifest)


def _task(
    one: AnyTask,
    config: DataConfig,
    tokenizer: PreTrainedTokenizerBase,
    num_layers: int,
    root: Path,
) -> Task:
    layers = Layers.at_percents(num_layers, config.layer_percents, one.layers)
    limit = min(one.max_tokens, tokenizer.model_max_length)
    if isinstance(one, ContextConfig):
        return ContextPrediction(
            documents=[d for name in one.files for d in read_documents(root / name, unit=one.unit)],
            tokenizer=tokenizer,
            layers=layers,
            name=one.name,
            widths=one.widths,
            max_wanted=one.max_wanted,
            max_tokens=limit,
            held_out_fraction=config.held_out,
        )
    if isinstance(one, SystemPromptConfig):
        return SystemPrompt(
            asked=[
                asked
                for name in one.files
                for asked in (
                    read_asked(root / name)
                    if name.endswith(".jsonl")
                    else read_latentqa(root / name, root / one.qa if one.qa else None)
                )
            ],
            tokenizer=tokenizer,
            layers=layers,
            name=one.name,
            max_tokens=limit,
            held_out_fraction=config.held_out,
        )
    return Classification(
        name=one.name,
        rows=_rows(one, config.seed, root),
        tokenizer=tokenizer,
        layers=layers,
        questions=_questions(one, root),
        windowing=tuple(Windowing(window.width, window.questions) for window in one.windows),
        max_tokens=limit,
        held_out_fraction=config.held_out,
    )


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


def _files(config: DataConfig) -> set[str]:
    found = {name for task in config.tasks for name in task.files}
    for task in config.tasks:
        if isinstance(task, SystemPromptConfig) and task.qa:
            found.add(task.qa)
        if isinstance(task, ClassificationConfig) and task.questions_file:
            found.add(task.questions_file.partition("#")[0])
    return found
