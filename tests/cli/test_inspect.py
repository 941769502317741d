import json
import shutil

import pytest

from activation_oracles.cli.main import main


@pytest.fixture
def inspect(capsys):
    def run(*settings) -> tuple[int, str, str]:
        code = main(["inspect", *map(str, settings)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_terminal_tells_what_an_adapter_is(inspect, oracle_folder, tiny_model):
    code, output, _ = inspect(oracle_folder)
    assert code == 0
    assert str(tiny_model) in output
    assert "rank 4, alpha 8, dropout 0" in output
    assert "1 (25 %); 2 (50 %); 3 (75 %)" in output
    assert "after block 1, add, strength 1" in output
    assert "PROBLEM" not in output


def test_problems_and_notes_are_seen(inspect, oracle_folder, tmp_path):
    folder = shutil.copytree(oracle_folder, tmp_path / "other")
    (folder / "ao_config.json").unlink()
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"r": 8}))
    _, output, _ = inspect(folder)
    assert "note: " in output
    assert "none: defaults are assumed" in output
    assert "PROBLEM: adapter_config.json says rank 8" in output


def test_calibration_and_scores_are_told_where_there_are_any(inspect, oracle_folder, tmp_path):
    folder = shutil.copytree(oracle_folder, tmp_path / "other")
    assert "calibration          none" in inspect(folder)[1]
    card = json.loads((folder / "ao_config.json").read_text())
    card["confidence_curves"] = [
        {"method": "choice", "curve": "platt", "num_answers": 40, "threshold": 0.5}
    ]
    score = {"num_examples": 8, "loss": 0.5, "accuracy": 0.5, "num_answers": 8}
    card["scores"] = {"held_out": {"sst2": score}}
    (folder / "ao_config.json").write_text(json.dumps(card))
    output = inspect(folder)[1]
    assert "choice: platt curve, fitted on 40 answers, abstains below 0.50" in output
    assert "sst2: 0.50 (0.22 to 0.78)" in output


def test_json_holds_everything_under_the_names_of_the_files(inspect, oracle_folder):
    found = json.loads(inspect(oracle_folder, "--json")[1])
    assert found["card"]["hook_onto_layer"] == 1
    assert found["depths"] == [[[1, 25]], [[2, 50]], [[3, 75]]]
    assert (found["problems"], found["has_card"]) == ([], True)


def test_a_missing_adapter_is_one_clear_line(inspect, tmp_path):
    for wrong in (tmp_path, tmp_path / "none"):
        code, output, errors = inspect(wrong)
        assert (code, output, errors.count("\n")) == (2, "", 1)
        assert tmp_path.name in errors
