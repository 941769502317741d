"""A small oracle on disk, as `ao train` leaves one, and another model that it is not for."""

import json
from pathlib import Path

import pytest
import torch


def _random_adapter(model, name: str) -> None:
    """Give a fresh adapter weights that change something."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for parameter in model.adapter_parameters(name):
            parameter.normal_(std=0.1)


@pytest.fixture(scope="session")
def oracle_folder(tmp_path_factory, tiny_model) -> Path:
    """Return the folder of an oracle for the tiny model: random, but complete."""
    from peft import LoraConfig

    from activation_oracles.models.load import load
    from activation_oracles.oracle.card import Card
    from activation_oracles.oracle.oracle import Oracle

    model = load(str(tiny_model))
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    oracle = Oracle.new(model, Card.for_model(model), lora)
    _random_adapter(model, oracle.adapter)
    folder = tmp_path_factory.mktemp("oracle")
    oracle.save(folder)
    return folder


@pytest.fixture(scope="session")
def adapter_folder(tmp_path_factory, tiny_model) -> Path:
    """Return the folder of an adapter that the tiny model can be read under."""
    from peft import LoraConfig

    from activation_oracles.models.load import load

    model = load(str(tiny_model))
    model.new_adapter(LoraConfig(r=2, target_modules=["q_proj"]), name="organism")
    _random_adapter(model, "organism")
    folder = tmp_path_factory.mktemp("organism")
    model.save_adapter("organism", folder)
    return folder


@pytest.fixture(scope="session")
def wider_model(tmp_path_factory, tiny_tokenizer) -> Path:
    """Return the folder of a model of another width, for which nothing else here was made."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("wider")
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def chat_file(tmp_path) -> Path:
    path = tmp_path / "chat.json"
    chat = [
        {"role": "user", "content": "Does Anna like pears?"},
        {"role": "assistant", "content": "No, she likes green apples."},
    ]
    path.write_text(json.dumps(chat), encoding="utf-8")
    return path
