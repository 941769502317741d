"""Two processes make the step that one makes, stop together, and go on without each other."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from activation_oracles.training.config import Lora
from activation_oracles.training.loop import train

SCRIPT = "import sys; from activation_oracles.cli.main import main; sys.exit(main(sys.argv[1:]))"
STRUCK = """
import os, signal
from activation_oracles.training import loop
original, calls = loop._step, []

def struck(*arguments):
    calls.append(1)
    if len(calls) == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.{signal})
    return original(*arguments)

loop._step = struck
"""
"""Before the script: the second process gets a signal in the third step that it makes."""

LAUNCHERS = {
    "accelerate": (
        "accelerate.commands.accelerate_cli launch --cpu --num_processes 2 --num_machines 1 "
        "--mixed_precision no --dynamo_backend no --main_process_port 0"
    ),
    "torchrun": "torch.distributed.run --standalone --nproc-per-node 2",
}


def launch(launcher, folder, *arguments, before=""):
    script = folder / "ao.py"
    script.write_text(before + SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", *LAUNCHERS[launcher].split(), str(script), "train"]
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_end_in_the_weights_of_one_and_resume(config, tmp_path, launcher):
    one = config.model_copy(update={"lora": Lora(rank=4, alpha=8, dropout=0.0), "max_steps": 6})
    expected = load_file(train(one, progress=lambda found: found) / "adapter_model.safetensors")
    # In parts, as many on each process, though what one of them runs is shorter.
    two = one.model_copy(update={"output": str(tmp_path / "two"), "part_tokens": 60})
    two.save(tmp_path / "two.yaml")
    first = launch(launcher, tmp_path, "--config", str(tmp_path / "two.yaml"))
    assert first.returncode == 0, first.stderr[-2000:]
    assert first.stdout.strip() == two.output
    weights = load_file(tmp_path / "two" / "adapter_model.safetensors")
    for name, weight in weights.items():
        assert torch.allclose(weight, expected[name], atol=1e-4), name
    again = launch(launcher, tmp_path, "--config", str(tmp_path / "two.yaml"), "--resume")
    assert again.returncode == 0, again.stderr[-2000:]
    resumed = load_file(tmp_path / "two" / "adapter_model.safetensors")
    assert all(torch.equal(weight, resumed[name]) for name, weight in weights.items())


@pytest.mark.slow
def test_two_processes_stop_together_and_one_goes_on_without_the_other(config, tmp_path):
    # Without dropout, so that one process comes to the weights of two.
    bare = {"lora": Lora(rank=4, alpha=8, dropout=0.0), "max_steps": 9, "save_every": 1}
    two = config.model_copy(update=bare)
    whole = two.model_copy(update={"output": str(tmp_path / "whole")})
    for one, name in ((two, "run"), (whole, "whole")):
        one.save(tmp_path / f"{name}.yaml")

    def run(name, *arguments, **named):
        file = str(tmp_path / f"{name}.yaml")
        return launch("torchrun", tmp_path, "--config", file, *arguments, **named)

    assert run("whole").returncode == 0
    stopped = run("run", before=STRUCK.format(signal="SIGTERM"))
    assert stopped.returncode != 0
    assert stopped.stderr.count("ao train: stopped by SIGTERM after step 3 of 9") == 1
    killed = run("run", "--resume", before=STRUCK.format(signal="SIGKILL"))
    assert killed.returncode != 0
    assert "ao train: Process 0 lost touch with the others" in killed.stderr
    shutil.copytree(tmp_path / "run", tmp_path / "alone")
    assert run("run", "--resume").returncode == 0
    alone = {"output": str(tmp_path / "alone"), "resume": True}
    train(two.model_copy(update=alone), progress=lambda found: found)
    expected, of_two, of_one = (
        load_file(tmp_path / name / "adapter_model.safetensors")
        for name in ("whole", "run", "alone")
    )
    for name, weight in expected.items():
        assert torch.equal(weight, of_two[name]), name
        assert torch.allclose(weight, of_one[name], atol=1e-4), name


@pytest.mark.slow
def test_a_base_shared_out_over_two_processes_ends_in_the_weights_of_one_and_resumes(
    config, tmp_path
):
    bare = {"lora": Lora(rank=4, alpha=8, dropout=0.0), "max_steps": 6, "save_every": 1}
    bare["gradient_checkpointing"] = True
    one = config.model_copy(update=bare)
    alone = train(one, progress=lambda found: found)
    for name in ("whole", "part"):
        shared = one.model_copy(update={"output": str(tmp_path / name), "shard": True})
        shared.save(tmp_path / f"{name}.yaml")

    def run(name, *arguments, **named):
        file = str(tmp_path / f"{name}.yaml")
        return launch("torchrun", tmp_path, "--config", file, *arguments, **named)

    whole = run("whole")
    assert whole.returncode == 0, whole.stderr[-2000:]
    stopped = run("part", before=STRUCK.format(signal="SIGTERM"))
    assert "ao train: stopped by SIGTERM after step 3 of 6" in stopped.stderr
    assert run("part", "--resume").returncode == 0
    expected, undisturbed, resumed = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (alone, tmp_path / "whole", tmp_path / "part")
    )
    for name, weight in expected.items():
        assert torch.allclose(weight, undisturbed[name], atol=1e-4), name
        assert torch.equal(undisturbed[name], resumed[name]), name
    scores, of_one = (
        json.loads((folder / "ao_config.json").read_text())["scores"]["held_out"]
        for folder in (tmp_path / "part", alone)
    )
    for task, score in scores.items():
        assert score["loss"] == pytest.approx(of_one[task]["loss"], abs=1e-4)
        assert score["num_examples"] == of_one[task]["num_examples"]
    # What was shared out may go on whole: the weights are the same to rounding.
    again = {"output": str(tmp_path / "part"), "resume": True}
    train(one.model_copy(update=again), progress=lambda found: found)
