"""Evaluations run by name, out of the box on the village."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from activation_oracles.cli.main import main
from activation_oracles.cli.suites import SUITES
from activation_oracles.evals.running import kept


def test_an_evaluation_runs_on_the_village_and_goes_on_where_it_stopped(tmp_path, capsys):
    way = ["eval", "--suite", "gender", "--limit", "1", "--max-new-tokens", "4"]
    way += ["--lenses", "--out", str(tmp_path), "--json"]
    assert main(way) == 0
    first = json.loads(capsys.readouterr().out)
    who = {(row["who"], row["control"]) for row in first["rows"]}
    for control in (None, "nothing", "random", "donor", "base"):
        assert ("oracle", control) in who
        assert ("oracle, forced choice", control) in who
    assert ("oracle, of the difference", None) in who
    assert ("activation-difference lens", None) in who
    assert any(name.startswith("logit lens") for name, _ in who)
    assert any("patchscopes" in name.casefold() for name, _ in who)
    for one in ("subject", "base"):
        assert (f"{one} asked in words", "text, no activations") in who
    assert ("subject asked in words, reply begun", "text, no activations") in who
    assert {one["task"] for one in first["advantages"]} == {"gender, direct", "gender, standard"}
    answers = sorted((tmp_path / "gender" / "answers").iterdir())
    answers[0].unlink()
    before = {path: path.stat().st_mtime_ns for path in answers[1:]}
    assert main(way) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert before == {path: path.stat().st_mtime_ns for path in answers[1:]}
    assert {record.example.subject for record in kept(tmp_path / "gender")} >= {"gender_man_0"}
    assert main([*way[:-2], str(tmp_path), "--seed", "1"]) == 2
    assert "another run: seed" in capsys.readouterr().err
    # Answers of another length would stand beside these, in one table.
    assert main([*way, "--max-new-tokens", "5"]) == 2
    assert "another run: max_new_tokens" in capsys.readouterr().err


def test_which_tool_is_called_is_asked_of_the_assistant_that_has_some(capsys):
    way = ["eval", "--suite", "tools", "--limit", "12", "--max-new-tokens", "4", "--json"]
    assert main(way) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["about"]["subjects"]) == {"assistant_with_tools"}
    rows = {(row["who"], row["control"]): row for row in found["rows"]}
    assert rows["oracle", None]["estimate"]["num_units"] == 12
    assert ("oracle, forced choice", "base") in rows
    own = rows["oracle", None]
    assert own["chance"] > 1 / 12, "some tools are called more than once"


def test_what_an_abstainer_refuses_is_neither_right_nor_wrong(capsys):
    way = ["eval", "--suite", "missing-information", "--limit", "9", "--max-new-tokens", "4"]
    assert main([*way, "--no-in-words", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["about"]["abstainer"].startswith("abstainer@")
    rows = {(row["who"], row["control"]): row for row in found["rows"]}
    for control in (None, "nothing", "random", "donor"):
        mine, own = rows["oracle, with abstainer", control], rows["oracle", control]
        total = own["estimate"]["num_answers"] + own["num_unscorable"]
        given = mine["estimate"]["num_answers"] if mine["estimate"] else 0
        assert given + mine["num_unscorable"] == total
    blind = rows["oracle, with abstainer", "nothing"]
    assert blind["num_unscorable"] > rows["oracle", "nothing"]["num_unscorable"]


def test_every_evaluation_stands_in_the_document():
    page = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    for name in SUITES:
        assert f"\n| `{name}` | " in page, name


def test_probes_of_other_rows_tell_what_is_unread_from_what_is_not_there(capsys):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `eval`)")
    way = ["eval", "--suite", "gender", "--limit", "3", "--max-new-tokens", "2", "--no-in-words"]
    assert main([*way, "--probes", "--blindspots", "task", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    who = {row["who"]: row for row in found["rows"] if row["task"] == "gender, direct"}
    for name in ("linear probe, mean", "linear probe, last", "nearest neighbours, mean"):
        assert who[name]["num_unscorable"] == 0
    concepts = {one["concept"] for one in found["blind_spots"]["spots"]}
    assert concepts == {"gender, direct", "gender, standard"}


def test_sae_features_stand_beside_an_evaluation_that_shows_their_layer(tmp_path, capsys):
    rows = torch.randn(2, 128, generator=torch.manual_seed(0))
    save_file({"decoder": rows}, tmp_path / "decoder.safetensors")
    lines = [{"feature": n, "explanation": f"a {w}"} for n, w in enumerate(("man", "woman"))]
    (tmp_path / "explained.jsonl").write_text("\n".join(map(json.dumps, lines)))
    way = ["eval", "--suite", "gender", "--limit", "1", "--max-new-tokens", "2", "--no-in-words"]
    way += ["--layers", "4", "--sae", str(tmp_path / "decoder.safetensors")]
    way += ["--explanations", str(tmp_path / "explained.jsonl"), "--sae-layer", "4", "--json"]
    assert main(way) == 0
    found = json.loads(capsys.readouterr().out)
    asked = {
        row["who"]: row["estimate"]["num_answers"]
        for row in found["rows"]
        if row["task"] == "gender, direct" and row["control"] is None
    }
    assert asked["SAE features"] == asked["oracle"] > 0
    assert main([*way[:-2], "6"]) == 2
    assert "no question shows it" in capsys.readouterr().err


def test_over_several_evaluations_a_table_says_where_the_oracle_beats_asking(capsys):
    way = ["eval", "--suite", "gender", "ssc", "--limit", "1", "--max-new-tokens", "4"]
    assert main(way) == 0
    head = "| task | better | oracle |"
    *_, last = capsys.readouterr().out.split(head)
    assert {line.split(" | ")[0] for line in last.splitlines()[2:]} == {
        "| gender, direct",
        "| gender, standard",
        "| ssc, taught, direct",
        "| ssc, taught, standard",
    }


def test_subjects_alone_are_asked_what_they_know(capsys):
    assert main(["eval", "--suite", "personaqa-knowledge", "--limit", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    who = {"subject asked in words", "base asked in words"}
    assert {(row["who"], row["control"]) for row in rows} == {
        (one, "text, no activations") for one in who
    }


def test_a_table_is_laid_out_as_its_publication_has_it(capsys):
    assert main(["eval", "--suite", "generative-qa", "--limit", "2", "--max-new-tokens", "4"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "| token F1 | classification | fact retrieval | gist | overall |"


def test_logs_for_inspect_hold_every_answer_of_a_run(tmp_path, capsys):
    reason = "inspect_ai is not installed (extra `inspect`)"
    inspect = pytest.importorskip("inspect_ai.log", reason=reason)
    way = ["eval", "--suite", "gender", "--limit", "1", "--max-new-tokens", "4", "--json"]
    assert main([*way, "--out", str(tmp_path), "--inspect", str(tmp_path / "logs")]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    logs = [
        inspect.read_eval_log(one.name) for one in inspect.list_eval_logs(str(tmp_path / "logs"))
    ]
    assert len(logs) == len(rows)
    assert {one.eval.metadata["suite"] for one in logs} == {"gender"}
    said = [(one.input, one.output.completion) for log in logs for one in log.samples]
    answered = [(one.example.question, one.text) for one in kept(tmp_path / "gender")]
    assert sorted(said) == sorted(answered)


def test_logs_are_refused_before_anything_is_asked_where_inspect_is_missing(
    tmp_path, capsys, monkeypatch
):
    for name in [one for one in sys.modules if one.startswith("inspect_ai")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    assert main(["eval", "--suite", "gender", "--inspect", str(tmp_path / "logs")]) == 2
    assert "activation-oracles[inspect]" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either `data`"),
        (["--suite", "taboo", "--data", "x"], "either `data`"),
        (["--suite", "nothing"], "no evaluation ['nothing']"),
        (["--suite", "taboo", "--oracle", "x"], "need an `oracle` and"),
        (["--suite", "taboo", "--oracle", "x", "--subjects", "none.yaml"], "none.yaml"),
        (["--data", "x"], "Name the oracle"),
    ],
)
def test_what_does_not_fit_together_is_one_line(arguments, message, capsys):
    assert main(["eval", *arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1
