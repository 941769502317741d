"""A run that keeps what it reads is the run that does not, to rounding, and itself, to the bit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from activation_oracles.errors import DataError
from activation_oracles.models.target import Target
from activation_oracles.training.config import Lora
from activation_oracles.training.loop import train
from activation_oracles.training.prepare import prepare
from training_runs import KilledError, killed_after


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(one.equal(theirs[key]) for key, one in ours.items())


@pytest.fixture
def run(config, tmp_path):
    """Return a function that trains into one folder, over one store, perhaps until it is killed."""

    def run(output, store, *, kill=0, **changes):
        where = {"output": str(tmp_path / output), "store": store and str(tmp_path / store)}
        return weights(
            train(config.model_copy(update={**where, **changes}), progress=killed_after(kill))
        )

    return run


def test_a_run_over_a_store_repeats_to_the_bit_without_reading(run, monkeypatch, caplog):
    first = run("first", "readings")
    assert "readings will grow by about" in caplog.text
    monkeypatch.setattr(Target, "_streams", lambda *_: pytest.fail("a text was read"))
    assert same(run("again", "readings"), first)
    assert "readings will grow by about 0 GiB" in caplog.text


def test_a_run_over_a_store_is_the_run_without_one_to_rounding(run):
    plain = {"lora": Lora(rank=4, alpha=8, dropout=0.0), "max_steps": 3}
    expected = run("without", None, **plain)
    for name, weight in run("with", "readings", **plain).items():
        assert torch.allclose(weight, expected[name], atol=1e-5), name


def test_a_killed_run_over_a_store_goes_on_to_the_same_weights(run):
    whole = run("whole", "of the whole")
    for number, kill in enumerate((1, 4, 5, 11)):
        with pytest.raises(KilledError):
            run("run", "of the killed", kill=kill, resume=number > 0)
    assert same(run("run", "of the killed", resume=True), whole)


def test_what_would_outgrow_a_store_is_refused_before_the_first_step(config, tmp_path):
    tight = config.model_copy(update={"store": str(tmp_path / "readings"), "store_gib": 1e-6})
    with pytest.raises(DataError, match="would exceed its limit of 1e-06 GiB"):
        prepare(tight)
    assert not Path(config.output).exists()
    assert not list(tmp_path.rglob("*.safetensors"))
