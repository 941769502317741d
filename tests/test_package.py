"""What holds for the package as a whole."""

import ast
import json
import subprocess
import sys
from collections import defaultdict
from itertools import chain
from pathlib import Path

import pytest

import activation_oracles

SOURCE = Path(activation_oracles.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST = 300
EXTRAS = ("pyarrow", "datasets", "sklearn", "scipy", "pandas", "matplotlib", "gguf")


def modules() -> list[str]:
    names = [".".join(file.relative_to(SOURCE.parent).with_suffix("").parts) for file in FILES]
    return [name.removesuffix(".__init__") for name in names]


def fresh(script: str) -> str:
    """Run a script in an interpreter that has imported nothing yet."""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


def test_importing_the_package_loads_nothing_heavy():
    script = "import json, sys, activation_oracles\nprint(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(fresh(script))
    assert not {"torch", "transformers", "peft", "numpy", "tyro"}.intersection(loaded)


def test_every_public_name_is_there():
    for name in activation_oracles.__all__:
        if name == "load_demo" and not (SOURCE / "world" / "load.py").exists():
            pytest.skip("the embedded world is not there")
        assert getattr(activation_oracles, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = activation_oracles.no_such_name


@pytest.mark.slow
def test_importing_every_module_needs_no_extra_and_touches_neither_environment_nor_network():
    script = f"""
import os, sys
for name in {EXTRAS}: sys.modules[name] = None
def refuse(event, arguments):
    assert event not in ("socket.connect", "socket.getaddrinfo"), (event, arguments)
sys.addaudithook(refuse)
# transformers and torch set variables of their own; what is counted is what this package adds.
import torch, transformers, peft, accelerate
before, threads = dict(os.environ), torch.get_num_threads()
from importlib import import_module
for name in {modules()}: import_module(name)
assert dict(os.environ) == before
assert torch.get_num_threads() == threads
print("ok")
"""
    assert fresh(script) == "ok"


def test_no_file_is_longer_than_a_reader_can_hold():
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file.name: length for file, length in lengths.items() if length > LONGEST} == {}


def functions(file: Path):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield f"{file.relative_to(SOURCE)}:{node.lineno}", "\n".join(map(ast.unparse, body))


def test_no_two_functions_share_a_body():
    places = defaultdict(list)
    for place, body in chain.from_iterable(map(functions, FILES)):
        # One line can be equal by chance; a thought of three lines is written once.
        if body.count("\n") >= 2:
            places[body].append(place)
    assert [found for found in places.values() if len(found) > 1] == []


def test_the_package_says_that_it_is_typed():
    assert (SOURCE / "py.typed").exists()
