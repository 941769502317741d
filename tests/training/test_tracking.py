"""Trackers get what metrics.jsonl gets, decide nothing, and are asked for before any work."""

import json
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from activation_oracles.errors import ConfigError
from activation_oracles.training import tracking as module
from activation_oracles.training.loop import train
from activation_oracles.training.tracking import flat, tracking

FAKE = """
from pathlib import Path
import json

FILE = Path({path!r})

def note(*what):
    with FILE.open("a") as file:
        file.write(json.dumps(what) + "\\n")

class Run:
    def log(self, values, step=None):
        note("log", step, values)
    def finish(self):
        note("finish")

class config:
    update = staticmethod(lambda values, allow_val_change: note("config", values))

def init(project, **settings):
    note("init", project, settings)
    return Run()
"""


def quiet(found):
    return found


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Stand in for trackio and wandb, with accelerate's own classes before them."""
    path = tmp_path / "told.jsonl"
    for name in ("trackio", "wandb"):
        (tmp_path / "fakes" / name).mkdir(parents=True)
        (tmp_path / "fakes" / name / "__init__.py").write_text(FAKE.format(path=str(path)))
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path / "fakes")
    yield lambda: [json.loads(line) for line in path.read_text().splitlines()]
    for name in ("trackio", "wandb"):
        sys.modules.pop(name, None)


def changed(config, **fields):
    return config.model_copy(update=fields)


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_a_tracker_is_told_every_line_of_the_metrics(config, told, name):
    folder = train(changed(config, trackers=(name,), max_steps=5), progress=quiet)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = [
        (step, values) for kind, step, *rest in _longer(told()) for values in rest if kind == "log"
    ]
    assert [step for step, _ in logged] == [line.pop("step") for line in lines]
    assert [values for _, values in logged] == [flat(line) for line in lines]
    assert any("held_out/odd/loss" in values for _, values in logged)
    first, settings, *_, last = told()
    assert (first[:2], first[2]["name"]) == (["init", "activation-oracles"], "run")
    assert settings[1]["lora/rank"] == 4
    assert last == ["finish"]


def _longer(records):
    return [record for record in records if len(record) == 3]


def test_trackers_decide_no_weights(config, told, tmp_path):
    bare = train(changed(config, max_steps=3), progress=quiet)
    other = changed(config, max_steps=3, trackers=("trackio",), output=str(tmp_path / "other"))
    assert other.deciding() == config.model_copy(update={"max_steps": 3}).deciding()
    expected = load_file(bare / "adapter_model.safetensors")
    for name, weight in load_file(
        train(other, progress=quiet) / "adapter_model.safetensors"
    ).items():
        assert weight.equal(expected[name]), name


def test_a_run_that_dies_closes_its_trackers(config, told):
    def die(found):
        yield next(found)
        found.close()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(changed(config, trackers=("trackio",)), progress=die)
    assert told()[-1] == ["finish"]


def test_only_the_first_process_speaks(config, told, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PartialState", lambda: SimpleNamespace(is_main_process=False))
    with tracking(("trackio",), config, tmp_path, 0) as tell:
        tell(1, {"loss": 1.0})
    assert not (tmp_path / "told.jsonl").exists()


def test_figures_that_are_not_there_are_not_told(config, told, tmp_path):
    with tracking(("trackio",), config, tmp_path, 0) as tell:
        tell(4, {"held_out": {"odd": {"loss": 1.5, "accuracy": None}}})
    assert ["log", 4, {"held_out/odd/loss": 1.5}] in told()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clipboard", "no tracker 'clipboard'. Trackers are tensorboard, trackio, wandb"),
        ("wandb", r"'activation-oracles\[wandb\]'"),
    ],
)
def test_a_tracker_that_cannot_be_had_is_refused_before_any_work(
    config, monkeypatch, name, message, tmp_path
):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=message):
        # A model that does not exist: loading it would be another error.
        train(changed(config, trackers=(name,), model=str(tmp_path / "none")), progress=quiet)
    assert not (tmp_path / "run").exists()


def test_every_tracker_has_an_extra_of_its_name():
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extras = settings["project"]["optional-dependencies"]
    for name in module.KINDS:
        assert [one.split(">")[0] for one in extras[name]] == [name]


def test_tensorboard_holds_the_figures_and_a_resumed_run_withdraws_later_ones(config, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begin, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        with tracking(("tensorboard",), config, tmp_path, begin) as tell:
            for step in steps:
                tell(step, {"loss": float(10 * begin + step)})
    held = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")
    assert [(one.step, one.value) for one in held] == [(1, 1), (2, 2), (3, 23), (4, 24)]
