"""Figures of a report as files."""

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from activation_oracles.errors import ConfigError
from activation_oracles.evals.calibration import calibration
from activation_oracles.evals.report.grids import Figure, Grid, Row, Table
from activation_oracles.evals.report.measured import CurveKind, Measured
from activation_oracles.evals.report.plots import save_plots
from activation_oracles.evals.report.report import report
from sample_runs import run


@pytest.fixture(scope="module")
def shown():
    held = calibration([0.1, 0.4, 0.8, 0.9], [0.0, 1.0, 1.0, 1.0], num_bins=2)
    kind = CurveKind(method="choice", curve="platt")
    measured = Measured(
        curve=kind, num_fitted=4, before=held, after=held, threshold=None, kept=None
    )
    runs = [run(name, seed=seed, task="a $\\frac{ task") for seed, name in enumerate("ab")]
    figure = Figure(mean=0.5, low=0.4, high=0.6, num_runs=3)
    row = Row(settings={"lora.rank": 8}, task="a task", loss=None, accuracy=figure)
    table = Table(order_by="loss", rows=(row,), runs=())
    return report(runs, {"runs/calibration.json": measured}, grids=[Grid("rates", table)])


def test_every_figure_is_written_as_png_and_svg_and_again_to_the_same_bytes(shown, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `eval`)")
    paths = save_plots(shown, tmp_path / "plots")
    assert sorted(paths) == sorted((tmp_path / "plots").iterdir())
    names = " ".join(path.stem for path in paths)
    for name in (
        "scores-a-frac-task",
        "advantages",
        "by-layers",
        "confidence-runs-calibration",
        "grid-rates",
    ):
        assert name in names
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        else:
            assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")
    again = save_plots(shown, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_without_matplotlib_the_extra_is_named(shown, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"activation-oracles\[eval\]"):
        save_plots(shown, tmp_path / "plots")
    assert not (tmp_path / "plots").exists()
