"""`ao redteam` and `ao harden`: a battery that goes on, a report, and an oracle taught by it."""

import json

import pytest

from activation_oracles.cli.main import main

FEW = (
    *("--limit", "3", "--seeds", "1", "--steps", "2", "--randoms", "5"),
    *("--strengths", "-0.5", "0.5", "--judges", "named"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redteam") / "run"
    assert main(["redteam", "--out", str(folder), *FEW]) == 0
    return folder


def test_the_folder_holds_vectors_effects_rates_and_a_page(folder):
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "made.json", "found.json", "geometry.json", "summary.json"}
    assert "What they look like" in (folder / "report.html").read_text()
    files = sorted(path.name for path in (folder / "vectors" / "wolf").iterdir())
    assert files == [
        *("caa.safetensors", "mean-difference.safetensors", "normal-0.safetensors"),
        *("red-team.safetensors", "silent.safetensors"),
    ]
    summary = json.loads((folder / "summary.json").read_text())
    assert {one["name"] for one in summary["kinds"]} == {
        *("normal 0", "red-team", "silent", "CAA", "mean difference")
    }
    assert summary["steering"]["of"] == 3


def test_a_run_that_lost_what_it_found_measures_again_and_makes_nothing(
    folder, capsys, monkeypatch
):
    before = (folder / "found.json").read_text()
    (folder / "found.json").unlink()
    monkeypatch.setattr(
        "activation_oracles.dreams.running.make", lambda *_, **__: pytest.fail("made again")
    )
    assert main(["redteam", "--out", str(folder), *FEW]) == 0
    assert (folder / "found.json").read_text() == before
    assert "asked in words" in capsys.readouterr().out


def test_a_folder_of_another_run_is_refused(folder, capsys):
    assert main(["redteam", "--out", str(folder), *FEW, "--seed", "5"]) == 2
    assert "holds another run: attack differ" in capsys.readouterr().err


def test_hardening_leaves_an_oracle_for_each_round_and_goes_on(tmp_path, capsys):
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.tasks import store
    from activation_oracles.world.load import load_demo

    concepts = tmp_path / "two.yaml"
    from activation_oracles.world.concepts import concepts as village_s

    rows = [one.model_dump(mode="json") for one in village_s(hardening=True)[:2]]
    concepts.write_text(json.dumps(rows))
    settings = [
        *("harden", "--out", str(tmp_path / "hard"), "--concepts", str(concepts)),
        *("--rounds", "2", "--steps", "2", "--seeds", "1", "--attack-steps", "2"),
    ]
    assert main(settings) == 0
    folders = capsys.readouterr().out.split()
    assert [one.rpartition("hard/")[2] for one in folders] == ["round-0/oracle", "round-1/oracle"]
    held = list(store.read(tmp_path / "hard" / "round-1" / "data", "train"))
    shown = [one for one in held if one.task.startswith("dreams/")]
    assert 0.2 < len(shown) / len(held) < 0.4
    demo = load_demo()
    oracles = [
        Oracle.from_pretrained(one, model=demo.model, name=f"again-{n}")
        for n, one in enumerate(folders)
    ]
    hashes = {
        demo.model.adapters.identity(one.adapter).rpartition("@")[2]
        for one in (*oracles, demo.oracle)
    }
    assert len(hashes) == 3
    assert main(settings) == 0, "what is finished is not done again"


def test_to_harden_without_the_oracle_s_data_is_refused(capsys):
    given = ["harden", "--out", "x", "--oracle", "here", "--target", "there"]
    assert main(given) == 2
    assert "it forgets what it could" in capsys.readouterr().err
