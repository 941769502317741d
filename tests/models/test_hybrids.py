"""Layers that carry a state from token to token read padded rows as they read each alone."""

import pytest
import torch
import transformers as hf
from peft import LoraConfig

from activation_oracles.errors import ModelError
from activation_oracles.models.blocks import decoder_blocks
from activation_oracles.models.target import Target
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Example

WITHIN = 1e-5


def examples():
    """Return questions about texts of many lengths, two of which begin alike."""
    texts = [range(5, 14), range(30, 34), (7,), range(100, 123), (*range(100, 112), 9)]
    return [
        Example(tuple(text), (0, len(text) - 1) if len(text) > 1 else (0,), (1, 2), "What?",
                "the old mill " * (1 + number % 3), "t", "s")
        for number, text in enumerate(texts)
    ]  # fmt: skip


def test_texts_of_any_length_are_read_as_each_alone(hybrid):
    target = Target(hybrid)
    for one, together in zip(examples(), target.vectors(examples()), strict=True):
        alone = target.vectors([one])[0]
        assert torch.allclose(together, alone, atol=WITHIN, rtol=0)


# peft names the experts' weights before it looks whether they are asked for.
@pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys")
def test_questions_are_learned_together_as_each_alone(hybrid):
    lora = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    oracle = Oracle.new(hybrid, Card.for_model(hybrid), lora)
    vectors = Target(hybrid).vectors(examples())
    alone = []
    for one, shown in zip(examples(), vectors, strict=True):
        alone += oracle.losses([one], [shown])
    assert oracle.losses(examples(), vectors) == pytest.approx(alone, abs=WITHIN)


def test_a_model_whose_tokens_see_what_follows_is_refused():
    config = hf.Gemma3TextConfig(
        vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=4, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, layer_types=["full_attention"] * 4,
        use_bidirectional_attention=True,
    )  # fmt: skip
    with pytest.raises(ModelError, match="what follows a token changes its activations"):
        decoder_blocks(hf.Gemma3ForCausalLM(config))
