"""The settings of a training grid stand side by side, with the intervals that they have."""

import json
import re

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.report.grids import is_only_grids, read_grids
from activation_oracles.evals.report.page import page
from activation_oracles.evals.report.report import report
from activation_oracles.statistics import over_runs, wilson
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.evaluate import HeldOutScore
from activation_oracles.training.grid import Planned
from activation_oracles.training.ranking import rank, save
from activation_oracles.training.running import Outcome
from sample_runs import HOSTILE, run

RATES = (0.001, 0.01)


def outcome(varied, accuracy, error=None):
    """Return how a run came out that was right so often, of 40 answers a task."""
    scores = {
        task: HeldOutScore(40, 1.5 - share, share, 40)
        for task, share in (("colour", accuracy), (f"shape {HOSTILE}", accuracy / 2))
    }
    config = TrainConfig(model="m", data=("d",), output="o")
    name = "_".join(f"{key}-{value}" for key, value in varied.items())
    return Outcome(Planned(name, varied, config, None), None if error else scores, error)


def leave(folder, outcomes):
    """Leave what `ao grid` would."""
    save(rank(outcomes, "accuracy", over_runs), folder)
    return folder


def seeds(rate, shares):
    return [outcome({"learning_rate": rate, "seed": n}, share) for n, share in enumerate(shares)]


@pytest.fixture
def folder(tmp_path):
    return leave(tmp_path / "rates", [*seeds(RATES[0], (0.5, 0.6, 0.7)), *seeds(RATES[1], (0.9,))])


def test_an_interval_is_over_seeds_and_where_there_is_one_over_answers(folder):
    (grid,) = read_grids([folder])
    assert (grid.name, grid.settings) == ("rates", ("learning_rate",))
    best, other = grid.rows("colour")
    assert [row.settings["learning_rate"] for row in (best, other)] == [0.01, 0.001]
    assert (best.accuracy.low, best.accuracy.high) == pytest.approx(wilson(36, 40))
    wanted = over_runs((0.5, 0.6, 0.7), (0.0, 1.0))
    assert (other.accuracy.low, other.accuracy.high) == pytest.approx(wanted)
    assert best.loss.low is None
    # A mean over tasks is no share of answers.
    assert grid.rows(None)[0].accuracy.low is None


def test_the_page_names_every_setting_with_its_interval_and_draws_it(folder):
    html = page(report([], grids=read_grids([folder])))
    assert re.search(r"0\.900 <span[^>]*>\(0\.77 to 0\.96, over answers\)", html)
    assert re.search(r"0\.600 <span[^>]*>\(0\.35 to 0\.85\)", html)
    assert html.count("accuracy by learning_rate") == html.count("nats by learning_rate") == 3
    assert HOSTILE not in html
    assert "<div hidden>" in html
    assert "1 grid." in html


def test_lines_are_settings_that_differ_in_nothing_but_what_the_axis_names(tmp_path):
    some = [
        outcome({"learning_rate": rate, "lora.rank": rank}, 0.5 + rank / 100)
        for rate in RATES
        for rank in (8, 16)
    ]
    html = page(report([], grids=read_grids([leave(tmp_path / "two", some)])))
    charts = re.findall(r'aria-label="([^"]*)"', html)
    assert charts[0] == "learning_rate: lora.rank 8, lora.rank 16"
    assert charts[2] == "lora.rank: learning_rate 0.01, learning_rate 0.001"


def test_what_failed_and_what_is_to_come_is_said(tmp_path):
    waiting = outcome({"seed": 9}, 0.5)
    some = [
        outcome({"seed": 1}, 0.5),
        outcome({"seed": 2}, 0, error=f"no memory {HOSTILE}"),
        Outcome(waiting.run, None),
    ]
    html = page(report([], grids=read_grids([leave(tmp_path / "some", some)])))
    assert "seed-2 failed: no memory" in html
    assert "Not run yet: seed-9" in html
    assert HOSTILE not in html


def test_grids_and_runs_stand_on_one_page(folder):
    html = page(report([run("one")], grids=read_grids([folder.parent])))
    assert "<title>Report: one, rates</title>" in html
    assert "<div hidden>" not in html
    assert "Settings side by side" in html


def test_what_an_evaluation_left_is_no_grid_and_a_damaged_table_is_named(folder, tmp_path):
    assert is_only_grids(folder)
    assert is_only_grids(folder.parent)
    evaluated = tmp_path / "evaluated"
    evaluated.mkdir()
    (evaluated / "table.json").write_text(json.dumps({"about": {}, "rows": []}))
    assert read_grids([evaluated, tmp_path / "none"]) == []
    (folder / "table.json").write_text(json.dumps({"order_by": "loss", "rows": [{}], "runs": []}))
    with pytest.raises(DataError, match="not the table of a grid"):
        read_grids([folder])
    (folder / "table.json").write_text("{")
    assert not is_only_grids(folder)
    with pytest.raises(DataError, match="named twice"):
        read_grids([leave(folder, [outcome({"seed": 1}, 0.5)]), folder / ".." / "rates"])
