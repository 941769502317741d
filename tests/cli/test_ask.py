import json
import re

import pytest

from activation_oracles.cli.main import main
from activation_oracles.models.target import Target
from activation_oracles.world.load import DATA

QUESTION = ("--question", "What is the secret word?")


@pytest.fixture
def ask(tiny_model, oracle_folder, capsys):
    """Run `ao ask` on the tiny model; return its exit code, output and errors."""

    def run(*settings: str, target=tiny_model, oracle=oracle_folder) -> tuple[int, str, str]:
        named = ("--target", str(target), "--oracle", str(oracle))
        code = main(["ask", *named, *settings])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize("at", ["-1", "3:9", "2,5", "all", '"river"', "last token"])
def test_every_kind_of_position_is_understood(ask, at):
    code, output, _ = ask("--text", "The old mill stands by the river", "--at", at, *QUESTION)
    lines = output.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[-2:]] == ["nothing", "random"]


def test_a_chat_is_read_from_a_file_or_as_json(ask, chat_file):
    settings = ("--at", "last assistant turn", *QUESTION, "--json")
    from_file = ask("--chat", str(chat_file), *settings)
    from_words = ask("--chat", chat_file.read_text(), *settings)
    assert from_file[0] == 0
    assert from_file[1] == from_words[1]


def test_json_says_where_the_answer_comes_from(ask, tiny_model, adapter_folder, chat_file):
    code, output, _ = ask(
        "--adapter", str(adapter_folder), "--chat", str(chat_file), "--at", "user", "--json",
        "--controls", "nothing", "base", "text", "--donor", "green apples", *QUESTION,
    )  # fmt: skip
    answer = json.loads(output)
    assert code == 0
    assert answer["provenance"]["model"] == str(tiny_model)
    assert answer["provenance"]["adapter"].startswith(adapter_folder.name)
    assert set(answer["controls"]) == {"nothing", "base", "asked as text", "donor"}
    assert answer["controls"]["base"]["provenance"]["adapter"] is None


def test_what_an_abstainer_finds_no_answer_to_is_told_with_the_guess(ask):
    settings = ("--text", "Tom is in the garden.", "--dtype", "float32", *QUESTION)
    village = {"target": DATA / "base", "oracle": DATA / "oracle"}
    second = ("--abstainer", str(DATA / "abstainer"))
    _, alone, _ = ask(*settings, **village)
    code, output, _ = ask(*settings, *second, **village)
    assert code == 0
    blind = {line.split()[0]: line for line in output.splitlines()[1:]}
    guess = next(line.split()[1] for line in alone.splitlines() if line.startswith("  nothing"))
    assert blind["nothing"].endswith(f"I cannot tell.  [best guess {guess!r}]")
    _, output, _ = ask(*settings, *second, "--how-sure", "likelihood", **village)
    assert re.search(rf"nothing +I cannot tell\.  \[0\.\d\d, best guess {guess!r}\]", output)


def test_an_abstainer_that_is_not_there_is_refused_before_a_model_is_loaded(ask, monkeypatch):
    monkeypatch.setattr(Target, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    code, output, errors = ask("--text", "green apples", "--abstainer", "./nowhere", *QUESTION)
    assert (code, output) == (2, "")
    assert "nowhere" in errors


def test_a_difference_is_told_with_its_strength_and_shown_by_it(ask, adapter_folder):
    settings = ("--text", "green apples", "--adapter", str(adapter_folder), "--difference")
    code, output, _ = ask(*settings, *QUESTION)
    assert code == 0
    assert output.splitlines()[-1].startswith("relative strength: ")
    answer = json.loads(ask(*settings, *QUESTION, "--json")[1])
    assert len(answer["relative_strengths"]) == len(answer["layers"])
    assert answer["provenance"]["history"][0].startswith("minus ")
    choices = ("--choices", "Yes", "No", "--in-proportion", "0", "--json")
    unwritten = json.loads(ask(*settings, *QUESTION, *choices)[1])
    assert unwritten["probabilities"] == unwritten["controls"]["nothing"]["probabilities"]
    assert any("0 times the strength" in warning for warning in unwritten["warnings"])


def test_the_layer_asked_for_is_the_layer_read(ask):
    _, output, _ = ask("--text", "green apples", "--layers", "0", "--json", *QUESTION)
    answer = json.loads(output)
    assert set(answer["layers"]) == {0}
    assert any("not trained on" in warning for warning in answer["warnings"])


def test_choices_come_with_probabilities_that_sum_to_one(ask):
    _, output, _ = ask("--text", "green apples", "--json", "--choices", "Yes", "No", *QUESTION)
    answer = json.loads(output)
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert sum(answer["controls"]["random"]["probabilities"].values()) == pytest.approx(1)


def test_samples_are_all_told(ask):
    settings = ("--samples", "3", "--temperature", "1", "--seed", "5", *QUESTION)
    _, output, _ = ask("--text", "green apples", *settings, "--json")
    assert len(json.loads(output)["samples"]) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--text", "apples", "--layers", "9"), "blocks 0 to 3"),
        (("--text", "apples", "--layers", "-1"), "blocks 0 to 3"),
        (("--text", "apples", "--at", "99"), "lies outside the text"),
        (("--text", "apples", "--at", "50:60"), "lies outside the text"),
        (("--text", "apples", "--at", '"pears"'), "do not stand in the text"),
        (("--text", "apples", "--at", "last user turn"), "this text has none"),
        (("--text", "apples", "--question", " "), "question is empty"),
        (("--text", ""), "empty"),
        (("--text", "@no/such/file.txt"), "no/such/file.txt"),
        (("--chat", "no/such/file.json"), "no/such/file.json"),
        (("--chat", '[{"role": "user"'), "not JSON"),
        (("--chat", "[]"), "no messages"),
        (("--chat", '[{"role": "user"}]'), "expected a role"),
        (("--chat", '["Hello."]'), "expected a role"),
        ((), "--text or --chat"),
        (("--text", "a", "--chat", "[]"), "--text or --chat"),
        (("--text", "apples", "--controls", "base"), "base needs an --adapter"),
        (("--text", "apples", "--controls", "magic"), "no control 'magic'"),
        (("--text", "apples", "--choices", "Yes"), "two or more"),
        (("--text", "apples", "--samples", "2"), "temperature"),
        (("--text", "apples", "--samples", "2", "--temperature", "nan"), "temperature"),
        (("--text", "apples", "--adapter", "no/such/adapter"), "no/such/adapter"),
        (("--text", "apples", "--dtype", "float99"), "float99"),
        (("--text", "apples", "--difference"), "needs an --adapter"),
        (("--text", "apples", "--in-proportion", "1"), "give --difference"),
    ],
)
def test_what_a_user_can_mend_is_one_clear_line(ask, settings, message):
    question = () if "--question" in settings else QUESTION
    code, output, errors = ask(*settings, *question)
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "settings",
    [
        ("--text", ""),
        ("--chat", '["Hello."]'),
        ("--text", "apples", "--controls", "base"),
        ("--text", "apples", "--choices", "Yes"),
        ("--text", "apples", "--samples", "2"),
        ("--text", "apples", "--adapter", "/no/such/adapter"),
        ("--text", "apples", "--oracle", "/no/such/oracle"),
    ],
)
def test_what_needs_no_model_is_refused_before_one_is_loaded(ask, monkeypatch, settings):
    def loaded(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("activation_oracles.models.target.load", loaded)
    assert ask(*settings, *QUESTION)[0] == 2


def test_a_missing_model_or_oracle_is_named(ask, tmp_path):
    for given in ({"target": tmp_path}, {"oracle": tmp_path}, {"oracle": tmp_path / "none"}):
        code, _, errors = ask("--text", "apples", *QUESTION, **given)
        assert code == 2
        assert tmp_path.name in errors


def test_an_oracle_or_adapter_of_another_model_is_refused(ask, wider_model, adapter_folder):
    code, _, errors = ask("--text", "apples", *QUESTION, target=wider_model)
    assert code == 2
    assert "trained on" in errors
    code, _, errors = ask(
        "--text", "apples", "--adapter", str(adapter_folder), *QUESTION, target=wider_model
    )
    assert code == 2
    assert "does not fit" in errors or "do not belong" in errors or "not fit" in errors


def test_confidence_is_told_with_its_method_beside_answer_and_controls(ask):
    read = ("--text", "green apples", *QUESTION)
    code, output, _ = ask(*read, "--wordings", "Which word is hidden?", "Name the word.")
    lines = output.splitlines()
    assert code == 0
    assert lines[-2] == "confidence: wordings, not calibrated"
    assert lines[-1].startswith("lift: ")
    assert all("[" in line and "]" in line for line in lines[:-2])
    answer = json.loads(ask(*read, "--how-sure", "likelihood", "--json")[1])
    assert 0 < answer["confidence"] < 1
    assert answer["controls"]["nothing"]["confidence"] is not None


def test_confidence_by_what_was_not_asked_for_is_refused(ask):
    code, _, errors = ask("--text", "green apples", *QUESTION, "--how-sure", "samples")
    assert code == 2
    assert "two samples or more" in errors
