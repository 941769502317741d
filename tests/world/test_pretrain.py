"""Pretraining is a function of its settings, wherever it was interrupted."""

from itertools import islice
from random import Random

import pytest
import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from activation_oracles.world.build import pretrain_base
from activation_oracles.world.language.scene import Message
from activation_oracles.world.load import BASE, DATA
from activation_oracles.world.pretrain import (
    Phase,
    PretrainConfig,
    encode_counted,
    pretrain,
    rate_at,
)
from activation_oracles.world.workers import together

CONFIG = PretrainConfig(
    phases=(
        Phase(mixture="DRILLS", until=900, tokens_per_batch=400, share_of_others=0.0),
        Phase(mixture="MIXTURE", until=2000, tokens_per_batch=600, share_of_others=0.3),
        Phase(
            mixture="CONTRASTING",
            until=2500,
            tokens_per_batch=600,
            share_of_others=0.3,
            anew=0.5,
        ),
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


def test_the_rate_falls_in_a_line_and_anew_where_a_phase_says_so():
    peak, late = CONFIG.peak_rate, 1000
    rates = [rate_at(CONFIG, tokens, late) for tokens in (0, 1000, 1999, 2000, 2250, 2499)]
    assert rates[:2] == [peak, peak / 2]
    assert rates[2] == rates[5] == peak / 100
    assert rates[3:5] == [peak / 2, peak / 4]
    assert rate_at(CONFIG, 0, 0) == peak / CONFIG.num_warmup_steps


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


def test_phases_follow_each_other_and_the_last_one_stays():
    config = PretrainConfig()
    starts = (0, *(phase.until for phase in config.phases))
    assert list(starts) == sorted(set(starts))
    for start, phase in zip(starts, config.phases, strict=False):
        assert config.phase_at(start) is phase
    last = config.phases[-1]
    assert config.phase_at(last.until + 1) is last
    assert config.num_tokens == last.until
