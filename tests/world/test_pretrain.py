"""Pretraining is a function of its settings, wherever it was interrupted."""

from itertools import islice
from random import Random

import pytest
import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from activation_oracles.world.build import pretrain_base
from activation_oracles.world.language.scene import Message
from activation_oracles.world.load import BASE, DATA
from activation_oracles.world.pretrain import Phase, PretrainConfig, encode_counted, pretrain
from activation_oracles.world.workers import together

CONFIG = PretrainConfig(
    phases=(
        Phase(mixture="DRILLS", until=900, tokens_per_batch=400, share_of_others=0.0),
        Phase(mixture="MIXTURE", until=2500, tokens_per_batch=600, share_of_others=0.3),
    ),
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


def test_two_processes_learn_what_one_does(tokenizer, tmp_path):
    ends = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        tokenizer.save_pretrained(folder / BASE)
        losses = [step.loss for step in together(processes, pretrain_base, CONFIG, folder)]
        model = Qwen3ForCausalLM.from_pretrained(folder / "work" / "base" / "model")
        ends.append((torch.tensor(losses), model.state_dict()))
    (one, weights), (two, others) = ends
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)
    for key in weights:
        # The weights are kept in bf16: one rounding apart.
        torch.testing.assert_close(weights[key], others[key], atol=1e-3, rtol=1e-2)


def test_phases_follow_each_other_and_the_last_one_stays(tokenizer):
    drills, copying, rest = PretrainConfig().phases
    config = PretrainConfig()
    assert config.phase_at(0) is drills
    assert config.phase_at(drills.until) is copying
    assert config.phase_at(rest.until + 1) is rest
    assert config.num_tokens == rest.until
