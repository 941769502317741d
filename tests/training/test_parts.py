"""However a batch is cut, every process cuts it alike, and all of it is learned from once."""

from types import SimpleNamespace

import pytest
import torch

from activation_oracles.errors import ConfigError
from activation_oracles.training import loop, parts
from activation_oracles.training.config import Lora
from activation_oracles.training.loop import steps
from activation_oracles.training.parts import lay_out
from activation_oracles.training.prepare import prepare
from activation_oracles.training.readahead import read

BUDGET = 130
"""Tokens: some two to four of the prompts here."""


@pytest.fixture
def run(config):
    return prepare(config.model_copy(update={"batch_size": 8, "part_tokens": BUDGET}))


def as_process(monkeypatch, rank, count):
    state = SimpleNamespace(process_index=rank, num_processes=count)
    monkeypatch.setattr(parts, "PartialState", lambda: state)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_processes_have_as_many_parts_of_as_many_examples_and_share_all(run, count, monkeypatch):
    for batch in (batch for window in run.windows(0) for batch in window):
        shares = []
        for rank in range(count):
            as_process(monkeypatch, rank, count)
            shares.append(lay_out(run, batch))
        sizes = [[len(part.indices) for part in share.parts] for share in shares]
        assert all(one == sizes[0] for one in sizes)
        learned = [index for share in shares for part in share.parts for index in part.indices]
        assert sorted(learned) == sorted(batch)
        labels = sum(part.batch.num_labels for share in shares for part in share.parts)
        assert {share.num_labels for share in shares} == {labels}
        for share in shares:
            assert share.num_tokens == sum(int(part.batch.mask.sum()) for part in share.parts)
            for part in share.parts:
                assert len(part.indices) == 1 or part.batch.ids.numel() <= BUDGET


def laid(run, batch):
    return sum(part.batch.ids.numel() for part in lay_out(run, batch).parts)


def test_what_is_cut_by_tokens_holds_less_padding_than_the_whole_batch(run, config):
    whole = prepare(config.model_copy(update={"batch_size": 8}))
    for batch in (batch for window in run.windows(0) for batch in window):
        real = lay_out(run, batch).num_tokens
        assert real <= laid(run, batch) < laid(whole, batch)


def gradients(run, batch):
    share = lay_out(run, batch)
    loss = loop._learn(run, share, read(run, batch)).loss
    found = {name: one.grad.clone() for name, one in run.parameters.items()}
    for one in run.parameters.values():
        one.grad = None
    return len(share.parts), float(loss), found


def test_parts_add_up_to_the_gradient_of_the_whole_batch(config):
    """Each counts by its labelled tokens: equal weights would be another step."""
    plain = config.model_copy(update={"batch_size": 8, "lora": Lora(rank=4, alpha=8, dropout=0.0)})
    whole, run = prepare(plain), prepare(plain.model_copy(update={"part_tokens": BUDGET}))
    for one in (whole, run):
        # B = 0, as it is at first, hides half of the gradient.
        torch.manual_seed(0)
        for parameter in one.parameters.values():
            parameter.data.normal_(std=0.1)
    for batch in (batch for window in run.windows(0) for batch in window):
        (one, loss, expected), (count, same, found) = gradients(whole, batch), gradients(run, batch)
        assert one == 1 < count
        assert same == pytest.approx(loss, rel=1e-5)
        for name, gradient in found.items():
            size = expected[name].norm()
            assert size > 0
            assert (gradient - expected[name]).norm() < 1e-5 * size, name


def test_the_fullest_part_and_the_longest_example_are_tried_before_the_first_step(run, monkeypatch):
    tried = []
    original = run.oracle.lay_out

    def watch(prompts, shows):
        batch = original(prompts, shows)
        tried.append(batch.ids.shape)
        return batch

    batches = [batch for window in run.windows(0) for batch in window]
    every = [part.batch.ids for batch in batches for part in lay_out(run, batch).parts]
    monkeypatch.setattr(run.oracle, "lay_out", watch)
    found = steps(run)
    monkeypatch.setattr("activation_oracles.training.loop.shares", _none)
    with pytest.raises(RuntimeError, match="no step"):
        next(found)
    assert max(ids.numel() for ids in every) == max(rows * width for rows, width in tried)
    assert max(ids.shape[1] for ids in every) == max(width for _, width in tried)


def _none(*_):
    raise RuntimeError("no step")
    yield


def test_batches_are_cut_one_way(config):
    with pytest.raises(ConfigError, match="not by both"):
        type(config)(**{**config.model_dump(), "accumulate": 2, "part_tokens": 100})
