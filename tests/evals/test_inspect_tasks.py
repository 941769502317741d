"""Logs and tasks for inspect_ai, read back by inspect itself."""

import gc
import logging
import math
import sys
from dataclasses import dataclass, field

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.evaluation import judged, table
from activation_oracles.evals.grade import exact
from activation_oracles.evals.inspect_tasks import tasks, write_logs

WHY = "inspect_ai is not installed (extra `inspect`)"
ABOUT = {"suite": "colours", "layers": [2, 4], "seed": 0}
TALK = (("user", "Which is it?"), ("assistant", "I must not say."))


@dataclass
class Saying:
    """Says what it was told, and counts how often it was asked."""

    control: str | None
    says: str
    name: str = "oracle"
    asked: list[int] = field(default_factory=list)

    def answer(self, examples):
        self.asked.append(len(examples))
        return [one.answer if self.says == "right" else self.says for one in examples]


def rule(text, answer):
    return None if text == "unclear" or answer == "grey" else exact(text, answer)


def cases():
    return [
        Case(
            context=(1, 2, 3, number),
            positions=(1, 2),
            layers=(2, 4),
            question=f"Which colour, {number}?",
            answer=("red", "blue", "grey")[number % 3],
            task="colour, direct" if number < 8 else "colour, standard",
            source=f"colour/{number}",
            subject="keeper",
            unit=f"word {number // 2}",
            talk=TALK,
        )
        for number in range(14)
    ]


def answerers():
    return [Saying(None, "right"), Saying("nothing", "red"), Saying("random", "unclear")]


def answers():
    return [record for one in answerers() for record in judged(cases(), one, rule)]


@pytest.fixture(scope="module")
def inspect_logs():
    return pytest.importorskip("inspect_ai.log", reason=WHY)


@pytest.fixture
def read(inspect_logs):
    def by_line(paths):
        logs = [inspect_logs.read_eval_log(str(path)) for path in paths]
        return {
            (log.eval.task, log.eval.metadata["who"], log.eval.metadata["control"]): log
            for log in logs
        }

    return by_line


def test_every_row_its_score_and_what_is_known_of_it_is_read_back_by_inspect(read, tmp_path):
    logs = read(write_logs(answers(), tmp_path / "logs", ABOUT))
    assert len(logs) == 6
    for (task, who, control), log in logs.items():
        records = [
            one
            for one in answers()
            if (one.example.task, one.who, one.control) == (task, who, control)
        ]
        assert log.status == "success"
        assert log.eval.metadata.items() >= ABOUT.items()
        assert log.eval.model == (who if control is None else f"{who}, control: {control}")
        assert len(log.samples) == log.eval.dataset.samples == len(records)
        for sample, record in zip(log.samples, records, strict=True):
            example, score = record.example, sample.scores["grade"]
            assert (sample.input, sample.target) == (example.question, example.answer)
            assert sample.output.completion == sample.messages[-1].text == score.answer
            assert score.answer == record.text
            assert math.isnan(score.value) if record.score is None else score.value == record.score
            assert sample.metadata == {
                "subject": example.subject,
                "unit": example.unit,
                "layers": list(example.layers),
                "positions": list(example.positions),
                "task": task,
                "source": example.source,
                "shown": "reading",
                "talk": [{"role": role, "content": content} for role, content in TALK],
            }


def test_a_log_says_what_its_line_of_the_table_says(read, tmp_path):
    logs = read(write_logs(answers(), tmp_path, ABOUT))
    rows = table(answers())
    assert len(rows) == len(logs)
    for row in rows:
        log = logs[row.task, row.who, row.control]
        (score,) = log.results.scores
        assert score.unscored_samples == row.num_unscorable
        assert log.eval.metadata["chance"] == row.chance
        if row.estimate is None:
            assert row.control == "random"
            assert score.metrics == {}
            assert log.results.headline is None
            continue
        assert score.scored_samples == row.estimate.num_answers
        assert score.metrics["accuracy"].value == pytest.approx(row.estimate.score)
        assert log.eval.metadata["interval_95"] == [row.estimate.low, row.estimate.high]


def test_the_standard_error_is_clustered_by_unit_and_of_one_unit_is_not_given(read, tmp_path):
    records = [one for one in answers() if one.control == "nothing"]
    log = read(write_logs(records, tmp_path / "many", ABOUT))["colour, direct", "oracle", "nothing"]
    scored = [one for one in records if one.score is not None and one.example.task == log.eval.task]
    mean = sum(one.score for one in scored) / len(scored)
    sums = {}
    for one in scored:
        sums[one.example.unit] = sums.get(one.example.unit, 0.0) + one.score - mean
    count = len(sums)
    variance = sum(value**2 for value in sums.values()) * count / (count - 1)
    wanted = variance**0.5 / len(scored)
    assert log.results.scores[0].metrics["stderr"].value == pytest.approx(wanted)
    (alone,) = read(write_logs(records[:1], tmp_path / "one", ABOUT)).values()
    assert set(alone.results.scores[0].metrics) == {"accuracy"}


def test_the_same_run_replaces_its_logs_and_another_lies_beside_them(inspect_logs, tmp_path):
    first = write_logs(answers(), tmp_path, ABOUT)
    assert write_logs(answers(), tmp_path, ABOUT) == first
    assert sorted(tmp_path.iterdir()) == sorted(first)
    other = write_logs(answers(), tmp_path, ABOUT | {"seed": 1})
    assert not set(other) & set(first)
    assert len(inspect_logs.list_eval_logs(str(tmp_path))) == 12


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tasks_run_under_inspect_to_the_same_scores_in_one_batch(read, tmp_path, monkeypatch):
    inspect_ai = pytest.importorskip("inspect_ai", reason=WHY)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    who = answerers()[:2]
    made = tasks(cases(), who, rule)
    assert [one.asked for one in who] == [[], []]
    logs = inspect_ai.eval(
        made, model=None, log_dir=str(tmp_path / "run"), display="none", log_realtime=False
    )
    # What its runner leaves open is complained about here, and not in some other test.
    gc.collect()
    assert [one.asked for one in who] == [[14], [14]]
    written = read(write_logs(answers(), tmp_path / "logs", ABOUT))
    assert len(logs) == 4
    for log in logs:
        task = log.eval.dataset.name
        ours = written[task, log.eval.metadata["who"], log.eval.metadata["control"]]
        assert log.status == "success"
        (theirs,), (score,) = log.results.scores, ours.results.scores
        assert theirs.metrics["accuracy"].value == score.metrics["accuracy"].value
        assert theirs.metrics["stderr"].value == score.metrics["stderr"].value
        assert [one.output.completion for one in log.samples] == [
            one.output.completion for one in ours.samples
        ]
        assert [one.metadata for one in log.samples] == [one.metadata for one in ours.samples]


def test_without_answers_there_is_no_log(inspect_logs, tmp_path):
    with pytest.raises(DataError, match="no answers"):
        write_logs([], tmp_path / "logs", ABOUT)


def test_without_inspect_the_extra_is_named(tmp_path, monkeypatch):
    for name in [one for one in sys.modules if one.startswith("inspect_ai")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    with pytest.raises(ConfigError, match=r"activation-oracles\[inspect\]"):
        write_logs(answers(), tmp_path / "logs", ABOUT)
    assert not (tmp_path / "logs").exists()
