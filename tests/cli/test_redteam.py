"""`ao redteam` and `ao harden`: a battery that goes on, a report, and an oracle taught by it."""

import json
import sys
from random import Random
from shutil import copytree

import pytest

from activation_oracles.cli.harden import balanced
from activation_oracles.cli.main import main
from activation_oracles.dreams.lessons import CANNOT_TELL
from activation_oracles.types import Example

FEW = (
    *("--limit", "2", "--seeds", "1", "--steps", "2", "--randoms", "5", "--layer", "1"),
    *("--strengths", "-0.5", "0.5", "--judges", "named", "--dtype", "float32"),
)
CONCEPTS = [
    {
        "name": word,
        "question": "What is the model thinking about?",
        "answer": word,
        "prompts": ["What is it?"],
        "reply": f"The {word}.",
        "instead": ["The cup."],
        "shown_by": [word],
        "about": [f"The old {word}."],
        "not_about": ["The old cup."],
    }
    for word in ("mill", "moon", "owl")
]


@pytest.fixture(scope="module")
def attacked(oracle_folder, tiny_model, tmp_path_factory):
    """Return what says who is attacked, and on what."""
    concepts = tmp_path_factory.mktemp("concepts") / "three.yaml"
    concepts.write_text(json.dumps(CONCEPTS))
    given = ("--oracle", oracle_folder, "--target", tiny_model, "--concepts", concepts)
    return ["redteam", *map(str, given), *FEW]


@pytest.fixture(scope="module")
def folder(attacked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("redteam") / "run"
    assert main([*attacked, "--out", str(folder)]) == 0
    return folder


def test_the_folder_holds_vectors_effects_looks_rates_and_a_page(folder):
    names = {path.name for path in folder.iterdir()}
    assert names >= {"config.json", "made.json", "found.json", "geometry.json", "summary.json"}
    assert "What they look like" in (folder / "report.html").read_text()
    files = sorted(path.name for path in (folder / "vectors" / "mill").iterdir())
    assert files == [
        *("caa.safetensors", "mean-difference.safetensors", "normal-0.safetensors"),
        *("red-team.safetensors", "silent.safetensors"),
    ]
    summary = json.loads((folder / "summary.json").read_text())
    assert {one["name"] for one in summary["kinds"]} == {
        *("normal 0", "red-team", "silent", "CAA", "mean difference")
    }
    assert summary["steering"]["of"] == 2


def test_a_run_that_lost_what_it_found_measures_again_and_makes_nothing(
    folder, attacked, capsys, monkeypatch
):
    before = [(folder / name).read_text() for name in ("found.json", "geometry.json")]
    (folder / "found.json").unlink()
    (folder / "geometry.json").unlink()
    monkeypatch.setattr(
        "activation_oracles.dreams.running.make", lambda *_, **__: pytest.fail("made again")
    )
    assert main([*attacked, "--out", str(folder)]) == 0
    assert [(folder / name).read_text() for name in ("found.json", "geometry.json")] == before
    told = capsys.readouterr().out
    assert "asked in words" in told
    assert "cosine with CAA" in told


def test_a_folder_of_another_run_is_refused(folder, attacked, capsys):
    assert main([*attacked, "--out", str(folder), "--seed", "5"]) == 2
    assert "holds another run: attack differ" in capsys.readouterr().err


def test_oracles_that_are_attacked_too_are_named_and_part_of_what_decides_a_run(
    folder, attacked, oracle_folder, tmp_path, capsys
):
    for name in ("second", "third"):
        copytree(oracle_folder, tmp_path / name)
    more = ["--also", str(tmp_path / "second"), "--others", str(tmp_path / "third")]
    assert main([*attacked, "--out", str(tmp_path / "run"), *more]) == 0
    assert "believed by       oracle  second  third" in capsys.readouterr().out
    [second] = json.loads((tmp_path / "run" / "config.json").read_text())["also"]
    assert second.startswith("second@")
    shown = (tmp_path / "run" / "report.html").read_text()
    assert "second, attacked" in shown
    assert "third, attacked" not in shown
    assert main([*attacked, "--out", str(folder), *more[:2]]) == 2
    assert "holds another run: also differ" in capsys.readouterr().err


def test_figures_are_drawn_where_asked(folder, attacked):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `eval`)")
    assert main([*attacked, "--out", str(folder), "--plots"]) == 0
    assert (folder / "plots" / "01-rates.svg").exists()


def test_figures_that_could_not_be_drawn_are_refused_before_the_run(
    attacked, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*attacked, "--out", str(tmp_path / "run"), "--plots"]) == 2
    assert "activation-oracles[eval]" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_lessons_tell_a_truth_as_often_as_not():
    no, yes = (
        Example(
            context=(),
            positions=(0,),
            layers=(1,),
            question="What is it?",
            answer=answer,
            task="dreams/any",
            source="any",
            shown=f"own:{name}#0",
        )
        for answer, name in ((CANNOT_TELL, "a"), ("moon", "b"))
    )
    drawn = balanced([no] * 30 + [yes], 2000, Random(0))
    assert 900 < sum(one is yes for one in drawn) < 1100
    assert balanced([no, no], 3, Random(0)) == [no] * 3


@pytest.mark.slow
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
    vectors = [
        one.stem for one in (tmp_path / "hard" / "round-0" / "attack").rglob("*.safetensors")
    ]
    assert vectors.count("caa") == vectors.count("caa-3") == 2, "of each of two concepts"
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
