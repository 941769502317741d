"""The notebooks run from top to bottom, and show what their words promise."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def cells(notebook: Path) -> list[str]:
    """Return the sources of a notebook's code cells."""
    held = json.loads(notebook.read_text(encoding="utf-8"))
    return ["".join(one["source"]) for one in held["cells"] if one["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_carries_no_output(notebook):
    held = json.loads(notebook.read_text(encoding="utf-8"))
    assert not any(one.get("outputs") or one.get("execution_count") for one in held["cells"])


def test_the_walkthrough_reads_the_secret_and_writes_a_report(capsys):
    [notebook] = [path for path in NOTEBOOKS if path.stem == "walkthrough"]
    names: dict[str, object] = {}
    for number, source in enumerate(cells(notebook)):
        exec(compile(source, f"{notebook.name}, cell {number}", "exec"), names)
    answer = names["answer"]
    assert answer.text == "piano"
    assert answer.lift > 1
    assert answer.confidence == 1
    assert "piano" in capsys.readouterr().out
    assert (names["runs"] / "report.html").stat().st_size > 10_000
