"""A grid of training runs: what they share, what is varied, and every run's settings, checked.

Planning starts nothing. Each run is an ordinary `ao train` in a folder of its own below the grid's,
named after what is varied, so that a grid is continued by planning it again in the same place.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.models.load import read_shape
from activation_oracles.tasks import store
from activation_oracles.tasks.config import DataConfig
from activation_oracles.tasks.settings import Settings
from activation_oracles.training.config import TrainConfig, merged
from activation_oracles.training.prepare import SETTINGS
from activation_oracles.training.recipes import Sources, settings_of
from activation_oracles.training.tracking import check_trackers

OF_A_RECIPE = ("recipe", *(one.name for one in fields(Sources)))
"""What a grid may name beside the settings of a run: a recipe, and what it is made with."""
NOT_VARIED = ("output", "resume")
MADE = "made-data"
"""Begins the names of folders, beside the runs', with data that several of them share."""
LONGEST_NAME = 100


class Grid(Settings):
    """Training runs that differ in a few settings: every combination of the values is one run."""

    base: dict[str, Any] = Field(default_factory=dict)
    """What all runs share: settings as in a file of `ao train`, or a `recipe` with its `scale`,
    `folder`, `copies` and `compat`. An `output` here is not used: the grid has its own."""
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    """Values by the setting's dotted name, as `lora.rank: [8, 64]`; also `recipe` and `scale`."""

    @model_validator(mode="after")
    def _varies(self) -> "Grid":
        for name, values in self.grid.items():
            if not values:
                raise ValueError(f"`{name}` has no values")
            if name in NOT_VARIED:
                raise ValueError(f"`{name}` cannot be varied: every run has a folder of its own")
        return self

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the settings with more than one value."""
        return tuple(name for name, values in self.grid.items() if len(values) > 1)

    def points(self) -> list[dict[str, Any]]:
        """Return each run's values by dotted name, the last setting varying fastest."""
        return [dict(zip(self.grid, one, strict=True)) for one in product(*self.grid.values())]


@dataclass(frozen=True)
class Planned:
    """One run of a grid."""

    name: str
    """Of its folder: what is varied, with its value here."""
    varied: Mapping[str, Any]
    """The same by dotted name, values as the settings hold them."""
    config: TrainConfig
    mixture: DataConfig | None
    """What its data are made of, where they are not there yet: once for all runs that share it."""


def plan(grid: Grid, folder: str | Path) -> tuple[Planned, ...]:
    """Return the runs of a grid, every one of them checked as far as is possible without a model.

    Args:
        grid: what is shared and what is varied.
        folder: where runs go; those that are there already must be of this grid.

    Raises:
        ConfigError: settings that are not possible, two runs that are the same, or a folder that
            holds other runs.
        DataError: data that are named cannot be read.
        ModelError: there is no such model.
        MismatchError: data were made for another model.
    """
    found = [_settings(grid, point) for point in grid.points()]
    shown = [
        {name: _held(config, point, name) for name in grid.varied}
        for config, point in zip(found, grid.points(), strict=True)
    ]
    names = _names(shown)
    runs = tuple(
        Planned(name, values, *_placed(config, Path(folder), name))
        for name, values, config in zip(names, shown, found, strict=True)
    )
    _check_different(runs)
    for run in runs:
        _check_folder(run)
    _check_all(runs)
    return runs


def _settings(grid: Grid, point: Mapping[str, Any]) -> TrainConfig:
    """Return a run's settings: recipe, base and values, the later ones above."""
    both = {**grid.base, **point}
    below = _of_recipe({name: both[name] for name in OF_A_RECIPE if name in both})
    base, above = _nested(grid.base), _nested(point)
    below = merged(below, base)
    if "data" in above:
        below.pop("mixture", None)
    settings: dict[str, Any] = {**merged(below, above), "output": "grid", "resume": False}
    try:
        return TrainConfig(**settings)
    except ConfigError as error:
        where = ", ".join(f"{name} {value}" for name, value in point.items())
        raise ConfigError(f"A run of the grid ({where}) is not possible: {error}") from error


def _of_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    if "recipe" not in given:
        if given:
            raise ConfigError(f"{', '.join(given)} belong to a `recipe`; name one in the grid.")
        return {}
    try:
        sources = TypeAdapter(Sources).validate_python(
            {name: value for name, value in given.items() if name != "recipe"}
        )
    except ValidationError as error:
        raise ConfigError(f"What the recipe is made with is not possible: {error}") from error
    return settings_of(str(given["recipe"]), sources)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run among values by dotted name, nested as in its file."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in OF_A_RECIPE:
            for part in reversed(name.split(".")):
                value = {part: value}
            found = merged(found, value)
    return found


def _held(config: TrainConfig, point: Mapping[str, Any], name: str) -> Any:
    """Return a setting as the run holds it, so that 1e-3 and 0.001 are one value."""
    if name in OF_A_RECIPE:
        return point[name]
    held: Any = config.model_dump(mode="json")
    for part in name.split("."):
        if not isinstance(held, Mapping):
            # Within a list, as the tasks of a mixture: what was asked for stands for itself.
            return point[name]
        held = held[part]
    return held


def _names(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a readable name for each run, unlike any other's."""
    last = Counter(name.rpartition(".")[2] for name in shown[0])
    names: list[str] = []
    for values in shown:
        parts: list[str] = []
        for name, value in values.items():
            short = name.rpartition(".")[2]
            parts.append(f"{short if last[short] == 1 else name}-{_word(value)}")
        names.append("_".join(parts) or "run")
    count = Counter(names)
    return [
        name if count[name] == 1 and len(name) <= LONGEST_NAME else _hashed(name, values)
        for name, values in zip(names, shown, strict=True)
    ]


def _word(value: Any) -> str:
    """Return a value as part of a file's name."""
    if isinstance(value, list):
        return "+".join(map(_word, value))
    if isinstance(value, Mapping):
        return _hash(value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text.rstrip("/").rpartition("/")[2])


def _hashed(name: str, values: Mapping[str, Any]) -> str:
    return f"{name[:LONGEST_NAME]}_{_hash(values)}"


def _hash(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _placed(config: TrainConfig, folder: Path, name: str) -> tuple[TrainConfig, DataConfig | None]:
    """Return a run's settings with its own folder, and with data that are made once for all."""
    mixture, changes = config.mixture, {"output": str(folder / name)}
    if mixture is None:
        return config.model_copy(update=changes), None
    # Made for a model's tokenizer and depth, so other models share nothing.
    made = folder / f"{MADE}-{_hash([config.model, mixture.model_dump(mode='json')])}"
    changes |= {"data": (str(made),), "mixture": None}
    return config.model_copy(update=changes), mixture


def _check_different(runs: Sequence[Planned]) -> None:
    seen: dict[str, Planned] = {}
    for run in runs:
        settings = json.dumps(run.config.deciding(), sort_keys=True)
        same = seen.setdefault(settings, run)
        if same is not run:
            raise ConfigError(
                f"The grid holds one run twice: {dict(same.varied)} and {dict(run.varied)} train "
                "the same weights. Leave one value out."
            )


def _check_folder(run: Planned) -> None:
    """Refuse a folder that holds another run than this one."""
    path = Path(run.config.output) / SETTINGS
    if not path.exists():
        return
    held, wanted = TrainConfig.load(path).deciding(), run.config.deciding()
    different = [
        f"{name} was {held.get(name)!r}, is {wanted.get(name)!r}"
        for name in sorted(set(held) | set(wanted))
        if held.get(name) != wanted.get(name)
    ]
    if different:
        raise ConfigError(
            f"{run.config.output} holds another run: {'; '.join(different)}. Give the grid another "
            "folder, or the settings that it was begun with."
        )


def _check_all(runs: Sequence[Planned]) -> None:
    """Look at models, data and trackers, each of them once."""
    shapes: dict[str, tuple[str, int]] = {}
    seen: set[tuple[str, str]] = set()
    for run in runs:
        config = run.config
        check_trackers(config.trackers)
        if config.model not in shapes:
            tokenizer, num_layers = read_shape(config.model)
            shapes[config.model] = store.hash_tokenizer(tokenizer), num_layers
        tokenizer_hash, num_layers = shapes[config.model]
        _check_numbers(config, num_layers)
        for source in config.data:
            if (source, config.model) not in seen and not _is_to_come(run):
                _check_source(Path(source), config.model, tokenizer_hash)
            seen.add((source, config.model))


def _is_to_come(run: Planned) -> bool:
    return run.mixture is not None and not Path(run.config.data[0]).exists()


def _check_numbers(config: TrainConfig, num_layers: int) -> None:
    if config.batch_size % config.accumulate:
        raise ConfigError(
            f"batch_size {config.batch_size} cannot be cut into accumulate {config.accumulate} "
            "even parts."
        )
    if config.injection_block >= num_layers:
        raise ConfigError(
            f"injection_block {config.injection_block} lies outside the {num_layers} blocks of "
            f"{config.model!r}."
        )


def _check_source(source: Path, model: str, tokenizer: str) -> None:
    if source.suffix in store.OWN_FILES:
        store.hash_file(source)
        return
    made_with = store.read_manifest(source)["tokenizer"]
    if made_with != tokenizer:
        raise MismatchError(
            f"{source} was made with another tokenizer ({made_with}) than that of {model!r} "
            f"({tokenizer}). Build it again for this model."
        )
