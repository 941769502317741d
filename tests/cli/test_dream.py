"""`ao dream`: what it prints and keeps, and what it refuses before anything is loaded."""

import json

import pytest

from activation_oracles.cli.main import main
from activation_oracles.types import Activations

QUESTION = "What is the model thinking about?"


@pytest.fixture
def asked(capsys):
    def run(*settings: str) -> tuple[int, str, str]:
        code = main(["dream", *settings])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_dream_of_the_village_is_told_and_kept(asked, tmp_path):
    folder = tmp_path / "moon"
    code, out, err = asked(
        *("--question", QUESTION, "--answer", "moon", "--seeds", "2", "--out", str(folder))
    )
    assert code == 0
    assert out.count(": believed (0.99") == 2, out
    assert out.count("steps): moon") == 2, "the oracle says so itself when it is asked"
    assert "docs/dream.md" in err, "it warns"
    rows = json.loads((folder / "dreams.json").read_text())
    assert [row["name"] for row in rows] == ["0", "1"]
    assert rows[0]["trace"]["belief lost"][-1] <= 0.01
    vector = Activations.load(folder / "0.safetensors")
    assert len(vector) == 1
    assert "dreamt until" in vector.provenance.history[0]
    code, _, err = asked("--question", QUESTION, "--answer", "moon", "--out", str(folder))
    assert code == 2
    assert "holds dreams already" in err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--question", "What?", "Who?", "--answer", "moon"), "Each --question wants an --answer"),
        (("--question", "What?", "--answer", " "), "needs a question and an answer"),
        (("--question", "What?", "--answer", "moon", "--seeds", "0"), "at least one of --seeds"),
        (("--question", "What?", "--answer", "moon", "--target", "here"), "needs an --oracle"),
    ],
)
def test_what_cannot_be_dreamt_is_refused(asked, settings, message):
    code, out, err = asked(*settings)
    assert (code, out) == (2, "")
    assert message in err
