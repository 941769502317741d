"""`ao push`: an oracle to the hub, checked before anything is sent and sent in one commit."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from activation_oracles.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Push:
    """Publish an oracle on the hub: adapter, card and model card, in one commit."""

    folder: Annotated[str, tyro.conf.Positional]
    """What `ao train` left."""
    repo: Annotated[str, tyro.conf.Positional]
    """Where it goes, as owner/name; made where it is not there."""
    private: bool = False
    """Let nobody else read it; refused where a public repository of that name is there already."""
    dry_run: bool = False
    """Check everything, tell what would be uploaded, and ask nothing of the hub."""
    out: str | None = None
    """With --dry-run: write what would be uploaded into this folder, to be read first."""
    scores: str | None = None
    """Folder that `ao eval --out` wrote; its scores go into the card, with their controls."""
    base_model: str | None = None
    """Hub id of the base model, where the oracle was trained from a folder."""
    license: str | None = None
    """The hub's name of a licence, as mit or apache-2.0; the base model's may bind it."""
    datasets: tuple[str, ...] = ()
    """Hub ids of data that it was trained on."""

    def __post_init__(self) -> None:
        if self.out is not None and not self.dry_run:
            raise ConfigError("--out goes with --dry-run: it is where nothing but a copy is left.")

    def run(self) -> None:
        """Print the commit's address; with --dry-run the files and their sizes."""
        from activation_oracles.training.publish import About, publish, ready

        about = About(
            base_model=self.base_model,
            scores=self.scores,
            license_id=self.license,
            datasets=self.datasets,
        )
        upload = ready(self.folder, self.repo, about)
        if not self.dry_run:
            print(publish(upload, private=self.private))
            return
        for name, size in upload.sizes.items():
            print(f"{size:>12,}  {name}")
        if self.out is not None:
            print(upload.write(self.out))
