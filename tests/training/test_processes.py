"""Two processes make the step that one makes."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from activation_oracles.training.config import Lora
from activation_oracles.training.loop import train

SCRIPT = "import sys; from activation_oracles.cli.main import main; sys.exit(main(sys.argv[1:]))"


LAUNCHERS = {
    "accelerate": (
        "accelerate.commands.accelerate_cli launch --cpu --num_processes 2 --num_machines 1 "
        "--mixed_precision no --dynamo_backend no --main_process_port 0"
    ),
    "torchrun": "torch.distributed.run --standalone --nproc-per-node 2",
}


def launch(launcher, folder, *arguments):
    script = folder / "ao.py"
    script.write_text(SCRIPT)
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
    two = one.model_copy(update={"output": str(tmp_path / "two")})
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
