"""Every command in the documents for clusters is one that this package understands."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from activation_oracles.cli.main import find, main, parse

PAGE = Path(__file__).parents[1] / "docs" / "cluster.md"
FENCED = re.compile(r"^```(bash|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:\bao|activation_oracles\.cli) (train|grid|ask|eval)\b(.*)")


def commands() -> list[list[str]]:
    """Return the arguments of every command in the page's scripts, what a shell fills in filled."""
    found = []
    for _, script in FENCED.findall(PAGE.read_text(encoding="utf-8")):
        for line in script.replace("\\\n", " ").splitlines():
            if line.lstrip().startswith("#"):
                continue
            for name, settings in COMMAND.findall(line):
                filled = re.sub(r"\$\{?\w+(:-\w+)?\}?", "1", settings)
                found.append([name, *shlex.split(filled)])
    return found


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """Be where the files are that the commands name."""
    shared = {"model": "MODEL", "data": ["data/mine"]}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**shared, "output": "runs/mine"}))
    grid = {"base": shared, "grid": {"seed": [1, 2, 3], "learning_rate": [1e-4, 5e-4]}}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    monkeypatch.chdir(tmp_path)


def test_the_page_has_commands():
    assert {arguments[0] for arguments in commands()} == {"train", "grid", "ask", "eval"}
    assert sum("--resume" in arguments for arguments in commands()) >= 5


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_command_is_understood(arguments, capsys):
    name, settings = find(arguments)
    command = parse(name, settings)
    if name == "train":
        assert main([*arguments, "--print-config"]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["resume"] == ("--resume" in arguments)
    if name == "grid":
        assert len(command.resolved().points()) == 6


def test_the_job_for_spot_instances_is_yaml():
    jobs = [
        yaml.safe_load(text) for kind, text in FENCED.findall(PAGE.read_text()) if kind == "yaml"
    ]
    assert [sorted(job) for job in jobs] == [
        ["envs", "name", "resources", "run", "setup", "workdir"]
    ]
