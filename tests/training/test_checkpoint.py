"""A checkpoint is whole or refused by name, holds numbers, and serves any number of processes."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.training import checkpoint


@pytest.fixture
def saved(tmp_path):
    """Return parameters and their optimizer, saved after steps 1, 2 and 3."""
    parameters = {"a": nn.Parameter(torch.randn(300))}
    optimizer = torch.optim.AdamW(parameters.values(), lr=0.1)
    for step in (1, 2, 3):
        parameters["a"].square().sum().backward()
        optimizer.step()
        torch.rand(step)
        checkpoint.save(tmp_path, step, parameters, optimizer, {"seed": 7})
    return parameters, optimizer


def restore(output, saved, seed=7):
    return checkpoint.restore(checkpoint.latest(output), *saved, {"seed": seed}, seed)


FILES = ("weights.safetensors", "optimizer.safetensors", "random-0.json", "state.json")


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in FILES for damage in ("cut", "emptied", "removed")]
    # Not in the last, which has all others' hashes, and nobody its own.
    + [(name, "flipped") for name in FILES[:-1]],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_serves(tmp_path, saved, name, damage):
    path = checkpoint.latest(tmp_path) / name
    whole = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        half = whole[: len(whole) // 2]
        flipped = half[:-1] + bytes([half[-1] ^ 1]) + whole[len(half) :]
        path.write_bytes({"cut": half, "emptied": b"", "flipped": flipped}[damage])
    with pytest.raises(DataError) as error:
        restore(tmp_path, saved)
    assert f"file {path} is damaged" in str(error.value)
    assert f"Remove the folder {path.parent}" in str(error.value)
    assert "goes on from step-000000002" in str(error.value)
    for one in path.parent.iterdir():
        one.unlink()
    path.parent.rmdir()
    assert restore(tmp_path, saved) == 2


def test_two_checkpoints_are_kept_and_what_a_killed_run_left_is_removed(tmp_path, saved):
    folder = tmp_path / "checkpoints"
    (folder / ".step-000000004").mkdir()
    (folder / ".step-000000004" / "half").touch()
    (folder / ".step-000000005").mkdir()
    checkpoint.save(tmp_path, 4, *saved, {})
    assert sorted(one.name for one in folder.iterdir()) == ["step-000000003", "step-000000004"]


@pytest.mark.parametrize("where", ["weight", "moment"])
def test_weights_that_are_no_numbers_are_not_saved(tmp_path, saved, where):
    parameters, optimizer = saved
    sick = parameters["a"] if where == "weight" else optimizer.state[parameters["a"]]["exp_avg"]
    sick.data[5] = torch.inf
    with pytest.raises(ConfigError, match=r"after step 4 are not finite.*lower `learning_rate`"):
        checkpoint.save(tmp_path, 4, parameters, optimizer, {"seed": 7})
    assert restore(tmp_path, saved) == 3
    assert parameters["a"].isfinite().all()


def test_new_processes_draw_numbers_of_their_own_and_old_ones_go_on(tmp_path, saved, monkeypatch):
    stood = torch.get_rng_state()

    def drawn(rank, step=3):
        state = SimpleNamespace(process_index=rank, num_processes=3, is_main_process=rank == 0)
        monkeypatch.setattr(checkpoint, "PartialState", lambda: state)
        folder = tmp_path / "checkpoints" / f"step-{step:09d}"
        assert checkpoint.restore(folder, *saved, {"seed": 7}, 7) == step
        return torch.get_rng_state()

    assert drawn(0).equal(stood)
    assert drawn(1).equal(drawn(1))
    different = [drawn(0), drawn(1), drawn(2), drawn(1, step=2)]
    assert len({tuple(one.tolist()) for one in different}) == 4
