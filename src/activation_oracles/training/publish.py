"""Publishing an oracle: everything is checked here first, then one commit carries it all.

What is uploaded is what a stranger needs and nothing else: adapter, card, model card. Names of this
machine's folders stay on this machine.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol, runtime_checkable

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

from activation_oracles.errors import ConfigError
from activation_oracles.files import folder_at, naming_what_fails
from activation_oracles.oracle.adapter_files import SETTINGS, WEIGHTS
from activation_oracles.oracle.card import FILE_NAME, Card
from activation_oracles.oracle.inspection import inspect
from activation_oracles.oracle.readme import FILE as README
from activation_oracles.oracle.readme import readme
from activation_oracles.oracle.scores import evaluated, held_out, load_evaluation

COMPLETE = ("num_layers", "width", "fingerprint", "tokenizer_hash", "training")
"""Fields of a card without which a stranger cannot ask well, or know what an answer is worth."""
FOLDER = re.compile(r"(?<![^\s=])(['\"]?)((?:~|/[^\s/'\"]+|[A-Za-z]:)[/\\][^\s'\"]+)")
"""A path that begins at a root or a home."""


@runtime_checkable
class Hub(Protocol):
    """What is asked of the hub to publish; `HfApi` has it."""

    token: str | bool | None

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> Any:
        """Make a repository where there is none."""
        ...

    def model_info(self, repo_id: str) -> Any:
        """Return what is known of a repository, `private` among it."""
        ...

    def create_commit(
        self, repo_id: str, operations: Sequence[CommitOperationAdd], *, commit_message: str
    ) -> Any:
        """Write files in one commit; return it, with its `commit_url`."""
        ...


@dataclass(frozen=True, kw_only=True)
class About:
    """What a stranger should know of an oracle, and its folder does not say."""

    base_model: str | None = None
    """Hub id of the base model, where the oracle was trained from a folder."""
    scores: str | None = None
    """Folder that `ao eval --out` wrote; its table goes into the card."""
    license_id: str | None = None
    """The hub's name of a licence, as `mit`."""
    datasets: tuple[str, ...] = ()
    """Hub ids of data that it was trained on."""


@dataclass(frozen=True)
class Upload:
    """Files that are checked and ready to be published."""

    repo: str
    """Hub id they go to."""
    base: str
    """Hub id of the base model."""
    files: Mapping[str, bytes | Path]
    """What is uploaded, by its name there: content, or the file that holds it."""

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every file, by its name on the hub."""
        return {
            name: len(one) if isinstance(one, bytes) else one.stat().st_size
            for name, one in self.files.items()
        }

    def write(self, folder: str | Path) -> Path:
        """Write the files into a folder instead.

        Raises:
            ConfigError: the folder is not empty.
            DataError: it cannot be written to.
        """
        folder = folder_at(Path(folder))
        if any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty. Name another folder to write to.")
        with naming_what_fails(folder):
            for name, one in self.files.items():
                (folder / name).write_bytes(one if isinstance(one, bytes) else one.read_bytes())
        return folder


def ready(folder: str | Path, repo: str, about: About = About()) -> Upload:
    """Check an oracle's folder and return what is to be uploaded; nothing is asked of the hub.

    Args:
        folder: what `ao train` left.
        repo: hub id it goes to, as `owner/name`.
        about: what the folder does not say.

    Raises:
        OracleError: something is missing, contradicts something else, or must not be published.
    """
    folder = Path(folder)
    named = [repo, *about.datasets, about.base_model]
    for name in [one for one in named if one is not None and not _is_id(one)]:
        raise ConfigError(f"{name!r} is no hub id. Expected one as owner/name.")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder. Expected one that `ao train` left.")
    found = inspect(str(folder))
    if found.problems:
        raise ConfigError(f"{folder} cannot be published: {'; '.join(found.problems)}.")
    if not found.has_card or found.card is None:
        raise ConfigError(
            f"{folder} has no {FILE_NAME}: nobody could tell at which layers it may be asked. "
            "Save the oracle again with `Oracle.save`."
        )
    card = _complete(found.card, about)
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = card.model
    text = readme(card, name=repo, license_id=about.license_id, datasets=about.datasets)
    return Upload(
        repo=repo,
        base=card.model,
        files={
            WEIGHTS: folder / WEIGHTS,
            SETTINGS: _json(settings),
            FILE_NAME: _json(card.model_dump(mode="json", by_alias=True)),
            README: text.encode(),
        },
    )


def publish(upload: Upload, *, private: bool = False, hub: Hub | None = None) -> str:
    """Upload in one commit and return its address.

    Args:
        upload: what `ready` returned.
        private: refuse to upload where others can read.
        hub: what asks the hub; huggingface_hub's own client, with the user's token, by default.

    Raises:
        ConfigError: no token is there, the repository is public and should not be, or the hub
            refuses.
    """
    hub = HfApi(token=get_token()) if hub is None else hub
    if not hub.token:
        raise ConfigError(
            "There is no token for the hub. Log in with `hf auth login`, or set HF_TOKEN to a "
            "token that may write."
        )
    operations = [
        CommitOperationAdd(name, str(one) if isinstance(one, Path) else one)
        for name, one in upload.files.items()
    ]
    try:
        hub.create_repo(upload.repo, private=private or None, exist_ok=True)
        # A repository that is there already keeps its visibility, whatever was asked for.
        if private and not hub.model_info(upload.repo).private:
            raise ConfigError(
                f"{upload.repo} is there already and is public. Nothing was uploaded: make it "
                "private first, or leave out `private`."
            )
        commit = hub.create_commit(
            upload.repo,
            operations,
            commit_message=f"Upload an activation oracle for {upload.base}",
        )
    except (HfHubHTTPError, HTTPError, HFValidationError, OSError, ValueError) as error:
        raise ConfigError(f"{upload.repo} could not be uploaded: {error}") from error
    return str(commit.commit_url)


def _complete(card: Card, about: About) -> Card:
    """Return the card as it is published, or refuse one that leaves a stranger guessing."""
    scores = dict(card.scores)
    if about.scores:
        scores["evaluated"] = load_evaluation(about.scores)
    complete = card.model_copy(
        update={
            "model": about.base_model or card.model,
            "training": _portable(card.training),
            "scores": scores,
        }
    )
    missing = [name for name in COMPLETE if not getattr(complete, name)]
    if missing:
        raise ConfigError(
            f"{FILE_NAME} says nothing of {', '.join(missing)}. Save the oracle again with this "
            "package, or train it here."
        )
    if not held_out(scores) and not evaluated(scores):
        raise ConfigError(
            f"{FILE_NAME} holds no scores. Make some with `ao eval --out`, and name that folder "
            "in `scores`."
        )
    is_folder = about.base_model is None and Path(complete.model).exists()
    if is_folder or not _is_id(complete.model):
        raise ConfigError(
            f"{FILE_NAME} names the base model {complete.model!r}, a folder of this machine. Give "
            "its hub id as `base_model`."
        )
    return complete


def _is_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def _portable(value: Any) -> Any:
    """Return settings in which a path from a root or a home is its last part alone."""
    if isinstance(value, Mapping):
        return {_portable(name): _portable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(one) for one in value]
    if isinstance(value, str):
        return FOLDER.sub(lambda found: found[1] + PureWindowsPath(found[2]).name, value)
    return value


def _json(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()
