"""A conclusion is what the model itself draws, and stands nowhere in what is read."""

import json
import logging
import re

import pytest

from activation_oracles.cli.main import main
from activation_oracles.errors import DataError
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.reasoning import reasoning
from activation_oracles.evals.suites.talks import Problem
from activation_oracles.world.language.tables import things
from activation_oracles.world.suites import village

STEPS = " Big things sink.\n It is big.\n Hence it sinks.\n Answer: B."


def problem(**fields):
    held = {"messages": "Is it big?", "marker": "so", "choices": ("yes", "no"), "source": "one"}
    return Problem.model_validate(held | fields)


def drawn(target, *problems, **made):
    given = Given(layers=(4,), problems=lambda: problems, **made)
    return reasoning(given).drawn({"": target})


def words(demo, case):
    """Return what is read of the reply."""
    return demo.model.tokenizer.decode(list(case.context)).rpartition("assistant\n")[2]


def test_the_truth_is_the_models_own_and_whether_it_is_right_another_task(demo, scripted):
    target = scripted(lambda _: " It is big, so yes.")
    rows = drawn(target, problem(answer="no"), problem(answer="yes", source="two"))
    truths = {(one.task, one.unit): one.answer for one in rows}
    for moment in ("next", "before the reply"):
        for unit, right in (("one", "No"), ("two", "Yes")):
            assert truths[f"conclusion, {moment}", unit] == "yes"
            assert truths[f"right, {moment}", unit] == right
    assert {(one.task.split(", ")[1], words(demo, one)) for one in rows} == {
        ("next", " It is big,"),
        ("before the reply", ""),
    }


def test_it_is_read_behind_every_step_and_never_behind_one_that_says_it(demo, scripted):
    row = problem(marker="Answer:", step="\n", choices=("A", "B"))
    rows = drawn(scripted(lambda _: STEPS), row)
    first, second, third, _ = STEPS.split("\n")
    assert {one.task: words(demo, one) for one in rows} == {
        "conclusion, before the reply": "",
        "conclusion, 2 steps before": f"{first}\n",
        "conclusion, 1 step before": f"{first}\n{second}\n",
        "conclusion, next": f"{first}\n{second}\n{third}\n",
    }
    assert {one.answer for one in rows} == {"B"}
    early = STEPS.replace("Hence", "By B")
    rows = drawn(scripted(lambda _: early), row)
    assert max((words(demo, one) for one in rows), key=len) == f"{first}\n{second}\n"


def test_what_was_solved_otherwise_is_left_out_and_counted(scripted, caplog):
    def rule(read):
        return " It is big, so yes." if "big" in read else " Who knows, so perhaps."

    other = problem(messages="Is it red?", source="two")
    with caplog.at_level(logging.WARNING):
        rows = drawn(scripted(rule), problem(), other)
    assert {one.unit for one in rows} == {"one"}
    assert "left out 1 of 2 problems" in caplog.text
    with pytest.raises(DataError, match="concludes none of 1 problems"):
        drawn(scripted(rule), other)


def test_problems_are_ones_own(tmp_path, scripted):
    row = {"messages": "Is it big?", "marker": "so", "choices": ["yes", "no"]}
    (tmp_path / "problems.jsonl").write_text(json.dumps(row))
    evaluation = reasoning(Given(layers=(4,), files=tmp_path))
    rows = evaluation.drawn({"": scripted(lambda _: " It is big, so yes.")})
    assert {one.task for one in rows} == {"conclusion, next", "conclusion, before the reply"}
    assert evaluation.choices["conclusion, next"] == ("yes", "no")
    with pytest.raises(DataError, match=r"problems\.jsonl"):
        reasoning(Given(layers=(4,)))


def test_the_villages_claims_are_as_true_as_its_tables_say(demo):
    found = village(demo, layers=(4,), limit=40).problems()
    assert {one.answer for one in found} == {"yes", "no"}
    for one in found:
        first, *_, last = (
            (text for role, text in one.talk if role == "user")
            if len(one.talk) > 1
            else (one.talk[0][1],) * 2
        )
        name = re.search(r"that the (\w+) ", first)[1]
        claim = re.search(rf"that (?:it|the {name}) (.+)\?$", last)[1]
        assert (claim in things()[name].looks) == (one.answer == "yes")


def test_every_answer_stands_beside_its_controls(capsys):
    way = ["eval", "--suite", "reasoning", "--limit", "2", "--max-new-tokens", "2", "--json"]
    assert main(way) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    who = {(row["task"], row["who"], row["control"]) for row in rows}
    for control in (None, "nothing", "random", "donor"):
        for name in ("oracle", "oracle, forced choice"):
            assert ("conclusion, next", name, control) in who
    assert any("asked in words" in name for _, name, _ in who)
