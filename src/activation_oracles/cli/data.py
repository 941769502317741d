"""`ao data build`: training questions from texts, chats and tables."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from activation_oracles.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BuildData:
    """Make questions whose answers are known, for one model, from a YAML file that names sources.

    Everything is read and checked before anything is written. See docs/data.md for the file.
    """

    config: str
    """YAML file that names tasks and their files; names are relative to its folder."""
    model: str
    """Folder or hub id of the model whose tokens and layers the questions are about."""
    out: str
    """Folder for the examples and their manifest."""
    overwrite: bool = False
    """Replace examples that are in `out` already."""

    def run(self) -> None:
        """Write the examples and print how many there are of each task."""
        from activation_oracles.models.load import read_shape
        from activation_oracles.tasks import store
        from activation_oracles.tasks.build import build
        from activation_oracles.tasks.config import DataConfig

        config = DataConfig.load(self.config)
        if (Path(self.out) / store.MANIFEST).exists() and not self.overwrite:
            raise ConfigError(f"{self.out} holds examples already. Name another, or --overwrite.")
        tokenizer, num_layers = read_shape(self.model)
        typed = {"--config": self.config, "--model": self.model, "--out": self.out}
        command = shlex.join(["ao", "data", "build", *(w for pair in typed.items() for w in pair)])
        root = Path(self.config).parent
        folder = build(config, self.out, tokenizer, num_layers, command=command, root=root)
        for split, held in store.read_manifest(folder)["splits"].items():
            print(f"{split}: {held['examples']} examples")
            for task, count in held["tasks"].items():
                print(f"  {task}: {count}")
