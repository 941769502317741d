"""What was answered stays: a run that was stopped goes on, and never with another one's answers."""

from dataclasses import dataclass, field, replace

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.grade import contains, exact
from activation_oracles.evals.running import Part, answered, kept
from activation_oracles.types import Example


@dataclass
class Says:
    """Says one thing to everything, and counts how often it is asked; or fails."""

    text: str
    name: str = "oracle"
    control: str | None = None
    is_broken: bool = False
    asked: list[int] = field(default_factory=list)

    def answer(self, examples):
        if self.is_broken:
            raise RuntimeError("the power is gone")
        self.asked.append(len(examples))
        return [self.text] * len(examples)


def example(number, answer="red"):
    return Example((1, 2), (0,), (1,), f"Which, {number}?", answer, "colour", f"text/{number}")


ROWS = [example(number, "red" if number % 2 else "blue") for number in range(6)]


def parts(*, is_broken=False):
    answerers = [
        Says("red"),
        Says("blue", control="nothing"),
        Says("x", control="donor", is_broken=is_broken),
    ]
    return [Part(ROWS, answerers, exact)]


def test_a_run_that_was_stopped_asks_only_what_was_not_answered(tmp_path):
    with pytest.raises(RuntimeError):
        answered(parts(is_broken=True), folder=tmp_path, about={"seed": 0})
    again = parts()
    records = answered(again, folder=tmp_path, about={"seed": 0})
    assert [one.asked for one in again[0].answerers] == [[], [], [6]]
    assert records == answered(parts())
    assert sorted(map(str, records)) == sorted(map(str, kept(tmp_path)))


def test_answers_of_another_run_are_never_mixed_in(tmp_path):
    answered(parts(), folder=tmp_path, about={"seed": 0, "oracle": "a"})
    with pytest.raises(ConfigError, match="another run: oracle differ"):
        answered(parts(), folder=tmp_path, about={"seed": 0, "oracle": "b"})
    others = [replace(part, examples=ROWS[1:]) for part in parts()]
    with pytest.raises(ConfigError, match="other questions"):
        answered(others, folder=tmp_path, about={"seed": 0, "oracle": "a"})


def test_each_part_is_judged_by_its_own_rule():
    lenient = Part(ROWS[1::2], [Says("It is red.", name="target")], contains)
    strict = Part(ROWS[1::2], [Says("It is red."), *parts()[0].answerers[1:]], exact)
    scores = {(one.who, one.control): one.score for one in answered([lenient, strict])}
    assert scores["target", None] == 1
    assert scores["oracle", None] == 0


def test_no_run_without_rows_or_without_two_controls():
    with pytest.raises(DataError, match="no examples"):
        answered([Part([], parts()[0].answerers, exact)])
    with pytest.raises(ConfigError, match="at least 2 controls"):
        answered([Part(ROWS, parts()[0].answerers[:2], exact)])


def test_a_folder_without_answers_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no answers"):
        kept(tmp_path)
