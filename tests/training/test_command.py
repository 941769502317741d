"""`ao train` takes a file, settings, or both, and says in one line what is wrong."""

import json

import pytest
import tyro
import yaml

from activation_oracles.cli.main import main
from activation_oracles.cli.train import Train
from activation_oracles.errors import ConfigError
from activation_oracles.training.config import Lora, TrainConfig


def parsed(*arguments) -> TrainConfig:
    return tyro.cli(Train, args=[str(one) for one in arguments]).resolved()


@pytest.fixture
def file(tmp_path):
    values = {"model": "a", "data": ["b"], "output": "c", "lora": {"rank": 8, "alpha": 3}}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_what_is_typed_overrides_the_file_and_nothing_else(file):
    config = parsed("--config", file, "--lora.rank", 16, "--data", "x", "y", "--warmup", 0)
    assert config == TrainConfig(
        model="a", data=("x", "y"), output="c", lora=Lora(rank=16, alpha=3), warmup=0.0
    )


def test_settings_alone_are_enough():
    config = parsed("--model", "a", "--data", "b", "--output", "c", "--autocast")
    assert config == TrainConfig(model="a", data=("b",), output="c", autocast=True)


def test_a_saved_config_is_read_back_equal(tmp_path):
    config = TrainConfig(model="a", data=("b",), output="c", max_steps=3, lora=Lora(layers=("q",)))
    config.save(tmp_path / "saved.yaml")
    assert TrainConfig.load(tmp_path / "saved.yaml") == config


def test_impossible_settings_are_refused_by_name(file):
    with pytest.raises(ConfigError, match=r"lora\.rank|Lora: rank"):
        parsed("--config", file, "--lora.rank", 0)
    with pytest.raises(ConfigError, match="model"):
        parsed("--data", "b")
    file.write_text("speed: 3")
    with pytest.raises(ConfigError, match="speed"):
        parsed("--config", file)


def test_every_setting_says_what_it_is():
    for kind in (TrainConfig, Lora):
        undocumented = [name for name, info in kind.model_fields.items() if not info.description]
        assert undocumented in ([], ["lora"])


def test_a_mistake_ends_with_code_2_and_one_line(capsys, tmp_path):
    missing = str(tmp_path / "no data")
    assert main(["train", "--model", "m", "--data", missing, "--output", str(tmp_path / "o")]) == 2
    error = capsys.readouterr().err.strip()
    assert "holds no examples" in error
    assert "\n" not in error
    assert not (tmp_path / "o").exists()


def test_a_command_trains_and_prints_the_folder(config, tmp_path, capsys):
    config.model_copy(update={"max_steps": 2}).save(tmp_path / "run.yaml")
    assert main(["train", "--config", str(tmp_path / "run.yaml"), "--evaluate-examples", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == config.output
    assert "examples" in captured.err
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 2]
