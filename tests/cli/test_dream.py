"""`ao dream`: what it prints and keeps, and what it refuses before anything is loaded."""

import json
from shutil import copytree

import pytest
from safetensors.torch import load_file, save_file

from activation_oracles.cli.main import main
from activation_oracles.types import Activations
from activation_oracles.world.load import DATA, ORACLE, load_demo

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


@pytest.fixture
def reading(tmp_path):
    """Return a file of what the village reads at the last tokens of a remark."""
    target = load_demo().target()
    path = tmp_path / "reading.safetensors"
    target.read("The sun was out.", layers=4, positions=slice(-3, None)).save(path)
    return path


def test_a_change_of_a_reading_is_no_longer_than_its_bound(asked, reading, tmp_path):
    folder = tmp_path / "near"
    settings = ("--around", str(reading), "--bound", "0.4", "--seeds", "1", "--out", str(folder))
    code, out, _ = asked("--question", QUESTION, "--answer", "moon", "--layer", "4", *settings)
    assert code == 0
    assert "0: " in out
    added, held = Activations.load(folder / "0.safetensors"), Activations.load(reading)
    mean = held.vectors.float().norm(dim=-1).mean()
    assert 0 < added.vectors.norm() <= 0.4 * mean * 1.001


def test_what_the_target_does_is_charged_for_by_name(asked, tmp_path):
    first, second = tmp_path / "moon", tmp_path / "silent"
    asks = ("--question", QUESTION, "--answer", "moon", "--seeds", "1", "--steps", "5")
    spoken = ("--prompt", "Tell me something.", "--promote", "It shines.", "--demote", "It barks.")
    assert asked(*asks, *spoken, "--out", str(first))[0] == 0
    [row] = json.loads((first / "dreams.json").read_text())
    assert set(row["costs"]) == {"said: It shines.", "unsaid: It barks."}
    kept = ("--suppress", "--faithful", "1", "--start", str(first / "0.safetensors"))
    assert asked(*asks, *kept, "--out", str(second))[0] == 0
    [row] = json.loads((second / "dreams.json").read_text())
    assert set(row["costs"]) == {"effect lost"}
    assert row["trace"]["effect lost"][0] == pytest.approx(0, abs=1e-4)


def test_several_oracles_are_deceived_at_once_and_another_is_asked(asked, tmp_path):
    for name in ("second", "third"):
        copytree(DATA / ORACLE, tmp_path / name)
    # Half of what the village's oracle learned: another oracle, which is harder to deceive by it.
    weights = tmp_path / "second" / "adapter_model.safetensors"
    half = {key: one if "lora_A" in key else one / 2 for key, one in load_file(weights).items()}
    save_file(half, weights)
    asks = ("--question", QUESTION, "--answer", "moon", "--seeds", "1", "--layer", "4")
    more = ("--also", str(tmp_path / "second"), "--others", str(tmp_path / "third"))
    code, out, _ = asked(*asks, *more, "--out", str(tmp_path / "both"))
    assert code == 0
    [row] = json.loads((tmp_path / "both" / "dreams.json").read_text())
    believe = row["probabilities"]
    assert list(believe) == ["oracle", "second", "third"]
    assert believe["third"] == pytest.approx(believe["oracle"], abs=1e-4), "it is the same oracle"
    assert believe["second"] != pytest.approx(believe["oracle"], abs=1e-4)
    attacked = min(believe["oracle"], believe["second"])
    assert row["probability"] == pytest.approx(attacked, abs=1e-4), "the least of those attacked"
    assert row["believed"]
    assert f"oracle {believe['oracle']:.3f}, second {believe['second']:.3f}, third" in out
    assert asked(*asks, "--out", str(tmp_path / "one"))[0] == 0
    [alone] = json.loads((tmp_path / "one" / "dreams.json").read_text())
    assert alone["probabilities"] == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--question", "What?", "Who?", "--answer", "moon"), "Each --question wants an --answer"),
        (("--question", "What?", "--answer", " "), "needs a question and an answer"),
        (("--question", "What?", "--answer", "moon", "--seeds", "0"), "at least one of --seeds"),
        (("--question", "What?", "--answer", "moon", "--target", "here"), "needs an --oracle"),
        (("--question", "What?", "--answer", "moon", "--faithful", "1"), "--start"),
        (("--question", "What?", "--answer", "moon", "--promote", "Hello."), "--prompt"),
        (("--question", "What?", "--answer", "moon", "--prompt", "Hello."), "both or neither"),
        (("--question", "What?", "--answer", "moon", "--bound", "1"), "--around"),
        (("--question", "What?", "--answer", "moon", "--also", "a/b", "c/b"), "names of their own"),
    ],
)
def test_what_cannot_be_dreamt_is_refused(asked, settings, message):
    code, out, err = asked(*settings)
    assert (code, out) == (2, "")
    assert message in err
