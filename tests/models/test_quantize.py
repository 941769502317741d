"""Quantised weights are asked for as they should be, refused where they cannot be, and named.

bitsandbytes is not needed here: what it computes is not tested, only what it is told.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import nn

from activation_oracles.cli.main import main
from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.models import load as loading
from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.caveats import caveats


@pytest.fixture
def installed(monkeypatch):
    """Return a function that puts a bitsandbytes there which can use these devices."""

    def install(*devices):
        module = ModuleType("bitsandbytes")
        module.__spec__ = ModuleSpec("bitsandbytes", None)
        module.__version__ = "0.0"
        module.supported_torch_devices = set(devices)
        monkeypatch.setitem(sys.modules, "bitsandbytes", module)

    return install


@pytest.fixture
def asked(monkeypatch):
    """Return what transformers is asked for; what it loads is whole, and says otherwise."""
    real, found = loading.AutoModelForCausalLM.from_pretrained, {}

    def fake(name, *, quantization_config, device_map, **named):
        found.update(quantization=quantization_config, device_map=device_map)
        network, report = real(name, **named)
        network.config.quantization_config = quantization_config
        # As it is with 8-bit weights: they cannot be moved.
        network.to = None
        return network, report

    monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", fake)
    return found


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setattr("activation_oracles.models.quantize.find_spec", lambda _: None)


@pytest.mark.usefixtures("absent")
def test_without_bitsandbytes_nothing_is_downloaded():
    with pytest.raises(ConfigError, match=r"activation-oracles\[quant\]"):
        load("nobody/nothing", quantize="4bit", device="cpu")


@pytest.mark.usefixtures("absent")
def test_the_commands_say_so_in_one_line(capsys):
    reading = ["--target", "nobody/nothing", "--oracle", "nobody/none", "--text", "a"]
    assert main(["ask", *reading, "--question", "b", "--quantize", "8bit"]) == 2
    assert "pip install 'activation-oracles[quant]'" in capsys.readouterr().err


def test_kinds_and_devices_that_are_not_known_are_refused(installed):
    with pytest.raises(ConfigError, match="8bit or 4bit, got '3bit'"):
        load("nobody/nothing", quantize="3bit", device="cpu")
    installed("cuda", "xpu")
    with pytest.raises(ConfigError, match=r"cannot be on cpu: bitsandbytes 0\.0 has cuda, xpu"):
        load("nobody/nothing", quantize="8bit", device="cpu")


@pytest.mark.parametrize("kind", ["8bit", "4bit"])
def test_transformers_is_told_and_everything_says_so(tiny_model, installed, asked, kind):
    installed("cpu")
    model = load(str(tiny_model), quantize=kind, device="cpu")
    settings = asked["quantization"]
    assert (settings.load_in_8bit, settings.load_in_4bit) == (kind == "8bit", kind == "4bit")
    if kind == "4bit":
        assert (settings.bnb_4bit_quant_type, settings.bnb_4bit_compute_dtype) == (
            "nf4",
            torch.bfloat16,
        )
    assert asked["device_map"] == {"": torch.device("cpu")}
    assert model.quantization == kind
    assert Target(model).read("The old mill.", layers=[1]).provenance.quantization == kind
    assert Card.for_model(model).quantization == kind


def test_the_fingerprint_is_that_of_the_packed_weights(tiny_model):
    whole, packed = (load(str(tiny_model), device="cpu") for _ in range(2))
    network = packed.network
    layer = network.model.layers[0].mlp.up_proj
    numbers = torch.arange(layer.weight.numel() // 2, dtype=torch.uint8)[:, None]
    layer.weight = nn.Parameter(numbers, requires_grad=False)

    def fingerprint() -> str:
        blocks = packed.blocks
        return loading.LanguageModel(network, packed.tokenizer, "packed", blocks).fingerprint

    first = fingerprint()
    assert first == fingerprint() != whole.fingerprint
    layer.weight[7] = 3
    assert fingerprint() != first


def test_an_oracle_for_whole_weights_may_be_asked_on_quantised_ones_and_says_so(tiny_model):
    whole, packed = (load(str(tiny_model), device="cpu") for _ in range(2))
    with torch.no_grad():
        packed.network.model.layers[0].mlp.up_proj.weight.mul_(1.01)
    card = Card.for_model(whole)
    with pytest.raises(MismatchError, match="base_fingerprint"):
        card.check(packed)
    packed.network.config.quantization_config = {"load_in_4bit": True, "quant_method": "bnb"}
    card.check(packed)
    reading = Target(packed).read("The old mill.", layers=[1])
    assert caveats(card, "", "moon", reading) == (
        "the vectors were read from 4bit weights, the oracle was trained on whole ones",
    )
    assert caveats(Card.for_model(packed), "", "moon", reading) == ()
    with pytest.raises(MismatchError, match="base_fingerprint"):
        Card.for_model(packed).model_copy(update={"fingerprint": "other"}).check(packed)
