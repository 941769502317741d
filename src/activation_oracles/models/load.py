"""A language model ready to be read and written: network, tokenizer, blocks and adapters together.

One network serves as target and as oracle; what tells them apart is the active adapter, and that
is switched in `Adapters` alone.
"""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from jaxtyping import Bool, Int
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    Cache,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.generation.streamers import BaseStreamer

from activation_oracles.errors import ConfigError, ModelError
from activation_oracles.models.adapters import Adapters
from activation_oracles.models.blocks import DecoderBlocks, decoder_blocks
from activation_oracles.models.placing import (
    DeviceMap,
    input_device,
    offloaded,
    placement,
    present,
)
from activation_oracles.models.quantize import quantization_of

DTYPES = ("auto", "float32", "bfloat16", "float16")
UNLOADABLE = (
    OSError, ValueError, ImportError, SafetensorError, HfHubHTTPError, HFValidationError
)  # fmt: skip
"""What transformers raises over a model that is not there, not complete, or not understood."""
SAMPLED_WEIGHTS = 1024
"""Weights hashed per tensor: enough to tell any fine-tune from its base, in under a second."""


@dataclass
class LanguageModel:
    """A causal language model with its tokenizer, its blocks and its adapters."""

    network: PreTrainedModel
    """The transformers model. LoRA layers, once added, live inside it."""
    tokenizer: PreTrainedTokenizerBase
    name: str
    """Hub id or folder it was loaded from."""
    blocks: DecoderBlocks
    adapters: Adapters = field(init=False)

    def __post_init__(self) -> None:
        self._base = list(self.network.named_parameters())
        for _, parameter in self._base:
            parameter.requires_grad = False
        self.adapters = Adapters(self.network, self.blocks)
        self.using = self.adapters.using
        self.training = self.adapters.training
        self.add_adapter = self.adapters.load
        self.new_adapter = self.adapters.new
        self.save_adapter = self.adapters.save

    @property
    def num_layers(self) -> int:
        """Decoder blocks."""
        return len(self.blocks.stack)

    @property
    def width(self) -> int:
        """The residual stream's d_model."""
        return int(self.network.config.get_text_config(decoder=True).hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the network's inputs go."""
        return input_device(self.network)

    @property
    def quantization(self) -> str | None:
        """How the weights are quantised, as `8bit`; None where they are whole."""
        return quantization_of(self.network)

    @property
    def pad_id(self) -> int:
        """A token id to pad with; padding is always masked, so any will do."""
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if isinstance(token, int):
                return token
        return 0

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the base weights: names, shapes and an even sample of every tensor."""
        digest = hashlib.blake2b(digest_size=8)
        for path, parameter in self._base:
            digest.update(f"{path}{tuple(parameter.shape)}".encode())
            with present(self.network, path) if parameter.is_meta else nullcontext(parameter) as it:
                flat = it.detach().flatten()
                stride = max(1, flat.numel() // SAMPLED_WEIGHTS)
                digest.update(flat[::stride].float().cpu().numpy().tobytes())
        return digest.hexdigest()

    def let_go_of_weights(self) -> None:
        """Hash the base weights, and hold them no longer: they are about to be replaced."""
        assert self.fingerprint
        self._base = []

    @cached_property
    def tokenizer_hash(self) -> str:
        """Hash of the vocabulary and the chat template."""
        digest = hashlib.blake2b(digest_size=8)
        for token, index in sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1]):
            digest.update(f"{index} {token}\n".encode())
        digest.update(str(self.tokenizer.chat_template).encode())
        return digest.hexdigest()

    def generate(
        self,
        ids: Int[Tensor, "batch pos"],
        mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"],
        settings: GenerationConfig,
        streamer: BaseStreamer | None = None,
        cache: Cache | None = None,
    ) -> Int[Tensor, "batch new"]:
        """Return the ids that follow left-padded prompts, under whatever adapter is active.

        A `cache` holds what the prompts' beginnings left behind; it is used up.
        """
        network: Any = self.network
        with torch.no_grad():
            output = network.generate(
                input_ids=ids.to(self.device),
                attention_mask=mask.long().to(self.device),
                generation_config=settings,
                streamer=streamer,
                **({} if cache is None else {"past_key_values": cache}),
            )
        return output[:, ids.shape[1] :]

    @contextmanager
    def seeded(self, seed: int) -> Generator[None]:
        """Draw from `seed` inside the scope; the random state outside is left as it was."""
        devices = [self.device.index or 0] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield

    def decoding(self, max_new_tokens: int, temperature: float = 0.0) -> GenerationConfig:
        """Return decoding settings that owe nothing to the checkpoint's own sampling defaults."""
        default = self.network.generation_config
        ends = default.eos_token_id if default else None
        stops = set(ends if isinstance(ends, list) else [] if ends is None else [ends])
        if isinstance(self.tokenizer.eos_token_id, int):
            stops.add(self.tokenizer.eos_token_id)
        sampling = {"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature > 0 else {}
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=temperature > 0,
            eos_token_id=sorted(stops) or None,
            pad_token_id=self.pad_id,
            **sampling,
        )

    def adapter_parameters(self, name: str) -> list[torch.nn.Parameter]:
        """Return an adapter's parameters, in a fixed order."""
        return list(self.adapters.parameters(name).values())


class How(TypedDict, total=False):
    """How a model is loaded: the options of `load`."""

    dtype: str
    """`auto` (the default) keeps the dtype of the checkpoint; or float32, bfloat16, float16."""
    device: str | None
    """As `cpu` or `cuda:0`; by default the first GPU, where there is one."""
    device_map: DeviceMap | None
    """Instead of a device: spread over all of them, as `auto`, or as a dictionary says."""
    attention: str | None
    """transformers' attention implementation; by default the architecture's own, mostly `sdpa`."""
    quantize: str | None
    """`8bit` or `4bit` weights, through bitsandbytes; by default as the checkpoint has them."""
    revision: str | None
    """A commit or tag on the hub."""
    trust_remote_code: bool
    """Run code that the repository brings. Never on by itself."""
    blocks: str | None
    """Name of the stack of decoder blocks, where several fit."""


def load(name: str, **how: Unpack[How]) -> LanguageModel:
    """Load a causal language model and its tokenizer, and prove where its residual stream is.

    Args:
        name: hub id, or a folder as `save_pretrained` writes it.
        how: see `How`.

    Raises:
        ModelError: there is no such model, weights are missing, or it has no residual stream.
        ConfigError: an unknown dtype or device, or weights that cannot be quantised here.
    """
    dtype = how.get("dtype", "auto")
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is one of {', '.join(DTYPES)}, got {dtype!r}.")
    place = placement(how.get("device"), how.get("device_map"), how.get("quantize"))
    hub: dict[str, Any] = {
        "revision": how.get("revision"),
        "trust_remote_code": how.get("trust_remote_code", False),
    }
    _check_folder(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **hub)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=dtype,
            attn_implementation=how.get("attention"),
            output_loading_info=True,
            **place.options,
            **hub,
        )
    except UNLOADABLE as error:
        raise ModelError(
            f"No causal language model could be loaded from {name!r}: {error}"
        ) from error
    network, report = loaded
    _check_complete(name, report)
    if place.device is not None and quantization_of(network) is None:
        network.to(place.device)
    network.eval()
    blocks = decoder_blocks(network, blocks=how.get("blocks"))
    model = LanguageModel(network, tokenizer, name, blocks)
    if offloaded(network):
        # Later, adapters give these weights other names.
        assert model.fingerprint
    return model


def _check_folder(name: str) -> None:
    """Refuse a path that is no model folder, before transformers takes it for a hub id."""
    looks_local = name.startswith((".", "/", "~")) or Path(name).exists()
    if looks_local and not (Path(name).expanduser() / "config.json").is_file():
        raise ModelError(
            f"{name!r} is not a model folder: expected config.json, weights and a tokenizer in it, "
            "as save_pretrained writes them."
        )


def _check_complete(name: str, report: dict[str, Any]) -> None:
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise ModelError(
            f"{name!r} holds no weights for {len(missing)} parameters, as {missing[0]!r}; they "
            "would be random. Is this a complete checkpoint of this architecture?"
        )


def read_shape(name: str) -> tuple[PreTrainedTokenizerBase, int]:
    """Return a model's tokenizer and its number of blocks, without its weights.

    Raises:
        ModelError: there is no such model.
    """
    try:
        config = AutoConfig.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"No model could be read from {name!r}: {error} Expected a hub id, or a folder with "
            "config.json and a tokenizer."
        ) from error
    return tokenizer, int(config.get_text_config(decoder=True).num_hidden_layers)
