"""A data set from its config: files read and checked first, then examples made, then written."""

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks import groups, store
from activation_oracles.tasks.config import (
    AnyTask,
    ClassificationConfig,
    DataConfig,
    GroupConfig,
    SaeFeaturesConfig,
    SystemPromptConfig,
)
from activation_oracles.tasks.continuing import manifest_of
from activation_oracles.tasks.corpora import Ledger, problem
from activation_oracles.tasks.features import SaeFeatures
from activation_oracles.tasks.later_config import OnPolicyConfig
from activation_oracles.tasks.making import Making
from activation_oracles.tasks.paraphrases import Paraphrased
from activation_oracles.tasks.task import mix
from activation_oracles.tasks.task_config import CorpusConfig, TextSources
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
    _check_names(config)
    _check_weights(config)
    _check_sources(config, root)
    ledger = Ledger()
    making = Making(config, tokenizer, num_layers, root, ledger)
    tasks = making.tasks()
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
    for task in tasks:
        made = task.task if isinstance(task, Paraphrased) else task
        if isinstance(made, SaeFeatures):
            made.save(folder)
    return store.write(folder, splits, manifest)


def _check_names(config: DataConfig) -> None:
    names = [task.name for task in config.tasks]
    if len(set(names)) != len(names):
        raise ConfigError(f"Two tasks have one name among {names}. Give each a `name` of its own.")


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


def _trains(one: AnyTask) -> bool:
    """Say whether a task has a training side at all."""
    return not (isinstance(one, GroupConfig) and one.train_rows == 0)


def _files(config: DataConfig, root: Path) -> set[str]:
    return {name for task in config.tasks for name in _files_of(task, root)}


def _files_of(one: AnyTask, root: Path) -> list[str]:
    """Return the files of a task, relative to the root."""
    wordings = [one.paraphrases.partition("#")[0]] if one.paraphrases else []
    return [*_sources_of(one, root), *wordings]


def _sources_of(one: AnyTask, root: Path) -> list[str]:
    if isinstance(one, GroupConfig):
        return [f"{one.folder}/{name}" for name in groups.files(one, root)]
    if isinstance(one, SaeFeaturesConfig):
        return [one.decoder, one.explanations]
    more: list[str | None] = []
    if isinstance(one, SystemPromptConfig):
        more = [one.qa]
    if isinstance(one, ClassificationConfig) and one.questions_file:
        more = [one.questions_file.partition("#")[0]]
    if isinstance(one, OnPolicyConfig):
        more = [str(manifest_of(Path(name))) for name in one.files]
    return [*one.files, *(name for name in more if name)]


def _corpora_of(one: AnyTask) -> tuple[CorpusConfig, ...]:
    if isinstance(one, GroupConfig):
        return groups.corpora(one)
    return one.corpora if isinstance(one, TextSources) else ()
