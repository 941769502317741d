"""`ao grid` checks and lists, runs each in a process of its own, and says which failed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from activation_oracles.cli.main import main
from activation_oracles.tasks import store
from activation_oracles.types import Example


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_model):
    """Return a folder of examples for the tiny model."""
    from activation_oracles.models.load import load

    examples = [
        Example((5, 6, 7 + n), (2,), (1,), "What is it?", ("moon", "boat")[n % 2], "one", f"t{n}")
        for n in range(12)
    ]
    manifest = store.Manifest(
        seed=0, command="a test", tokenizer=load(str(tiny_model), device="cpu").tokenizer_hash
    )
    folder = tmp_path_factory.mktemp("data")
    return store.write(folder, {"train": examples[:8], "held_out": examples[8:]}, manifest)


@pytest.fixture
def file(tmp_path, tiny_model, data):
    base = {
        "model": str(tiny_model),
        "data": [str(data)],
        "device": "cpu",
        "lora": {"rank": 2, "dropout": 0.0},
        "batch_size": 4,
        "max_steps": 2,
        "save_every": 1,
    }
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({"base": base, "grid": {"learning_rate": [1e-3, 1e-2]}}))
    return str(path)


def test_a_dry_run_lists_and_starts_nothing(file, tmp_path, capsys):
    arguments = ["grid", "--config", file, "--output", str(tmp_path / "out"), "--dry-run"]
    assert main([*arguments, "--set", "seed", "1,2", "--lora.rank", "4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1  learning_rate-0.001_seed-1",
        "2  learning_rate-0.001_seed-2",
        "3  learning_rate-0.01_seed-1",
        "4  learning_rate-0.01_seed-2",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--set", "seed", "1,-2"], "seed -2"),
        (["--set", "seed", "["], "values of seed"),
        (["--set", "seed", "1", "--set", "seed", "2"], "varied twice"),
        (["--order-by", "speed"], "ordered by"),
        (["--set", "seed", "1,2", "--only", "5"], "runs 1 to 4"),
        (["--launch", "no-such-launcher -n 4"], "no-such-launcher"),
    ],
)
def test_a_mistake_is_one_line(file, tmp_path, capsys, arguments, problem):
    code = _ended(["grid", "--config", file, "--output", str(tmp_path / "out"), *arguments])
    captured = capsys.readouterr()
    assert code in (1, 2)
    assert problem in captured.err + captured.out


def _ended(arguments) -> int:
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code


def test_a_grid_of_nothing_is_refused(tiny_model, data, tmp_path, capsys):
    arguments = ["--model", str(tiny_model), "--data", str(data), "--output", str(tmp_path)]
    assert main(["grid", *arguments]) == 2
    assert "--set learning_rate" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_are_processes_of_which_one_that_fails_is_named_and_one_that_is_stopped_goes_on(
    file, tmp_path
):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "activation_oracles.cli", "grid", "--config", file]
    command += ["--output", str(out), "--set", "learning_rate", "1e-3,1e30", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    long = ["--max-steps", "2000", "--epochs", "1000"]
    first = subprocess.Popen([*command, *long], env=environment, **pipes)
    while not (out / "learning_rate-0.001" / "checkpoints" / "step-000000001").exists():
        time.sleep(0.05)
        assert first.poll() is None, first.stderr.read()
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 143
    assert "ao grid: stopped by SIGTERM in the run learning_rate-0.001" in said
    assert "ao train: stopped by SIGTERM" in (out / "learning_rate-0.001.log").read_text()
    assert not (out / "table.json").exists()
    step = max((out / "learning_rate-0.001" / "checkpoints").iterdir()).name
    # It would go on for minutes; a shorter one is another run.
    changed = subprocess.run(command, env=environment, check=False, **pipes)
    assert changed.returncode == 2
    assert "holds another run: epochs was 1000, is 1" in changed.stderr
    assert max((out / "learning_rate-0.001" / "checkpoints").iterdir()).name == step
    other = [word.replace(str(out), str(tmp_path / "other")) for word in command]
    ended = subprocess.run([*other, "--epochs", "3"], env=environment, check=False, **pipes)
    assert ended.returncode == 1, ended.stderr
    table = json.loads(ended.stdout)
    assert [run["error"] is None for run in table["runs"]] == [True, False]
    assert "the run has diverged" in table["runs"][1]["error"]
    assert table["rows"][0]["settings"] == {"learning_rate": 1e-3}
    assert (tmp_path / "other" / "table.md").exists()
