import json

import pytest

from activation_oracles.cli.main import main


@pytest.fixture
def sweep(tiny_model, oracle_folder, capsys):
    def run(*settings: str) -> tuple[int, str, str]:
        named = ("--target", str(tiny_model), "--oracle", str(oracle_folder))
        question = () if "--question" in settings else ("--question", "Is this a fruit?")
        code = main(["sweep", *named, "--text", "Anna likes green apples", *question, *settings])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_sweep_shows_every_token_at_every_trained_layer(sweep):
    code, output, _ = sweep("--at", "0:3")
    lines = output.splitlines()
    assert code == 0
    assert lines[0].split() == ["token", "layer", "1", "layer", "2", "layer", "3"]
    assert [line.split()[0] for line in lines[1:4]] == ["0", "1", "2"]
    assert "of 9 places" in lines[4]


def test_a_sweep_in_json_holds_every_answer_with_its_controls(sweep):
    _, output, _ = sweep("--at", "0:2", "--layers", "1", "2", "--choices", "Yes", "No", "--json")
    grid = json.loads(output)
    assert [len(row) for row in grid["answers"]] == [2, 2]
    for row, layer in zip(grid["answers"], (1, 2), strict=True):
        for answer, position in zip(row, grid["positions"], strict=True):
            assert (answer["layers"], answer["positions"]) == ([layer], [position])
            assert sum(answer["controls"]["nothing"]["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [(("--controls", "text"), "nothing and random"), (("--question", ""), "question is empty")],
)
def test_what_a_user_can_mend_is_one_clear_line(sweep, settings, message):
    code, output, errors = sweep(*settings)
    assert (code, output) == (2, "")
    assert message in errors
