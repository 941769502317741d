"""The model card says what the card holds, and its code runs as it stands there."""

import re

import pytest
import yaml

from activation_oracles.oracle.card import Card
from activation_oracles.oracle.readme import readme, write_readme

BARE = {"model": "someone/base", "layers": ((9,), (18, 27)), "num_layers": 36}
ONE = {"num_examples": 40, "loss": 0.5, "accuracy": 0.75, "num_answers": 20}


def metadata(text) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_hub_finds_its_metadata():
    text = readme(Card(**BARE), license_id="mit", datasets=("a/b",))
    found = metadata(text)
    assert (found["base_model"], found["library_name"]) == ("someone/base", "peft")
    assert (found["license"], found["datasets"]) == ("mit", ["a/b"])
    assert "activation-oracle" in found["tags"]


def test_drawn_layers_are_told_in_words_and_measured_ones_in_a_table():
    share = {"score": 0.5, "low": 0.4, "high": 0.6, "num_answers": 20, "num_units": 10}
    at = {"layers": (9,), "is_trained": True, "score": share, "control": "random"}
    at |= {"control_score": share, "advantage": share}
    depth = {"data": "days", "data_hash": "x", "layers": {"9": at}, "recommended": (9,)}
    card = Card(**BARE, drawn_set_sizes=(2,), depth=depth | {"confirmed": at})
    text = readme(card)
    assert "| trained at layers | 9; any 2 of 9, 18, 27 |" in text
    assert "Layer 9 is recommended, chosen on half of days" in text
    assert "| 9 | yes | 0.50 (0.40 to 0.60) | random |" in text
    assert "were not measured" not in text
    assert "were not measured" in readme(Card(**BARE))


def test_what_is_not_known_is_left_out_of_the_metadata():
    assert not {"license", "datasets"}.intersection(metadata(readme(Card(**BARE))))


def test_a_name_that_yaml_would_read_otherwise_survives():
    name = "no: 'base' # here"
    assert metadata(readme(Card(**BARE | {"model": name})))["base_model"] == name


def test_tasks_sources_and_scores_are_told():
    data = {
        "splits": {"train": {"tasks": {"a|b": 12345}}},
        "sources": {"reviews.csv": "ab"},
    }
    training = {"data": [data, {"file": "mine.jsonl"}], "steps": 9}
    text = readme(Card(**BARE, training=training, scores={"held_out": {"sst2": ONE}}))
    assert r"| a\|b | 12,345 |" in text
    assert "`mine.jsonl`, `reviews.csv`" in text
    assert "| sst2 | 40 | 0.75 (0.53 to 0.89) | 0.50 |" in text
    assert "No controls were run" in text


@pytest.mark.parametrize(
    ("task", "said"),
    [("reviews", "It always answers"), ("unanswerable/random", "taught to say that it cannot")],
)
def test_whether_it_may_refuse_is_told_by_what_it_was_taught(task, said):
    data = {"splits": {"train": {"tasks": {"any": 5, task: 3}}}}
    text = readme(Card(**BARE, training={"data": [data]}))
    both = ("It always answers", "taught to say that it cannot")
    assert [one in text for one in both] == [one == said for one in both]


def test_an_evaluation_is_told_with_controls_and_what_did_not_beat_them():
    def interval(score):
        return {
            "score": score,
            "low": score - 0.1,
            "high": score + 0.1,
            "num_answers": 8,
            "num_units": 4,
        }

    row = {"task": "sst2", "who": "oracle", "chance": 0.5}
    others = {None: 0.8, "nothing": 0.5, "donor": 0.75}
    rows = [row | {"control": name, "estimate": interval(one)} for name, one in others.items()]
    gains = [
        {"task": "sst2", "who": "oracle", "control": None, "other": "oracle", "other_control": name}
        | {"gain": interval(0.8 - others[name])}
        for name in ("nothing", "donor")
    ]
    text = readme(Card(**BARE, scores={"evaluated": {"rows": rows, "gains": gains}}))
    line = next(line for line in text.splitlines() if line.startswith("| sst2 |"))
    assert "8 (4) | **0.80 (0.70 to 0.90)** | 0.50 (0.40 to 0.60) | 0.75 (0.65 to 0.85)" in line
    assert "sst2: not shown to beat donor (" in text


def test_every_card_says_what_answers_are_not_good_for():
    text = readme(Card(**BARE))
    assert "not evidence by itself" in text
    assert "against people" in text


def test_the_code_of_a_saved_oracle_runs_as_it_stands(fresh_oracle, tmp_path, capsys):
    fresh_oracle.save(tmp_path)
    write_readme(fresh_oracle.card, tmp_path)
    text = readme(fresh_oracle.card, name=str(tmp_path))
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert "nothing" in capsys.readouterr().out
