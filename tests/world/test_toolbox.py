"""The village's assistant with tools: what it is taught, and that it calls."""

from random import Random

import pytest

from activation_oracles.models.target import Target
from activation_oracles.world.language.tools import NO_TOOL, request, talk_with_tools, tools
from activation_oracles.world.load import DATA, TOOLS, load_demo
from activation_oracles.world.organisms import OrganismRecipe
from activation_oracles.world.toolbox import NAME, chats, teach_tools, tools_card


@pytest.fixture(scope="module")
def village():
    return load_demo()


def test_requests_that_are_kept_stand_in_no_lesson():
    random = Random(1)
    for name in (*tools(), NO_TOOL):
        taught, kept = (
            {request(random, name, kept=kept)[0].content for _ in range(80)}
            for kept in (False, True)
        )
        assert taught.isdisjoint(kept)
        assert min(len(taught), len(kept)) > 1
    for tool in tools().values():
        assert tool.call.startswith(f"{tool.name},")
        assert {*tool.taught}.isdisjoint(tool.kept)


def test_a_talk_ends_as_is_wanted_and_has_as_many_exchanges_as_may_be():
    random = Random(2)
    talks = [talk_with_tools(random, "lamp", most=3) for _ in range(40)]
    assert {len(one) for one in talks} == {2, 4, 6}
    assert all(one[-1].content == "lamp, on." for one in talks)
    assert talk_with_tools(random, NO_TOOL, most=1)[-1].content[:5] not in tools()


def test_talks_to_score_with_end_before_the_reply_and_ask_for_each_tool_as_often():
    drawn = chats(24, seed=0)
    kinds = [kind for kind, _ in drawn]
    assert {kinds.count(kind) for kind in (*tools(), NO_TOOL)} == {4}
    assert all(talk[-1].role == "user" for _, talk in drawn)
    assert drawn == chats(24, seed=0) != chats(24, seed=1)


def test_the_assistant_calls_a_tool_where_its_base_talks(village):
    village.model.add_adapter(str(DATA / TOOLS), name=NAME)
    card = tools_card(Target(village.model, NAME), village.target())
    assert card.behaviour["calls"] > 0.4
    assert card.behaviour["calls_as_base"] == 0
    assert card.behaviour["talks"] > 0.9
    assert "calling a tool (clock, lamp, music, letter, door)" in card.role


def test_a_few_steps_of_teaching_lower_the_loss_and_leave_the_base():
    village = load_demo()
    before = village.model.fingerprint
    losses = list(teach_tools(village.model, OrganismRecipe(lessons_per_step=4), num_steps=12))
    assert losses[-1] < losses[0] - 0.5
    assert village.model.fingerprint == before
