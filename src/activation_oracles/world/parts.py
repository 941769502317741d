"""Where the parts of a village lie in its folder, and which of them are finished."""

import json
import shutil
from pathlib import Path

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.world.cards import CARD, load_world_card
from activation_oracles.world.load import ABSTAINER, BASE, DEVELOPMENT, ORACLE, ORGANISMS, TOOLS
from activation_oracles.world.records import edit_record, read_record, write_record
from activation_oracles.world.secrets import Secret, secrets

ALL = ("tokenizer", "base", "organisms", "tools", "oracle", "abstainer", "confidence", "scores")
ORACLE_CARD, ABSTAINER_CARD = f"{ORACLE}/ao_config.json", f"{ABSTAINER}/ao_config.json"
CURVES, REFUSAL = "confidence_curves", "refusal"


def home_of(folder: Path, secret: Secret) -> Path:
    """Return an organism's folder; those for choosing recipes stay with the work."""
    if secret.is_reported:
        return folder / ORGANISMS / secret.name
    return folder / DEVELOPMENT / secret.name


def work_of(folder: Path, stage: str) -> tuple[Path, Path]:
    """Return where the questions of a stage of training lie, and its run."""
    suffix = "" if stage == "first" else f"-{stage}"
    return folder / "work" / f"questions{suffix}", folder / "work" / f"oracle{suffix}"


def is_done(folder: Path, part: str) -> bool:
    """Tell whether a part lies finished in the folder."""
    if part == "organisms":
        return all((home_of(folder, secret) / CARD).exists() for secret in secrets())
    if part == "confidence":
        held = ((ORACLE_CARD, CURVES), (ABSTAINER_CARD, REFUSAL))
        return all(_says(folder / card, field) for card, field in held)
    if part == "scores":
        try:
            return bool(load_world_card(folder).scores)
        except DataError:
            return False
    done = {
        "tokenizer": folder / BASE / "tokenizer.json",
        "base": folder / BASE / "model.safetensors",
        "tools": folder / TOOLS / CARD,
        "oracle": folder / ORACLE / "adapter_model.safetensors",
        "abstainer": folder / ABSTAINER / "adapter_model.safetensors",
    }
    return done[part].exists()


def forget(folder: Path, part: str) -> None:
    """Remove a part, and whatever of it is half done."""
    if part == "confidence":
        for card, field, nothing in ((ORACLE_CARD, CURVES, []), (ABSTAINER_CARD, REFUSAL, None)):
            if _says(folder / card, field):
                edit_record(folder / card, **{field: nothing})
        return
    held = {
        "tokenizer": [folder / BASE / "tokenizer.json"],
        "base": [folder / BASE / "model.safetensors", folder / "work" / "base"],
        "organisms": [home_of(folder, secret) for secret in secrets()],
        "tools": [folder / TOOLS],
        "oracle": [
            folder / ORACLE,
            *work_of(folder, "first"),
            *(folder / "work").glob("*-closing*"),
            work_of(folder, "mean")[1],
        ],
        "abstainer": [folder / ABSTAINER, *work_of(folder, "abstaining")],
        "scores": [folder / CARD],
    }
    for path in held[part]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _says(card: Path, field: str) -> bool:
    return card.exists() and bool(json.loads(card.read_text(encoding="utf-8")).get(field))


def needed(path: Path, part: str) -> Path:
    """Return a path that another part makes.

    Raises:
        ConfigError: it is not there.
    """
    if not path.exists():
        raise ConfigError(f"{path} is missing: build the part {part!r} first.")
    return path


def note_minutes(folder: Path, part: str, minutes: float) -> None:
    """Write down how long a part took, for the card."""
    path = folder / "work" / "minutes.json"
    write_record(path, read_record(path) | {part: round(minutes, 1)})
