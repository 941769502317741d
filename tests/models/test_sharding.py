"""A base shared out over processes is read, learns and answers as a whole one, in every process."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from activation_oracles.errors import ConfigError
from activation_oracles.models import sharding
from activation_oracles.models.load import load
from activation_oracles.models.sharding import in_step, is_sharded, load_sharded
from activation_oracles.models.target import Target

SCRIPT = """
import sys, torch
from accelerate import PartialState
from peft import LoraConfig
from activation_oracles.models.load import load
from activation_oracles.models.sharding import is_sharded, load_sharded
from activation_oracles.models.target import Target

place = PartialState(cpu=True)
rank = place.process_index
shared, whole = load_sharded(sys.argv[1], place.device), load(sys.argv[1], device="cpu")
assert is_sharded(shared) and not is_sharded(whole)
assert shared.fingerprint == whole.fingerprint

def weights(model, held):
    return sum(held(one).numel() for block in model.blocks.stack for one in block.parameters())

own, all_of_them = weights(shared, lambda one: one.to_local()), weights(whole, lambda one: one)
assert own == all_of_them // 2, (own, all_of_them)

# Other texts, other depths and other numbers of passes in each process.
texts = [["The old mill stands by the river.", "Anna likes green apples."], ["What is it?"]][rank]
layers = [[1, 3], [0]][rank]

def same_readings():
    for ours, theirs in zip(*(Target(one).read(texts, layers=layers) for one in (shared, whole))):
        assert torch.equal(ours.vectors, theirs.vectors)

same_readings()
found = []
for model in (shared, whole):
    torch.manual_seed(0)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    parameters = model.adapters.parameters(model.new_adapter(lora, name="learner"))
    # Stops early, and training begins right behind it.
    Target(model).read("The old mill", layers=[2])
    with model.training("learner"):
        ids = torch.arange(40).view(2, 20) + rank
        model.network(input_ids=ids, labels=ids).loss.backward()
    found.append({name: one.grad for name, one in parameters.items()})
for name, gradient in found[0].items():
    assert gradient.any() and torch.equal(gradient, found[1][name]), name
same_readings()
said = [Target(one, "learner").generate("The old", max_new_tokens=5) for one in (shared, whole)]
assert said[0] == said[1]
# In one piece: both write to one pipe.
sys.stdout.write(f"process {rank} is done\\n")
"""


@pytest.mark.slow
def test_two_processes_read_learn_and_answer_as_one_does(tiny_model, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    run = subprocess.run(
        [*launcher, "--nproc-per-node", "2", str(script), str(tiny_model)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert all(f"process {rank} is done" in run.stdout for rank in (0, 1))


def test_one_process_and_quantised_weights_are_refused(tiny_model, monkeypatch):
    with pytest.raises(ConfigError, match="there is one"):
        load_sharded(str(tiny_model), torch.device("cpu"))
    monkeypatch.setattr(sharding, "PartialState", lambda: SimpleNamespace(num_processes=2))
    with pytest.raises(ConfigError, match="Quantised weights"):
        load_sharded(str(tiny_model), torch.device("cpu"), quantize="8bit")


def test_a_whole_models_passes_are_left_alone(tiny_model):
    model = load(str(tiny_model), device="cpu")
    passes = [([(1, 2)], [0]), ([(3,), (4,)], [1, 2])]
    assert not is_sharded(model)
    assert list(in_step(model, passes)) == passes


def test_a_process_runs_along_as_deep_and_as_often_as_any_other(tiny_model, monkeypatch):
    model, others = load(str(tiny_model), device="cpu"), [3, 0, 2, -1]
    monkeypatch.setattr(sharding, "is_sharded", lambda _: True)
    monkeypatch.setattr(sharding, "_highest", lambda own, _: max(own, others.pop(0)))
    nothing = [(model.pad_id,)]
    assert list(in_step(model, [([(1, 2)], [0]), ([(3,)], [1])])) == [
        ([(1, 2)], [0, 3]),
        ([(3,)], [1]),
        (nothing, [2]),
    ]
    assert others == []


def test_what_is_run_along_for_others_changes_no_reading(tiny_model, monkeypatch):
    target = Target(load(str(tiny_model), device="cpu"))
    expected = target.read("The old mill", layers=[0]).vectors

    def deeper(_, passes):
        yield from ((contexts, [*layers, 3]) for contexts, layers in passes)
        yield [(target.model.pad_id,)], [1]

    monkeypatch.setattr("activation_oracles.models.target.in_step", deeper)
    assert torch.equal(target.read("The old mill", layers=[0]).vectors, expected)
