"""`ao report`: what an evaluation left becomes a page."""

import json

import pytest

from activation_oracles.cli.main import main
from activation_oracles.evals.records import write_records
from sample_runs import answers, examples

pytest.importorskip("pyarrow")


def leave(folder, **made):
    (folder / "answers").mkdir(parents=True)
    write_records(folder / "answers" / "0.parquet", answers(examples(**made), 0.7))
    (folder / "config.json").write_text(json.dumps({"oracle": folder.name}))
    return str(folder)


def test_runs_become_one_page_and_its_path_is_printed(tmp_path, capsys):
    runs = [leave(tmp_path / name) for name in ("first", "second")]
    out = tmp_path / "pages" / "report.html"
    assert main(["report", *runs, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    html = out.read_text(encoding="utf-8")
    assert "<h1>first, second</h1>" in html
    assert "Runs against each other" in html


def test_the_texts_that_were_read_are_shown_where_the_target_is_named(tmp_path, tiny_model):
    out = tmp_path / "report.html"
    way = ["report", leave(tmp_path / "mine"), "--out", str(out)]
    assert main([*way, "--target", str(tiny_model)]) == 0
    from transformers import AutoTokenizer

    wanted = AutoTokenizer.from_pretrained(tiny_model).decode(list(examples(1)[0].context))
    assert json.dumps(wanted, ensure_ascii=False).replace("<", "\\u003c") in out.read_text("utf-8")


def test_a_page_or_a_plot_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path, capsys):
    first, other = leave(tmp_path / "first"), leave(tmp_path / "other", count=20)
    out = ["--out", str(tmp_path / "report.html")]
    for arguments, message in (
        ([str(tmp_path / "none")], "holds no answers"),
        ([first, other], "different rows of task 'colour'"),
        ([first, "--calibration", first], "not a measured calibration"),
        ([first, "--target", first], "No model could be read"),
    ):
        assert main(["report", *arguments, *out]) == 2
        said = capsys.readouterr().err.strip()
        assert message in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "report.html").exists()
