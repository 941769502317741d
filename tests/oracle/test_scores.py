"""What a card says of scores comes with n, an interval and controls, or says that it has none."""

import json

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.evaluation import compare, run, table
from activation_oracles.evals.grade import exact
from activation_oracles.oracle.scores import evaluated, held_out, load_evaluation, unproven
from activation_oracles.statistics import wilson
from activation_oracles.types import Example

HELD_OUT = {"num_examples": 40, "loss": 0.5, "accuracy": 0.75, "num_answers": 20}


def examples(task, count=12):
    return [
        Example((1, 2), (1,), (1,), "Which?", ("red", "blue")[n % 2], task, f"{task} {n}")
        for n in range(count)
    ]


class Fixed:
    """Answers from a function of the example."""

    def __init__(self, name, control, say) -> None:
        self.name, self.control, self._say = name, control, say

    def answer(self, examples):
        return [self._say(one) for one in examples]


@pytest.fixture
def evaluation(tmp_path, write_evaluation):
    return write_evaluation(tmp_path / "scores")


@pytest.fixture
def write_evaluation():
    """Return a writer of an `ao eval` folder: one task read, one that its question gives away."""
    from dataclasses import asdict

    def write(folder, answerers=None):
        read = lambda one: one.answer if one.task == "read" else "red"  # noqa: E731
        answerers = answerers or [
            Fixed("oracle", None, read),
            Fixed("oracle", "nothing", lambda _: "red"),
            Fixed("oracle", "donor", lambda _: "grey"),
            Fixed("most frequent answer", "no activations", lambda _: "red"),
            Fixed("linear probe, mean", None, lambda one: one.answer),
        ]
        records = run(examples("read") + examples("guessed"), answerers, exact)
        found = {"rows": table(records), "gains": compare(records, "oracle")}
        plain = {name: [asdict(one) for one in some] for name, some in found.items()}
        folder.mkdir()
        (folder / "table.json").write_text(json.dumps(plain), encoding="utf-8")
        return folder

    return write


def test_held_out_shares_have_wilsons_interval():
    (one,) = held_out({"held_out": {"sst2": HELD_OUT}})
    assert (one.exact.low, one.exact.high) == pytest.approx(wilson(15, 20))
    assert (one.exact.score, one.exact.num_answers, one.num_examples) == (0.75, 20, 40)
    assert "no controls" in one.in_words()


@pytest.mark.parametrize("right", [0, 20])
def test_an_interval_stays_between_0_and_1(right):
    (one,) = held_out({"held_out": {"t": HELD_OUT | {"accuracy": right / 20}}})
    assert (one.exact.low, one.exact.high) == pytest.approx(wilson(right, 20))


def test_answers_too_long_to_compare_have_a_loss_and_no_share():
    (one,) = held_out({"held_out": {"t": HELD_OUT | {"accuracy": None, "num_answers": 0}}})
    assert one.exact is None
    assert "loss 0.50" in one.in_words()


def test_every_score_of_an_evaluation_stands_beside_its_controls(evaluation):
    lines = {line.task: line for line in evaluated({"evaluated": load_evaluation(evaluation)})}
    read = lines["read"]
    assert (read.score.score, read.score.num_answers) == (1.0, 12)
    assert read.controls["nothing"].score == 0.5
    assert read.controls["donor"].score == 0.0
    assert set(read.others) == {"most frequent answer", "linear probe, mean"}
    assert {line.who for line in lines.values()} == {"oracle"}


def test_only_tasks_that_do_not_beat_a_control_are_named(evaluation):
    assert unproven({"evaluated": load_evaluation(evaluation)}) == {
        "guessed": ["nothing", "most frequent answer"]
    }


def test_an_evaluation_without_controls_is_refused(tmp_path, evaluation):
    held = json.loads((evaluation / "table.json").read_text())
    held["rows"] = [one for one in held["rows"] if one["control"] in (None, "donor")]
    (evaluation / "table.json").write_text(json.dumps(held))
    with pytest.raises(DataError, match="2 controls"):
        load_evaluation(evaluation)
    with pytest.raises(DataError, match="ao eval --out"):
        load_evaluation(tmp_path)


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ConfigError, match="held-out"):
        held_out({"held_out": {"sst2": 0.9}})
    with pytest.raises(ConfigError, match="ao eval"):
        evaluated({"evaluated": {"rows": [{"task": "t"}], "gains": []}})
    assert (held_out({}), evaluated({}), unproven({})) == ([], [], {})
