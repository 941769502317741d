"""`ao train`: an oracle for a model, from a YAML file, from settings, or from both.

The settings are those of `TrainConfig`, all optional here: a file may hold the rest.
"""

import shlex
import sys
from collections.abc import Collection
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from typing import Annotated, Any, Literal, get_args

import tyro
from pydantic.fields import FieldInfo

from activation_oracles.errors import ConfigError
from activation_oracles.tasks.settings import Settings
from activation_oracles.training.config import TrainConfig, merged

IN_FILES = ("tasks", "compat")
"""Settings of a mixture that only a recipe or a file gives: too large to be typed, or, as `compat`,
no more than a part of what the recipe makes of it."""


def overrides(kind: type[Settings], without: Collection[str] = IN_FILES) -> type[Any]:
    """Return a dataclass of a config's settings, none of which is set unless it is typed."""
    return make_dataclass(
        f"{kind.__name__}Overrides",
        [_override(name, info) for name, info in kind.model_fields.items() if name not in without],
        frozen=True,
        namespace={"__doc__": kind.__doc__},
    )


def typed(given: Any) -> dict[str, Any]:
    """Return the settings that were typed, nested as in a YAML file."""
    found = {one.name: getattr(given, one.name) for one in fields(given)}
    nested = {name: typed(one) if is_dataclass(one) else one for name, one in found.items()}
    # Not `one in (None, False, {})`: 0 equals False.
    return {
        name: one for name, one in nested.items() if not (one is None or one is False or one == {})
    }


def _override(name: str, info: FieldInfo) -> tuple[str, Any, Any]:
    for one in (info.annotation, *get_args(info.annotation)):
        # Also where there may be none, as a mixture: its own settings are typed one by one.
        if isinstance(one, type) and issubclass(one, Settings):
            kind = overrides(one)
            return name, kind, field(default_factory=kind)
    default = "required" if info.is_required() else f"default: {_shown(info.default)}"
    help_text = tyro.conf.arg(help=f"{info.description} ({default})", help_behavior_hint="")
    if info.annotation is bool:
        return name, Annotated[tyro.conf.FlagCreatePairsOff[bool], help_text], False
    return name, Annotated[info.annotation | None, help_text], None  # pyright: ignore


def _shown(default: Any) -> str:
    return shlex.join(map(str, default)) if isinstance(default, tuple) else str(default)


Overrides = overrides(TrainConfig)


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train an oracle: a LoRA that answers questions about a model's activations."""

    config: str | None = None
    """YAML file of settings, as a run writes beside its result; what is typed here overrides it."""
    recipe: str | None = None
    """A whole run by name, as `paper`: its data are made of published sources. A file and what is
    typed here override it. See docs/train.md for the names."""
    scale: float = 1.0
    """With a recipe: share of the published sizes."""
    folder: str = "datasets"
    """With a recipe: the folder `datasets` of the reference implementation."""
    copies: str | None = None
    """With a recipe: folder of local copies of the hub's data sets; by default the hub."""
    compat: Literal["none", "paper"] = "none"
    """With a recipe: `paper` constructs examples as published, defects included."""
    print_config: bool = False
    """Print all settings as YAML, fit for `--config`, and do nothing else."""
    settings: Annotated[Overrides, tyro.conf.arg(name="")] = field(  # pyright: ignore
        default_factory=Overrides
    )

    def run(self) -> None:
        """Train, with a bar on stderr, and print the oracle's folder."""
        config = self.resolved()
        if self.print_config:
            print(config.as_yaml(), end="")
            return
        from accelerate import PartialState

        from activation_oracles.evals.grade import GRADES
        from activation_oracles.training.loop import train
        from activation_oracles.training.stopping import StoppedError

        try:
            folder = train(config, grade=GRADES[config.practice.grade])
        except StoppedError as stop:
            if PartialState().is_main_process:
                print(f"ao train: {stop}", file=sys.stderr)
            # As a shell reports a process that a signal ended.
            raise SystemExit(128 + stop.number) from stop
        if PartialState().is_main_process:
            print(folder)

    def resolved(self) -> TrainConfig:
        """Return the settings of recipe and file, and those that were typed, as one."""
        below = self._of_recipe()
        if self.config:
            below = merged(below, TrainConfig.load_values(self.config))
        above = typed(self.settings)
        if above.get("data"):
            below.pop("mixture", None)
        return TrainConfig(**merged(below, above))

    def _of_recipe(self) -> dict[str, Any]:
        from activation_oracles.training.recipes import Sources, settings_of

        sources = Sources(
            folder=self.folder, copies=self.copies, scale=self.scale, compat=self.compat
        )
        if self.recipe is not None:
            return settings_of(self.recipe, sources)
        if sources != Sources():
            raise ConfigError("scale, folder, copies and compat belong to a --recipe.")
        return {}
