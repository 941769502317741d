"""What is known of published oracles that carry no card.

Early adapters were trained to read a *replaced* residual, later ones an added one; asking one in
the other's way gives fluent nonsense. What an adapter was trained on, and at which layers, stands
in its name alone. Names and dates: the authors' repositories, read in 2026.
"""

import re
from dataclasses import dataclass
from typing import Literal

from peft import PeftConfig

from activation_oracles.errors import ModelError
from activation_oracles.models.blocks import layer_at
from activation_oracles.models.load import LanguageModel
from activation_oracles.oracle.card import PUBLISHED_PERCENTS, Card

REPLACING = (
    "checkpoints_latentqa_only_Qwen3-8B",
    "checkpoints_act_cls_latentqa_sae_pretrain_mix_Qwen3-8B",
)
"""Published before the injection changed from replacing to adding (October 2025)."""
ADDING = re.compile(r"_(addition|adding)_|past_lens")
"""In the names of those that were certainly published after it."""
SINGLE = re.compile(r"checkpoints_(?P<mixture>.+)")
SEVERAL = re.compile(r"MLAO-.*-(?P<count>3|6)L-\dN")
SEVERAL_PERCENTS = {"3": (25, 50, 75), "6": (15, 30, 45, 60, 75, 90)}
MIXTURE = {
    "latentqa": "system prompts (LatentQA)",
    "cls": "classification",
    "classification": "classification",
    "past_lens": "context prediction",
    "pretrain": "context prediction",
    "sae": "SAE features",
}
"""What the words in a name mean."""
BASES = {
    "Qwen3-1.7B": ("Qwen/Qwen3-1.7B", 28),
    "Qwen3-4B": ("Qwen/Qwen3-4B", 36),
    "Qwen3-8B": ("Qwen/Qwen3-8B", 36),
    "Qwen3-14B": ("Qwen/Qwen3-14B", 40),
    "Qwen3-32B": ("Qwen/Qwen3-32B", 64),
    "gemma-2-9b-it": ("google/gemma-2-9b-it", 42),
    "gemma-2-27b-it": ("google/gemma-2-27b-it", 46),
    "gemma-3-1b-it": ("google/gemma-3-1b-it", 26),
    "gemma-3-4b-it": ("google/gemma-3-4b-it", 34),
    "gemma-3-12b-it": ("google/gemma-3-12b-it", 48),
    "gemma-3-27b-it": ("google/gemma-3-27b-it", 62),
    "Llama-3_2-1B-Instruct": ("meta-llama/Llama-3.2-1B-Instruct", 16),
    "Llama-3_1-8B-Instruct": ("meta-llama/Llama-3.1-8B-Instruct", 32),
    "Llama-3_3-70B-Instruct": ("meta-llama/Llama-3.3-70B-Instruct", 80),
}
"""The base that a name speaks of, and its number of blocks."""


@dataclass(frozen=True)
class Released:
    """What the name of a published adapter says about it."""

    base: str
    """Hub id of the base model."""
    num_layers: int
    """Its decoder blocks."""
    trained_on: tuple[str, ...]
    """Kinds of questions; how many of each is nowhere written."""


def released(source: str) -> Released | None:
    """Return what is known of an adapter by its name; None for one that is not published."""
    name = _name(source)
    several = SEVERAL.search(name)
    single = SINGLE.fullmatch(name)
    named = (word for word in BASES if re.search(rf"[-_]{re.escape(word)}(?![A-Za-z0-9])", name))
    base = next(named, None)
    if base is None or not (several or single):
        return None
    mixture = single["mixture"] if single else "latentqa_cls_past_lens"
    found = [meaning for word, meaning in MIXTURE.items() if word in mixture]
    return Released(*BASES[base], trained_on=tuple(dict.fromkeys(found)))


def in_words(source: str) -> str | None:
    """Return what the name of a published adapter says, as a sentence; None for another name."""
    known = released(source)
    if known is None:
        return None
    card, _ = assume(source, base=known.base, num_layers=known.num_layers)
    sets = "; ".join("+".join(map(str, one)) for one in card.layers)
    return (
        f"By its name it is a published oracle of {known.base}, trained on "
        f"{', '.join(known.trained_on)}, at layers {sets} of {known.num_layers}; it expects "
        f"vectors after block {card.block}, {card.mode}."
    )


def assumed_card(source: str, model: LanguageModel) -> tuple[Card, str]:
    """Return the card that an adapter without one most probably means, and a note that says so."""
    return assume(source, base=model.name, num_layers=model.num_layers, width=model.width)


def assume(
    source: str, *, base: str, num_layers: int, width: int | None = None
) -> tuple[Card, str]:
    """Return the card that an adapter most probably means on a base of this size, and a note."""
    name = _name(source)
    mode: Literal["add", "replace"] = "replace" if name in REPLACING else "add"
    several = SEVERAL.search(name)
    if several:
        percents: tuple[tuple[float, ...], ...] = (SEVERAL_PERCENTS[several["count"]],)
    else:
        percents = tuple((percent,) for percent in PUBLISHED_PERCENTS)
    card = Card(
        model=base,
        layers=tuple(tuple(layer_at(num_layers, percent) for percent in one) for one in percents),
        percents=percents,
        num_layers=num_layers,
        width=width,
        mode=mode,
    )
    note = (
        f"{source} has no ao_config.json: the defaults of the published adapters are assumed "
        f"(layers {card.layers}, block {card.block}, strength {card.strength:g}, {card.mode})."
    )
    if mode == "add" and SINGLE.fullmatch(name) and not ADDING.search(name):
        note += (
            " Adapters published before October 2025 replace the stream instead of adding to it, "
            "and this name does not tell which it is."
        )
    return card, note


def base_of(adapter: str) -> str:
    """Return the base model that an adapter without a card names.

    Raises:
        ModelError: there is no adapter, or it names none.
    """
    try:
        base = PeftConfig.from_pretrained(adapter).base_model_name_or_path
    except (OSError, ValueError) as error:
        raise ModelError(f"No oracle adapter could be loaded from {adapter!r}: {error}") from error
    if not base:
        raise ModelError(f"The adapter {adapter!r} names no base model. Pass `model=`.")
    return base


def _name(source: str) -> str:
    return source.rstrip("/").rpartition("/")[2]
