"""What is known of published oracles that carry no card.

Early adapters were trained to read a *replaced* residual, later ones an added one; asking one in
the other's way gives fluent nonsense. Several-layer oracles say their layers only in their name.
Names and dates: the authors' repositories, read in 2026.
"""

import re
from typing import Any

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
SEVERAL = re.compile(r"MLAO-.*-(?P<count>3|6)L-\dN")
SEVERAL_PERCENTS = {"3": (25, 50, 75), "6": (15, 30, 45, 60, 75, 90)}


def assumed_card(source: str, model: LanguageModel) -> tuple[Card, str]:
    """Return the card that an adapter without one most probably means, and a note that says so."""
    name = source.rstrip("/").rpartition("/")[2]
    fields: dict[str, Any] = {"mode": "replace" if name in REPLACING else "add"}
    several = SEVERAL.search(name)
    if several:
        percents: tuple[tuple[float, ...], ...] = (SEVERAL_PERCENTS[several["count"]],)
    else:
        percents = tuple((percent,) for percent in PUBLISHED_PERCENTS)
    card = Card(
        model=model.name,
        layers=tuple(
            tuple(layer_at(model.num_layers, percent) for percent in one) for one in percents
        ),
        percents=percents,
        num_layers=model.num_layers,
        width=model.width,
        **fields,
    )
    note = (
        f"{source} has no ao_config.json: the defaults of the published adapters are assumed "
        f"(layers {card.layers}, block {card.block}, strength {card.strength:g}, {card.mode})."
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
