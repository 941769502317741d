"""`ao calibrate`, on a tiny random model and an untrained oracle."""

import json
import shutil
from dataclasses import replace

import pytest
from transformers import AutoTokenizer

from activation_oracles.cli.main import main
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Example
from activation_oracles.world.load import ABSTAINER, BASE, DATA, ORACLE
from activation_oracles.world.questions import questions
from activation_oracles.world.unanswered import ANSWER, unanswered

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

QUESTION = "Which colour?"


@pytest.fixture
def data(tmp_path):
    from activation_oracles.tasks import store

    def example(number):
        context = tuple(20 + (number * step) % 300 for step in range(1, 8))
        colour = ("red", "blue")[number * number % 3 % 2]
        return Example(context, (4, 5, 6), (1,), QUESTION, colour, "colour", f"text {number}")

    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    splits = {"train": [example(n) for n in range(8)], "held_out": [example(n) for n in range(90)]}
    store.write(tmp_path / "data", splits, manifest)
    return str(tmp_path / "data")


@pytest.fixture
def calibrate(oracle_folder, data, capsys, tmp_path):
    def run(*settings, oracle=oracle_folder):
        code = main(["calibrate", "--oracle", str(oracle), "--data", data, *settings])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_what_is_measured_is_what_was_not_fitted_on(calibrate, oracle_folder):
    before = Card.load(str(oracle_folder))
    code, output, _ = calibrate("--json")
    found = json.loads(output)
    assert code == 0
    assert found["num_fitted"] + found["after"]["num_answers"] == 90
    assert found["before"]["share_right"] == found["after"]["share_right"]
    assert found["curve"]["num_answers"] == found["num_fitted"]
    assert Card.load(str(oracle_folder)) == before


def test_a_saved_curve_is_in_the_card_once_and_is_applied_when_the_oracle_is_asked(
    calibrate, oracle_folder, tiny_model, capsys, tmp_path
):
    folder = tmp_path / "oracle"
    shutil.copytree(oracle_folder, folder)
    for curve in ("temperature", "platt"):
        assert calibrate("--save", "--curve", curve, oracle=folder)[0] == 0
    card = Card.load(str(folder))
    assert [(one.method, one.curve) for one in card.confidence_curves] == [("choice", "platt")]
    assert card.confidence_curves[0].data
    ask = ["ask", "--oracle", str(folder), "--target", str(tiny_model), "--text", "green apples"]
    ask += ["--question", QUESTION, "--choices", "red", "blue", "--how-sure", "choice"]
    assert main(ask) == 0
    assert "platt curve fitted on" in capsys.readouterr().out
    # Fitting again starts from what the oracle states, not from what the card makes of it.
    again = json.loads(calibrate("--json", oracle=folder)[1])
    assert again["curve"]["slope"] == pytest.approx(card.confidence_curves[0].slope)


def test_wordings_come_from_a_file_and_questions_without_any_are_left_out(calibrate, tmp_path):
    path = tmp_path / "wordings.json"
    path.write_text(json.dumps({QUESTION: ["What colour is it?", "Name the colour."]}))
    code, _, errors = calibrate("--method", "wordings", "--wordings", str(path))
    # An untrained oracle says neither colour, so that all is wrong and nothing can be fitted.
    assert code == 2
    assert "right ones and wrong ones" in errors
    path.write_text(json.dumps({"Another question?": ["Which?"]}))
    code, _, errors = calibrate("--method", "wordings", "--wordings", str(path))
    assert code == 2
    assert "a file that names their questions" in errors
    path.write_text("[]")
    assert "cannot be read as wordings" in calibrate("--wordings", str(path))[2]


def test_samples_are_drawn_as_many_as_are_wanted_and_their_agreement_is_the_confidence(
    calibrate, monkeypatch
):
    asked = []
    ask = Oracle.ask

    def say_red(self, *arguments, **named):
        asked.append(named["decoding"])
        rows = ask(self, *arguments, **named)
        return [[replace(row[0], text="red", guess=None)] for row in rows]

    monkeypatch.setattr(Oracle, "ask", say_red)
    settings = ("--method", "samples", "--samples", "3", "--temperature", "0.7", "--seed", "5")
    code, output, _ = calibrate("--json", "--max-new-tokens", "2", *settings)
    assert code == 0
    assert json.loads(output)["curve"]["method"] == "samples"
    assert {(how.samples, how.temperature, how.seed) for how in asked} == {(3, 0.7, 5)}
    code, _, errors = calibrate("--method", "samples", "--samples", "1")
    assert code == 2
    assert "two or more" in errors


def test_a_card_on_the_hub_is_not_saved_into(calibrate):
    code, _, errors = calibrate("--save", oracle="somebody/oracle")
    assert code == 2
    assert "is no folder" in errors


@pytest.fixture
def unanswerable(tmp_path):
    """Return questions about the village's texts, a third of them without an answer."""
    from activation_oracles.tasks import store

    tokenizer = AutoTokenizer.from_pretrained(DATA / BASE)
    asked = questions(tokenizer, seed=31, count=120, shares={"secret": 1, "concept": 1})
    without = unanswered(tokenizer, seed=32, count=60, kinds={"absent": 1})
    manifest = store.Manifest(seed=0, command="a test", tokenizer="village")
    store.write(tmp_path / "asked", {"train": asked, "held_out": [*asked, *without]}, manifest)
    store.write(tmp_path / "answered", {"train": asked, "held_out": asked}, manifest)
    return tmp_path


def test_an_abstainers_rule_costs_few_right_answers_and_is_kept_in_its_card(unanswerable, capsys):
    abstainer = unanswerable / "abstainer"
    shutil.copytree(DATA / ABSTAINER, abstainer)
    command = ["calibrate", "--oracle", str(DATA / ORACLE), "--target", str(DATA / BASE)]
    command += ["--abstainer", str(abstainer), "--data", str(unanswerable / "asked")]
    command += ["--device", "cpu", "--max-new-tokens", "8"]
    before = Card.load(str(abstainer))
    assert main([*command, "--loss", "0.1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert Card.load(str(abstainer)) == before, "nothing is saved unasked"
    assert found["rule"]["text"] == ANSWER
    assert found["lost"] < 0.3 < found["without"]["unanswered/absent"][1]
    assert main([*command, "--loss", "0.1", "--save"]) == 0
    assert f"refuses where the log-odds of {ANSWER!r}" in capsys.readouterr().out
    assert Card.load(str(abstainer)).refusal.model_dump() == found["rule"]
    command[command.index(str(unanswerable / "asked"))] = str(unanswerable / "answered")
    assert main(command) == 2
    assert "`kind: unanswerable`" in capsys.readouterr().err
