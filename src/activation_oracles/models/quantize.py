"""Weights in 8 or 4 bits, through bitsandbytes: a base in half or a quarter of the memory.

What is read of quantised weights is not what is read of the whole ones, so every reading and every
card says how its model was quantised. Adapters stay in fp32.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from activation_oracles.errors import ConfigError

Quantization = Literal["8bit", "4bit"]
KINDS: tuple[Quantization, ...] = ("8bit", "4bit")


def check_quantization(kind: str, device: torch.device) -> None:
    """Refuse what cannot be done here, before anything is downloaded.

    Raises:
        ConfigError: there is no such kind, bitsandbytes is missing, or it cannot use the device.
    """
    if kind not in KINDS:
        raise ConfigError(f"Weights are quantised to {' or '.join(KINDS)}, got {kind!r}.")
    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"{kind} weights need bitsandbytes: pip install 'activation-oracles[quant]'. Or leave "
            "`quantize` out, and load the weights whole."
        )
    bitsandbytes: Any = import_module("bitsandbytes")
    able = getattr(bitsandbytes, "supported_torch_devices", {"cuda"})
    if device.type not in able:
        raise ConfigError(
            f"{kind} weights cannot be on {device}: bitsandbytes {bitsandbytes.__version__} has "
            f"{', '.join(sorted(able))}. Name another `device`, or leave `quantize` out."
        )


def quantization(kind: str) -> BitsAndBytesConfig:
    """Return how transformers is to quantise: LLM.int8() (arXiv 2208.07339), or NF4 (2305.14314).

    4-bit weights are multiplied in bf16: in fp32, the default, nothing is gained in speed.
    """
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def quantization_of(network: PreTrainedModel) -> str | None:
    """Return how a loaded model's weights are quantised: `8bit`, `4bit`, another method, or None.

    As its config says, so a checkpoint that was saved quantised is known as well.
    """
    settings: Any = getattr(network.config, "quantization_config", None)
    if settings is None:
        return None
    if not isinstance(settings, dict):
        settings = settings.to_dict()
    for kind in KINDS:
        if settings.get(f"load_in_{kind}"):
            return kind
    return str(settings.get("quant_method"))
