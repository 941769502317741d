"""Figures of a battery as files."""

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from activation_oracles.dreams.plots import plots
from activation_oracles.dreams.summary import summarise
from activation_oracles.errors import ConfigError
from sample_findings import findings


@pytest.fixture(scope="module")
def summary():
    return summarise(findings())


def test_every_figure_is_written_as_png_and_svg_and_again_to_the_same_bytes(summary, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `eval`)")
    paths = plots(findings(), summary, tmp_path / "plots")
    assert sorted(paths) == sorted((tmp_path / "plots").iterdir())
    assert {path.stem for path in paths} == {"01-rates", "02-effects", "03-dose-response"}
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        else:
            assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")
    again = plots(findings(), summary, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_without_matplotlib_the_extra_is_named(summary, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"activation-oracles\[eval\]"):
        plots(findings(), summary, tmp_path / "plots")
    assert not (tmp_path / "plots").exists()
