"""The adapters inside one model, and which of them is active: the one owner of that state.

Nothing else switches an adapter. Outside every scope none is active, so a model that carries an
oracle reads as the bare target; a scope puts back what was active before it.
"""

import hashlib
import json
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils.save_and_load import set_peft_model_state_dict
from torch import Tensor, nn
from transformers import PreTrainedModel

from activation_oracles.errors import ConfigError, MismatchError, ModelError
from activation_oracles.models.adapter_layers import linear_layers, switched_layers
from activation_oracles.models.adapter_source import fetch_adapter
from activation_oracles.models.blocks import PROBE_LENGTH, DecoderBlocks
from activation_oracles.models.placing import input_device, offloaded
from activation_oracles.models.read import evaluating


class Adapters:
    """The LoRA adapters of one network, loaded, checked and switched."""

    def __init__(self, network: PreTrainedModel, blocks: DecoderBlocks) -> None:
        self._network = network
        # Taken before any adapter wraps these layers, or a second one would be told other names.
        self._linear, self._transposed = linear_layers(network, blocks)
        self._peft: PeftModel | None = None
        self._layers: list[BaseTunerLayer] = []
        self._active: str | None = None
        self._trainable = False
        self._hashes: dict[str, str] = {}

    @property
    def active(self) -> str | None:
        """The adapter under which the network runs at this moment; None for the bare model."""
        return self._active

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that are held, in the order they came."""
        return tuple(self._hashes)

    def identity(self, name: str) -> str:
        """Return an adapter's name with a hash of its weights, for provenance."""
        self._check_known(name)
        learning = self._trainable and self._active == name
        if learning or not self._hashes[name]:
            self._hashes[name] = _hash(self._held(name))
        return f"{name}@{self._hashes[name]}"

    def new(self, config: LoraConfig, *, name: str) -> str:
        """Add a fresh adapter; `all-linear` means the linear layers inside the decoder blocks.

        Raises:
            ConfigError: weights lie in memory or on disk until they are used: gradients would need
                them in between.
        """
        self._check_free(name)
        if parts := offloaded(self._network):
            raise ConfigError(
                f"{len(parts)} weights, as {parts[0]!r}, lie in main memory or on disk until they "
                "are used: such a model can be read and asked, not trained. Spread it over more "
                "devices, or share it out over processes with `shard`."
            )
        if config.target_modules == "all-linear":
            config.target_modules = self._linear
            config.fan_in_fan_out = self._transposed
        self._insert(config, name)
        self._hashes[name] = ""
        return name

    def load(self, source: str, *, name: str | None = None) -> str:
        """Load an adapter from a folder or hub id, check that it landed, and return its name.

        Raises:
            ModelError: there is no adapter at `source`, or none that can be switched off again; or
                the name is taken.
            MismatchError: its weights do not belong to this model, or change nothing.
        """
        name = name or Path(source).name.replace(".", "_")
        self._check_free(name)
        config, weights = fetch_adapter(source)
        config.inference_mode = True
        bare = self._probe(None)
        try:
            self._insert(config, name)
            self._hashes[name] = ""
            self._fill(source, name, weights)
            self._check_effect(source, name, bare)
        except (MismatchError, ValueError, RuntimeError) as error:
            self._remove(name)
            if isinstance(error, MismatchError):
                raise
            raise MismatchError(
                f"The adapter {source!r} does not fit this model: {error}"
            ) from error
        return name

    def save(self, name: str, folder: str | Path) -> None:
        """Write one adapter as `adapter_model.safetensors` and `adapter_config.json`."""
        self._check_known(name)
        assert self._peft is not None
        folder = Path(folder)
        self._peft.save_pretrained(str(folder), selected_adapters=[name])
        nested = folder / name
        # peft puts every adapter but one called "default" into a folder of its own name.
        if nested.is_dir():
            for file in nested.iterdir():
                file.replace(folder / file.name)
            nested.rmdir()
        readme = folder / "README.md"
        readme.unlink(missing_ok=True)
        _tidy_config(folder / "adapter_config.json")

    def parameters(self, name: str) -> dict[str, nn.Parameter]:
        """Return an adapter's low-rank parameters by their name in the network."""
        return {path: one for path, one in self._held(name).items() if "lora_" in path}

    def scales(self, name: str) -> set[float]:
        """Return by what an adapter's updates are scaled: one number, where they are all alike."""
        self._check_known(name)
        found = (getattr(module, "scaling", None) for module in self._network.modules())
        return {one[name] for one in found if isinstance(one, dict) and name in one}

    @contextmanager
    def using(self, name: str | None) -> Generator[None]:
        """Run the network under one adapter, or none, inside the scope: no gradient, no dropout."""
        before, was_trainable = self._active, self._trainable
        self._switch(name)
        try:
            with evaluating(self._network):
                yield
        finally:
            self._switch(before, trainable=was_trainable)

    @contextmanager
    def training(self, name: str) -> Generator[None]:
        """As `using`, with the network in training mode and gradients to this adapter alone."""
        before, was_trainable = self._active, self._trainable
        was_training = self._network.training
        self._switch(name, trainable=True)
        if not was_training:
            self._network.train()
        try:
            yield
        finally:
            if not was_training:
                self._network.eval()
            self._switch(before, trainable=was_trainable)

    def _held(self, name: str) -> dict[str, nn.Parameter]:
        """Return all that came with an adapter: some bring whole modules beside their LoRA."""
        self._check_known(name)
        parameters = self._network.named_parameters()
        return {path: one for path, one in parameters if f".{name}." in f"{path}."}

    def _switch(self, name: str | None, *, trainable: bool = False) -> None:
        if name is not None:
            self._check_known(name)
        if (name, trainable) == (self._active, self._trainable):
            return
        if self._layers:
            self._switch_layers(name, trainable=trainable)
        elif self._peft is not None:
            tuner = _tuner(self._peft)
            if name is None:
                tuner.disable_adapter_layers()
            else:
                tuner.set_adapter(name, inference_mode=not trainable)
                tuner.enable_adapter_layers()
                for parameter in self.parameters(name).values():
                    parameter.requires_grad = trainable
        if trainable and name is not None:
            self._hashes[name] = ""
        self._active, self._trainable = name, trainable

    def _switch_layers(self, name: str | None, *, trainable: bool) -> None:
        """Switch layer by layer: PEFT walks through all modules of the network, several times."""
        for layer in self._layers:
            layer.enable_adapters(name is not None)
            if name is not None:
                # Afterwards: to enable a layer makes the adapter that was active there trainable.
                layer.set_adapter(name, inference_mode=not trainable)
        if name is not None and self._peft is not None:
            _tuner(self._peft).active_adapter = name

    def _insert(self, config: PeftConfig, name: str) -> None:
        was_training = self._network.training
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 for a property by its old name.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
            if getattr(config, "target_parameters", None):
                # peft looks for them among modules; fused experts are parameters, and adapted.
                warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys did not")
            if self._peft is None:
                self._peft = PeftModel(self._network, config, adapter_name=name)
            else:
                self._peft.add_adapter(name, config)
        self._network.train(was_training)
        for path, module in self._network.named_modules():
            own = ".lora_" in path and path.endswith(f".{name}")
            if own and any(one.is_meta for one in module.parameters(recurse=False)):
                # peft leaves it as empty as the offloaded weight beside it.
                module.to_empty(device=input_device(self._network))
        for parameter in self._network.parameters():
            parameter.requires_grad = False
        before, was_trainable = self._active, self._trainable
        self._active, self._trainable = None, False
        _tuner(self._peft).disable_adapter_layers()
        self._layers = switched_layers(self._network)
        self._switch(before, trainable=was_trainable)

    def _fill(self, source: str, name: str, weights: dict[str, Tensor]) -> None:
        result = set_peft_model_state_dict(self._peft, weights, adapter_name=name)
        own = f".{name}."
        missing = [key for key in result.missing_keys if own in key and "lora_" in key]
        if missing or result.unexpected_keys:
            raise MismatchError(
                f"The adapter {source!r} belongs to another model: {len(missing)} of its layers "
                f"got no weights and {len(result.unexpected_keys)} weights found no layer, as "
                f"{(missing + list(result.unexpected_keys))[0]!r}."
            )
        silent = [
            path
            for path, parameter in self.parameters(name).items()
            if "lora_B" in path and not parameter.any()
        ]
        if silent:
            raise MismatchError(
                f"The adapter {source!r} is untrained: {silent[0]!r} and {len(silent) - 1} other "
                "layers have B = 0, so they change nothing."
            )

    def _probe(self, name: str | None) -> Tensor:
        ids = torch.arange(PROBE_LENGTH, device=input_device(self._network))[None]
        with torch.no_grad(), self.using(name):
            return self._network(input_ids=ids, use_cache=False).logits

    def _check_effect(self, source: str, name: str, bare: Tensor) -> None:
        if not torch.equal(bare, self._probe(None)):
            raise MismatchError(
                f"The adapter {source!r} changes the model even while it is switched off, so the "
                "bare model could not be read beside it. Load the model again, without it."
            )
        if torch.equal(bare, self._probe(name)):
            raise MismatchError(
                f"The adapter {source!r} leaves the logits of a probe text unchanged. Its weights "
                "did not land in the layers that this model runs."
            )

    def _remove(self, name: str) -> None:
        self._hashes.pop(name, None)
        if self._peft is None or name not in self._peft.peft_config:
            return
        self._peft.delete_adapter(name)
        _tuner(self._peft).disable_adapter_layers()
        self._layers = switched_layers(self._network)

    def _check_known(self, name: str) -> None:
        if name not in self._hashes:
            raise ModelError(f"No adapter {name!r} is loaded; loaded are {list(self._hashes)}.")

    def _check_free(self, name: str) -> None:
        if name in self._hashes:
            raise ModelError(f"An adapter {name!r} is already loaded. Give another `name=`.")


def _tuner(peft: PeftModel) -> BaseTuner:
    return cast("BaseTuner", peft.base_model)


def _hash(parameters: dict[str, nn.Parameter]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for parameter in parameters.values():
        digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _tidy_config(path: Path) -> None:
    """Sort the target modules, which peft keeps as a set, so that equal runs write equal files."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config.get("target_modules"), list):
        config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
