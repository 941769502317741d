"""Settings that a person decides before any work: frozen, documented, strict about names."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from activation_oracles.errors import ConfigError

Loaded = TypeVar("Loaded", bound="Settings")


class Settings(BaseModel):
    """A frozen set of settings: an unknown name is an error, never ignored.

    Building one touches no disk. Field docstrings are also the `--help`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(f"{type(self).__name__}: {_problems(error)}.") from error

    def as_yaml(self) -> str:
        """Return the settings as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def save(self, path: str | Path) -> None:
        """Write the settings as YAML."""
        Path(path).write_text(self.as_yaml(), encoding="utf-8")

    @classmethod
    def load(cls: type[Loaded], path: str | Path) -> Loaded:
        """Read settings from a YAML file.

        Raises:
            ConfigError: the file is missing, is not YAML, or holds settings that are not possible.
        """
        values = cls.load_values(path)
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def load_values(cls, path: str | Path) -> dict[str, Any]:
        """Read a YAML file's settings without asking for those that it leaves out.

        Raises:
            ConfigError: the file is missing, is not YAML, or holds no settings.
        """
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} cannot be read as YAML: {error}.") from error
        if not isinstance(values, dict):
            example = next(iter(cls.model_fields))
            raise ConfigError(f"{path} holds no settings. Expected lines as `{example}: ...`.")
        return {str(name): value for name, value in values.items()}


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ")
        for one in error.errors()
    )
