"""What an adapter is, told from its files alone: no model is loaded, and nothing is asked.

Its settings, its card and the names and shapes of its weights are three witnesses; where they
contradict each other, that is a problem, because peft would load it all the same.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activation_oracles.errors import ConfigError, ModelError
from activation_oracles.oracle.adapter_files import SETTINGS, AdapterFiles, adapter_files
from activation_oracles.oracle.card import FILE_NAME, Card
from activation_oracles.oracle.hub_files import Hub
from activation_oracles.oracle.released import assume, in_words, released

BLOCK = re.compile(r"\.(\d+)\.")
HALF = re.compile(r"(?P<module>.+)\.lora_(?P<half>A|B)(\.weight)?")
READS_STREAM = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "query_key_value", "c_attn")
"""Layers whose input is as wide as the residual stream, in every architecture that has them."""
SHOWN = 3


@dataclass(frozen=True)
class Inspection:
    """An adapter, as its files describe it."""

    source: str
    """Folder or hub id."""
    base: str | None
    """Hub id or folder of the model it adapts."""
    rank: int | None
    alpha: float | None
    dropout: float | None
    targets: tuple[str, ...]
    """Names of the adapted layers, or one pattern for them."""
    num_parameters: int
    """Numbers that its weights hold."""
    dtypes: tuple[str, ...]
    """In which they are stored, as F32."""
    peft_version: str | None
    card: Card | None
    """How it is asked; the published defaults where it has no card, None where that is unusable."""
    has_card: bool
    """Whether `ao_config.json` lies beside it."""
    tasks: Mapping[str, int | None]
    """What it was trained on, with the number of examples where that is known."""
    package_version: str | None
    """Version of this package that made it, or its data."""
    notes: tuple[str, ...]
    """What is not known or was not looked at."""
    problems: tuple[str, ...]
    """What is wrong."""

    @property
    def depths(self) -> list[tuple[tuple[int, float | None], ...]]:
        """The sets of layers trained on: each layer with its percentage of the model's depth."""
        if self.card is None:
            return []
        percents = self.card.percents or [
            tuple(self.percent(layer) for layer in one) for one in self.card.layers
        ]
        return [
            tuple(zip(*pair, strict=True)) for pair in zip(self.card.layers, percents, strict=True)
        ]

    def percent(self, layer: int) -> float | None:
        """Return how deep a layer lies, in percent; None where the model's depth is unknown."""
        depth = self.card.num_layers if self.card else None
        return 100 * layer / depth if depth else None


def inspect(source: str, *, hub: Hub | None = None) -> Inspection:
    """Look at an adapter, in a folder or on the hub.

    Args:
        source: folder or hub id.
        hub: what asks the hub; huggingface_hub's own client by default.

    Raises:
        ModelError: there is no LoRA adapter there, or it cannot be reached; of a published one is
            said what its name tells.
    """
    try:
        files = adapter_files(source, hub=hub)
    except ModelError as error:
        if said := in_words(source):
            raise ModelError(f"{error} {said}") from error
        raise
    settings = files.settings
    card, notes, problems = _card(files)
    problems += _in_weights(files)
    if card is not None and files.card_folder is not None:
        problems += _against_card(files, card)
    if files.weights is None:
        notes.append("the weights were not downloaded, so whether any is zero was not looked at")
    elif silent := files.silent():
        problems.append(
            f"{len(silent)} B matrices are zero and change nothing, as {_some(silent)}: untrained?"
        )
    known = released(source)
    tasks = tasks_of(card) if card else {}
    if not tasks and known and files.card_folder is None:
        tasks = dict.fromkeys(known.trained_on, None)
    return Inspection(
        source=source,
        base=card.model if card else settings.get("base_model_name_or_path"),
        rank=settings.get("r"),
        alpha=settings.get("lora_alpha"),
        dropout=settings.get("lora_dropout"),
        targets=_targets(settings),
        num_parameters=sum(math.prod(shape) for shape in files.shapes.values()),
        dtypes=files.dtypes,
        peft_version=settings.get("peft_version"),
        card=card,
        has_card=files.card_folder is not None,
        tasks=tasks,
        package_version=version_of(card) if card else None,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def tasks_of(card: Card) -> dict[str, int | None]:
    """Return the tasks an oracle was trained on, with their examples where the card counts them."""
    found: dict[str, int | None] = {}
    for manifest in manifests_of(card):
        for task, count in within(manifest, "splits", "train", "tasks").items():
            found[task] = (found.get(task) or 0) + count
    # As cards of schema v1 name them.
    for one in _listed(card.model_extra or {}, "dataset_configs"):
        if "name" in one:
            found.setdefault(str(one["name"]), None)
    return found


def manifests_of(card: Card) -> list[dict[str, Any]]:
    """Return the manifests of the data that an oracle was trained on; empty where none is kept."""
    return _listed(card.training, "data")


def version_of(card: Card) -> str | None:
    """Return the version of this package that made an oracle, or else the data it learned from."""
    for record in (card.training, *manifests_of(card)):
        found = within(record, "versions").get("activation-oracles")
        if found:
            return found
    return None


def within(record: Any, *names: str) -> Mapping[str, Any]:
    """Return a part of a card's free fields; empty where it is not there."""
    for name in names:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record if isinstance(record, Mapping) else {}


def _card(files: AdapterFiles) -> tuple[Card | None, list[str], list[str]]:
    """Return the card, or the one that is assumed; then notes, and problems."""
    if files.card_folder is not None:
        try:
            card = Card.load(str(files.card_folder))
        except ConfigError as error:
            return None, [], [str(error)]
        assert card is not None
        return card, [], []
    known = released(files.source)
    base = files.settings.get("base_model_name_or_path") or (known.base if known else None)
    # Weights tell the base's depth only where every block has some.
    told = 0 if _is_partial(files.settings) else 1 + max(_blocks(files), default=-1)
    depth = known.num_layers if known else told
    if not base or not depth:
        return None, [], [f"it has no {FILE_NAME}, and its base or the base's depth is not known"]
    card, note = assume(files.source, base=base, num_layers=depth, width=_width(files))
    return card, [note], []


def _in_weights(files: AdapterFiles) -> list[str]:
    """Return where the weights contradict adapter_config.json, or are not all there."""
    found: list[str] = []
    halves = _halves(files)
    single = [module for module, ranks in halves.items() if len(ranks) < 2]
    if single:
        found.append(f"{len(single)} layers lack half of their weights, as {_some(single)}")
    own = {module.rpartition(".")[2] for module in halves}
    targets = files.settings.get("target_modules")
    if isinstance(targets, list):
        last = {name.rpartition(".")[2] for name in targets}
        if last != own:
            found.append(
                f"{SETTINGS} names the layers {sorted(last)}, the weights are of {sorted(own)}"
            )
    blocks = _blocks(files)
    gaps = sorted(set(range(max(blocks, default=0))) - blocks)
    if gaps and not _is_partial(files.settings):
        found.append(f"blocks {_some(gaps)} of {max(blocks) + 1} have no weights")
    rank = files.settings.get("r")
    ranks = {one for pair in halves.values() for one in pair.values()}
    if ranks != {rank} and not files.settings.get("rank_pattern"):
        found.append(f"{SETTINGS} says rank {rank}, the weights have {sorted(ranks)}")
    return found


def _against_card(files: AdapterFiles, card: Card) -> list[str]:
    """Return where the card contradicts adapter_config.json or the weights."""
    settings = files.settings
    lora, extra = within(card.training, "config", "lora"), card.model_extra or {}
    pairs = {
        "the base": (_last(card.model), _last(settings.get("base_model_name_or_path"))),
        "rank": (lora.get("rank", extra.get("lora_r")), settings.get("r")),
        "alpha": (lora.get("alpha", extra.get("lora_alpha")), settings.get("lora_alpha")),
        "dropout": (lora.get("dropout", extra.get("lora_dropout")), settings.get("lora_dropout")),
        "the width": (card.width, _width(files)),
    }
    found = [
        f"{FILE_NAME} says {what} is {said}, the adapter's own files say {own}"
        for what, (said, own) in pairs.items()
        if said is not None and own is not None and said != own
    ]
    num_blocks = 1 + max(_blocks(files), default=-1)
    depth = card.num_layers
    # An adapter of some blocks may end below the last one, never above it.
    ends_early = depth is not None and num_blocks < depth and _is_partial(settings)
    if depth not in (None, num_blocks) and not ends_early:
        found.append(
            f"{FILE_NAME} says the base has {depth} blocks, the weights are of {num_blocks}"
        )
    return found


def _halves(files: AdapterFiles) -> dict[str, dict[str, int]]:
    """Return for each adapted layer its ranks, by A and B."""
    found: dict[str, dict[str, int]] = {}
    for name, shape in files.shapes.items():
        match = HALF.fullmatch(name)
        if match:
            rank = shape[0] if match["half"] == "A" else shape[1]
            found.setdefault(match["module"], {})[match["half"]] = rank
    return found


def _blocks(files: AdapterFiles) -> set[int]:
    return {int(number) for name in files.shapes for number in BLOCK.findall(name)[:1]}


def _width(files: AdapterFiles) -> int | None:
    """Return how wide the residual stream is, from a layer that reads it; None without one."""
    for name, shape in files.shapes.items():
        match = HALF.fullmatch(name)
        if match and match["half"] == "A" and match["module"].endswith(READS_STREAM):
            return shape[1]
    return None


def _is_partial(settings: Mapping[str, Any]) -> bool:
    """Return whether an adapter may leave out blocks: it says so, or picks layers by a pattern."""
    targets = settings.get("target_modules")
    named_whole = isinstance(targets, list) and any("." in name for name in targets)
    chosen = settings.get("layers_to_transform") or settings.get("exclude_modules")
    return bool(chosen) or isinstance(targets, str) or named_whole


def _targets(settings: Mapping[str, Any]) -> tuple[str, ...]:
    targets = settings.get("target_modules") or ()
    return (targets,) if isinstance(targets, str) else tuple(sorted(targets))


def _last(name: str | None) -> str | None:
    """Return a base's name without where it lies: a folder and a hub id may be the same model."""
    return name.rstrip("/").rpartition("/")[2] if name else None


def _listed(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = record.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _some(things: Sequence[Any]) -> str:
    rest = [f"and {len(things) - SHOWN} more"] if len(things) > SHOWN else []
    return ", ".join([*map(str, things[:SHOWN]), *rest])
