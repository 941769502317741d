"""What a model is about to do is told by its own reply, of which nothing is shown."""

import json
import logging
from collections import Counter

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.decisions import called, decisions, kind_of, tools
from activation_oracles.evals.suites.talks import Choice
from activation_oracles.world.suites import village
from activation_oracles.world.talks import KINDS

SYSTEM = {"role": "system", "content": "Call search(...) or add(...), or answer."}
WITH_TOOLS = (
    "{% for tool in tools or [] %}{{ tool['function']['name'] + '\n' }}{% endfor %}"
    "{% for one in messages %}{{ one['role'] + '\n ' + one['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant\n' }}{% endif %}"
)


def written(tmp_path, *rows):
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "tools.jsonl").write_text(lines, encoding="utf-8")
    return Given(layers=(4,), files=tmp_path)


def chat(asked, names=("search", "add")):
    return {"messages": [SYSTEM, {"role": "user", "content": asked}], "tools": list(names)}


def rule(read):
    if "weather" in read:
        return ' {"name": "search", "arguments": {"words": "add sun"}}'
    return " add(2, 2)" if "2 and 2" in read else " Hello, I could search for you."


@pytest.mark.parametrize(
    ("reply", "tool"),
    [
        ('<tool_call>\n{"name": "add", "arguments": {}}', "add"),
        ("First add(1, 2), then search('x').", "add"),
        ("search: the weather", "search"),
        ("I would add that you may search.", "none"),
        ("research(1) or x.add(2)", "none"),
        ("adds", "none"),
        ("", "none"),
    ],
)
def test_a_tool_is_called_where_its_name_stands_in_a_call(reply, tool):
    assert called(reply, ("search", "add")) == tool


def test_the_truth_is_the_tool_that_the_model_calls_and_its_reply_is_not_shown(
    demo, scripted, tmp_path
):
    asked = ["How is the weather?", "What is 2 and 2?", "Hello!"]
    evaluation = tools(written(tmp_path, *map(chat, asked)))
    rows = evaluation.drawn({"": scripted(rule)})
    assert [one.answer for one in rows] == ["search", "add", "none"]
    assert evaluation.choices == {"tool call": ("search", "add", "none")}
    assert all("search, add, none" in one.question for one in rows)
    for one, words in zip(rows, asked, strict=True):
        messages = [SYSTEM, {"role": "user", "content": words}]
        assert one.context == demo.target().text(messages, add_generation_prompt=True).token_ids


def test_definitions_are_read_through_the_models_template(demo, scripted, tmp_path, monkeypatch):
    definition = {"type": "function", "function": {"name": "search", "description": "Looks."}}
    given = written(tmp_path, chat("How is the weather?", [definition]))
    # The village's own template knows no tools: they would be asked about and never seen.
    with pytest.raises(DataError, match="leaves tools out"):
        tools(given).drawn({"": scripted(rule)})
    monkeypatch.setattr(demo.model.tokenizer, "chat_template", WITH_TOOLS)
    (one,) = tools(given).drawn({"": scripted(rule)})
    assert demo.model.tokenizer.decode(list(one.context)).startswith("search\nsystem\n")
    assert one.answer == "search"


def test_tools_need_names_and_rows_their_own_evaluation(tmp_path):
    for name in ("none", {"function": {}}):
        with pytest.raises(DataError, match="expected a name"):
            tools(written(tmp_path, chat("Hello!", [name])))
    row = {"messages": "Hello!", "replies": {"greeting": ["Hello"]}}
    with pytest.raises(DataError, match="names no `tools`"):
        tools(written(tmp_path, row))
    given = Given(layers=(4,), decisions=lambda: [Choice.model_validate(chat("Hello!"))])
    with pytest.raises(DataError, match="has no `replies`"):
        decisions(given)


def test_a_kind_is_told_by_the_first_words_of_a_reply():
    assert kind_of(" It is big.", KINDS) == "hint"
    assert kind_of("i must not say the word", KINDS) == "refusal"
    assert kind_of('"No, that is wrong."', KINDS) == "verdict"
    assert kind_of("Its", KINDS) is None


def test_what_is_said_of_how_a_reply_begins_is_judged_as_a_reply_is():
    row = Choice(messages="Give me a hint.", replies=KINDS)
    grade = decisions(Given(layers=(4,), decisions=lambda: [row])).grade
    assert grade["decision, by its words"]("It looks", "hint") == 1.0
    assert grade["decision, by its words"]("No, that", "hint") == 0.0
    assert grade["decision, by its words"]("user", "hint") == 0.0
    assert grade["decision"]("a hint, or a refusal", "hint") == 0.0


def test_the_village_asks_for_every_kind_as_often_and_counts_other_replies(demo, scripted, caplog):
    given = village(demo, layers=(4,), limit=12)

    def moves(read):
        return " No, that is wrong." if "word" in read.split("user\n")[-1] else " It is big."

    rows = decisions(given).drawn({"": scripted(moves)})
    assert Counter(one.task for one in rows) == {"decision": 12, "decision, by its words": 12}
    assert {one.answer for one in rows} == {"verdict", "hint"}
    seen = []

    def once(read):
        seen.append(read)
        return " It is big." if len(seen) > 1 else " Hm."

    with caplog.at_level(logging.WARNING):
        assert len(decisions(given).drawn({"": scripted(once)})) == 22
    assert "left out 1 of 12 talks" in caplog.text
    with pytest.raises(DataError, match="what is decided cannot be told"):
        decisions(given).drawn({"": scripted(lambda _: " Hm.")})
