"""Noise on readings: how much, on what, and the same whenever the same step is taken."""

from dataclasses import replace

import pytest
import torch

from activation_oracles.tasks import store
from activation_oracles.training.config import Grounding, Noise
from activation_oracles.training.loop import train
from activation_oracles.training.noise import noised
from activation_oracles.training.prepare import prepare
from activation_oracles.training.readahead import read
from training_runs import RECITAL, KilledError, changed, killed_after

WIDTH = 32


@pytest.fixture
def noisy(config):
    return changed(config, noise=Noise(share=0.5, strength=0.8))


@pytest.fixture
def vectors():
    return torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(1)) * 7


def test_about_the_share_has_noise_evenly_drawn_up_to_the_strength(noisy, vectors):
    added = [
        (noised(noisy, RECITAL, vectors, index=index, window=0) - vectors).norm(dim=-1)
        / vectors.norm(dim=-1)
        for index in range(400)
    ]
    drawn = torch.stack([one for one in added if one.any()])
    assert 160 < len(drawn) < 240
    assert torch.allclose(drawn, drawn[:, :1].expand_as(drawn), atol=1e-4), "alike in all slots"
    assert drawn.max() <= 0.8001
    assert drawn.mean() == pytest.approx(0.4, abs=0.06)
    assert drawn.min() < 0.1


def test_noise_has_no_direction_of_its_own(noisy, vectors):
    every = changed(noisy, noise=Noise(share=1.0, strength=1.0))
    added = [
        noised(every, RECITAL, vectors, index=index, window=0) - vectors for index in range(300)
    ]
    directions = torch.nn.functional.normalize(torch.cat(added), dim=-1)
    cosines = directions @ directions.T
    off = cosines[~torch.eye(len(cosines), dtype=torch.bool)]
    assert off.mean() == pytest.approx(0, abs=0.01)
    assert off.square().mean() == pytest.approx(1 / WIDTH, rel=0.1), "as of directions by chance"


def test_the_same_step_draws_the_same_and_another_epoch_another(noisy, vectors):
    every = changed(noisy, noise=Noise(share=1.0))
    before = vectors.clone()
    first = noised(every, RECITAL, vectors, index=3, window=20)
    assert torch.equal(vectors, before), "a reading may be kept, and is not written over"
    assert torch.equal(first, noised(every, RECITAL, vectors, index=3, window=20))
    for other in ({"index": 4, "window": 20}, {"index": 3, "window": 40}):
        assert not torch.allclose(first, noised(every, RECITAL, vectors, **other))
    reseeded = noised(changed(every, seed=every.seed + 1), RECITAL, vectors, index=3, window=20)
    assert not torch.allclose(first, reseeded)


@pytest.mark.parametrize("shown", ["random", "mean", "own:mine.safetensors#1"])
def test_what_stands_in_for_a_reading_has_none(noisy, vectors, shown):
    every = changed(noisy, noise=Noise(share=1.0))
    given = replace(RECITAL, shown=shown)
    assert noised(every, given, vectors, index=0, window=0) is vectors


def test_half_precision_stays_what_it_is(noisy, vectors):
    every = changed(noisy, noise=Noise(share=1.0))
    found = noised(every, RECITAL, vectors.bfloat16(), index=0, window=0)
    assert found.dtype == torch.bfloat16
    whole = noised(every, RECITAL, vectors.bfloat16().float(), index=0, window=0)
    assert torch.allclose(found.float(), whole, rtol=0.01, atol=0.01)


@pytest.fixture
def texts(config, make_examples, data, tmp_path):
    """Return settings of a run over texts of which tokens in a row are shown."""
    examples = [replace(one, positions=(1, 2, 3), layers=(1,)) for one in make_examples(24)]
    manifest = store.read_manifest(data)
    splits = {"train": examples, "held_out": examples[:2]}
    own = store.Manifest(seed=0, command="a test", tokenizer=manifest["tokenizer"])
    folder = store.write(tmp_path / "texts", splits, own)
    return changed(config, data=(str(folder),), epochs=2, max_steps=6, batch_size=4, window=2)


def test_readings_are_shown_with_noise_and_held_to_words_without(texts):
    grounding = Grounding(weight=1.0, slots=2)
    plain, noisy = (
        prepare(changed(texts, grounding=grounding, noise=Noise(share=share), output=folder))
        for share, folder in ((0.0, texts.output), (1.0, f"{texts.output}-noisy"))
    )
    indices = list(range(8))
    clean, shown = read(plain, indices, window=4), read(noisy, indices, window=4)
    for index in indices:
        own = noised(
            noisy.config, noisy.examples[index], clean.vectors[index], index=index, window=4
        )
        assert torch.equal(shown.vectors[index], own)
        assert not torch.equal(own, clean.vectors[index])
        assert torch.equal(shown.words[index].stream, clean.words[index].stream)


def test_a_run_with_noise_goes_on_to_the_same_weights(texts, tmp_path):
    settings = changed(texts, noise=Noise(share=0.5), save_every=1)
    through = train(changed(settings, output=str(tmp_path / "through")), progress=list)
    halted = changed(settings, output=str(tmp_path / "halted"))
    with pytest.raises(KilledError):
        train(halted, progress=killed_after(3))
    train(changed(halted, resume=True), progress=list)
    weights = [
        (folder / "adapter_model.safetensors").read_bytes()
        for folder in (through, tmp_path / "halted")
    ]
    assert weights[0] == weights[1]
    plain = train(changed(texts, output=str(tmp_path / "plain")), progress=list)
    assert (plain / "adapter_model.safetensors").read_bytes() != weights[0]
