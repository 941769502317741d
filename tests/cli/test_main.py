import json
import subprocess
import sys

import pytest

from activation_oracles.cli.main import COMMANDS, main

HEAVY = ("torch", "transformers", "peft", "accelerate", "numpy", "sklearn", "pyarrow")


def loaded_by(code: str) -> list[str]:
    """Return which heavy packages a fresh interpreter has loaded after running `code`."""
    script = (
        f"{code}\nimport json, sys\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def test_help_loads_nothing_heavy():
    assert loaded_by(
        "import contextlib\n"
        "from activation_oracles.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])"
    ) == []  # fmt: skip


@pytest.mark.parametrize("name", ["ask", "sweep", "depth", "report", "demo", "world build"])
def test_a_commands_help_loads_nothing_heavy(name):
    assert loaded_by(
        "import contextlib\n"
        "from activation_oracles.cli.main import main\n"
        f"with contextlib.suppress(SystemExit): main([*{name.split()}, '--help'])"
    ) == []  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_settings(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    assert stop.value.code == 0
    assert f"usage: ao {name}" in capsys.readouterr().out


@pytest.mark.parametrize("settings", [[], ["eval"]])
def test_a_reader_that_leaves_early_is_no_error(settings):
    command = [sys.executable, "-m", "activation_oracles.cli", *settings, "--help"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.close()
    assert run.stderr.read() == b""
    run.stderr.close()
    assert run.wait() == 141


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 0
    output = capsys.readouterr().out
    assert all(name in output for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["sing"], ["world", "end"], ["ask", "--no-such-setting"]])
def test_what_is_no_command_or_setting_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
