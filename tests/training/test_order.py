"""The order of examples and the rate of a step are functions of settings, and of nothing else."""

import tracemalloc
from array import array
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_linear_schedule_with_warmup

from activation_oracles.training.config import TrainConfig, rate_at
from activation_oracles.training.order import windows
from activation_oracles.training.survey import survey

lengths = st.lists(st.integers(1, 99), max_size=80)


@given(lengths, st.integers(1, 9), st.integers(1, 7), st.integers(1, 4), st.integers(0, 9))
def test_every_example_comes_once_but_for_an_incomplete_batch(lengths, per, size, window, seed):
    texts = [index // per for index in range(len(lengths))]
    found = list(windows(lengths, texts, batch_size=size, window=window, seed=seed, epoch=0))
    batches = [batch for some in found for batch in some]
    used = [index for batch in batches for index in batch]
    assert all(len(batch) == size for batch in batches)
    assert len(batches) == len(lengths) // size
    assert len(set(used)) == len(used)
    assert all(len(some) <= window for some in found)


def test_order_changes_with_seed_and_epoch_alone():
    def order(seed, epoch):
        return list(windows(range(64), range(64), batch_size=4, window=4, seed=seed, epoch=epoch))

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_batches_hold_like_lengths_and_come_in_no_order_of_length():
    lengths = [index % 50 for index in range(400)]
    found = list(windows(lengths, range(400), batch_size=10, window=20, seed=0, epoch=0))
    for window in found:
        means = [sum(lengths[index] for index in batch) / len(batch) for batch in window]
        spreads = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in window]
        assert max(spreads) < 8
        assert means != sorted(means)
        assert means != sorted(means, reverse=True)


def test_questions_about_one_text_share_a_window_and_not_a_batch():
    texts = [index % 50 for index in range(400)]
    lengths = [10] * 400
    found = list(windows(lengths, texts, batch_size=10, window=20, seed=0, epoch=0))
    of_window = [{texts[index] for batch in window for index in batch} for window in found]
    assert not of_window[0] & of_window[1]
    repeated = [10 - len({texts[i] for i in batch}) for window in found for batch in window]
    assert sum(repeated) / len(repeated) < 3


def test_a_survey_finds_layers_and_tokens(make_examples, tiny_tokenizer):
    examples = make_examples(12)
    known = survey(examples, tiny_tokenizer)
    assert set(known.layers) == {one.layers for one in examples}
    assert known.highest_token == max(max(one.context) for one in examples)
    assert len(set(known.texts)) == len({one.source for one in examples})


def test_of_very_many_sets_of_layers_every_layer_is_named(make_examples, tiny_tokenizer):
    one = make_examples(1)[0]
    layers = [(*pair, 40) for pair in combinations(range(20), 2)] + [(30, 31, 32), (3,), (1, 2)]
    known = survey([replace(one, layers=these) for these in layers], tiny_tokenizer)
    assert len(known.layers) < 110
    assert {layer for these in known.layers for layer in these} == {*range(20), 30, 31, 32, 40}
    assert known.drawn_set_sizes == (3,)
    assert {(3,), (1, 2)} <= set(known.layers) <= set(layers)


def test_lengths_order_examples_as_their_prompts_do(make_examples, tiny_tokenizer):
    examples = make_examples(12)
    found = survey(examples, tiny_tokenizer).lengths
    slots = [len(one.layers) * len(one.positions) for one in examples]
    words = [len(tiny_tokenizer.encode(one.question + one.answer)) for one in examples]
    assert [a - b for a, b in zip(found, slots, strict=True)] == pytest.approx(words, abs=2)


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.1), (100, 0.1), (7, 0.0), (1, 0.1)])
def test_the_rate_is_that_of_transformers_linear_schedule(steps, warmup):
    config = TrainConfig(model="m", data=("d",), output="o", warmup=warmup)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    theirs = get_linear_schedule_with_warmup(optimizer, int(steps * warmup), steps)
    for step in range(steps):
        assert rate_at(config, step, steps) == pytest.approx(theirs.get_last_lr()[0], abs=1e-20)
        optimizer.step()
        theirs.step()


def test_the_order_of_an_epoch_takes_few_bytes_an_example():
    count = 50_000
    lengths, texts = array("l", [9]) * count, array("L", range(count))
    tracemalloc.start()
    for _ in windows(lengths, texts, batch_size=16, window=20, seed=0, epoch=0):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 * count
