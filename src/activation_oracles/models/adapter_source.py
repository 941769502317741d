"""A LoRA as a folder or the hub holds it: settings and weights, before any model has them.

Let in is only what a scope can switch off again. Biases of the base's own layers, and LoRAs that
were split off from the base's weights, would change the bare model for good when they are loaded.
"""

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from peft import LoraConfig, PeftConfig
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from activation_oracles.errors import ModelError

WEIGHTS = "adapter_model.safetensors"
KEEPING_THE_BASE = (True, False, "gaussian", "eva", "orthogonal", "mica")
"""Ways for a LoRA to begin beside the base's weights. All others take a part out of these."""
NO_SETTINGS = (TypeError, KeyError)
"""What peft raises over JSON that is not the settings of an adapter."""
DAMAGED = (OSError, ValueError, SafetensorError, HfHubHTTPError, HFValidationError, *NO_SETTINGS)


def fetch_adapter(source: str) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Return the settings and the weights of an adapter.

    Raises:
        ModelError: there is none at `source`, it is damaged, or a scope could not switch it off.
    """
    try:
        config = PeftConfig.from_pretrained(source)
        here = Path(source) / WEIGHTS
        weights = load_file(here if here.parent.is_dir() else hf_hub_download(source, WEIGHTS))
    except DAMAGED as error:
        raise ModelError(
            f"No adapter could be loaded from {source!r}: {error}. Expected a folder or hub id "
            f"with adapter_config.json and {WEIGHTS}; a pickle is never read."
        ) from error
    kind = getattr(config.peft_type, "value", config.peft_type)
    if not isinstance(config, LoraConfig) or kind != "LORA":
        raise ModelError(f"The adapter {source!r} is of type {kind}. Only LoRAs are understood.")
    _check_separate(source, config, weights)
    if broken := [key for key, weight in weights.items() if not weight.isfinite().all()]:
        raise ModelError(
            f"The adapter {source!r} holds NaN or infinity in {len(broken)} of {len(weights)} "
            f"weights, as {broken[0]!r}. Its training diverged: take an earlier checkpoint."
        )
    return config, weights


def _check_separate(source: str, config: LoraConfig, weights: dict[str, Tensor]) -> None:
    """Refuse what would stay in the base when the adapter is off."""
    problem = None
    if config.bias != "none":
        if any(key.endswith(".bias") and "lora_" not in key for key in weights):
            problem = f"brings biases of the base's own layers (bias={config.bias!r})"
        config.bias = "none"
    if config.init_lora_weights not in KEEPING_THE_BASE:
        problem = f"is split off from base weights (init_lora_weights={config.init_lora_weights!r})"
    if problem:
        raise ModelError(
            f"The adapter {source!r} {problem}, so the bare model could not be read beside it. "
            "Convert it to a plain LoRA, or merge it into a model of its own, with peft."
        )
