"""Pretraining is a function of its settings, wherever it was interrupted."""

from itertools import islice
from random import Random

import pytest
import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from activation_oracles.world.language.scene import Message
from activation_oracles.world.load import BASE, DATA
from activation_oracles.world.pretrain import PretrainConfig, encode_counted, pretrain

CONFIG = PretrainConfig(
    num_tokens=2500,
    tokens_per_batch=400,
    documents_per_chunk=12,
    width=64,
    num_layers=2,
    feed_forward=64,
    steps_per_checkpoint=2,
)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DATA / BASE)


def test_an_interrupted_run_ends_in_the_same_weights(tokenizer, tmp_path):
    straight = list(pretrain(CONFIG, tokenizer, tmp_path / "straight"))
    assert len(list(islice(pretrain(CONFIG, tokenizer, tmp_path / "broken"), 3))) == 3
    resumed = list(pretrain(CONFIG, tokenizer, tmp_path / "broken"))
    assert resumed[0].index == 3
    assert straight[-1] == resumed[-1]
    ends = [
        Qwen3ForCausalLM.from_pretrained(tmp_path / name / "model").state_dict()
        for name in ("straight", "broken")
    ]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def test_all_that_the_assistant_says_counts_and_only_that_without_a_share_of_others(tokenizer):
    talk = (
        Message("system", "Be kind."),
        Message("user", "Hello there!"),
        Message("assistant", "Good day to you."),
    )
    ((ids, counts),) = encode_counted(tokenizer, [talk], Random(0), 0.0)
    said = tokenizer.decode([token for token, wanted in zip(ids, counts, strict=True) if wanted])
    assert said == "\n Good day to you.<|im_end|>"
