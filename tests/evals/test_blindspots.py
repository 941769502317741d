"""Blind spots: a probe beside the oracle tells what is absent from what is unread."""

import json
from dataclasses import replace
from random import Random

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.blindspots import blind_spots, of_answer
from activation_oracles.evals.blindspots_table import as_json, markdown
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.grade import exact
from activation_oracles.types import Example

PROBE, ORACLE = "linear probe, mean", "oracle"
CONTROLS = ((ORACLE, "nothing"), (ORACLE, "donor"))


def rows(count=200, *, task="mood", answers=("Yes", "No"), layers=(4,), units=None):
    """Return questions with every answer as often, each about a text of its own."""
    return [
        Example(
            (1, 2, 3),
            (2,),
            layers,
            f"Is it? {number}",
            answers[number % len(answers)],
            task,
            f"{task}/{number % (units or count)}",
        )
        for number in range(count)
    ]


def said(examples, who, share_right, control=None, seed=0):
    """Return answers of which this share is right and the rest another of the task's."""
    random = Random(f"{who} {control} {seed}")
    answers = sorted({one.answer for one in examples})
    found = []
    for one in examples:
        others = [answer for answer in answers if answer != one.answer] or ["none"]
        text = one.answer if random.random() < share_right else random.choice(others)
        found.append(Record(one, text, exact(text, one.answer), who, control))
    return found


def answered(examples, probe, oracle, control=0.5):
    records = said(examples, PROBE, probe) + said(examples, ORACLE, oracle)
    for who, name in CONTROLS:
        records += said(examples, who, control, name)
    return records


@pytest.mark.parametrize(
    ("probe", "oracle", "verdict"),
    [
        (0.9, 0.9, "read"),
        (0.9, 0.5, "unread"),
        (0.5, 0.9, "said without a linear trace"),
        (0.5, 0.5, "absent"),
    ],
)
def test_every_cell_of_the_matrix_is_told_from_the_others(probe, oracle, verdict):
    [spot] = blind_spots(answered(rows(2000), probe, oracle)).spots
    assert (spot.verdict, spot.is_settled) == (verdict, True)
    assert (spot.concept, spot.condition) == ("mood", "layers 4")
    assert spot.probe.score.score == pytest.approx(probe, abs=0.03)
    assert spot.oracle.score.score == pytest.approx(oracle, abs=0.03)
    assert spot.probe.chance == pytest.approx(0.5)
    assert spot.gap.score == pytest.approx(probe - oracle, abs=0.05)


def test_too_few_rows_are_said_to_leave_it_open():
    [absent] = blind_spots(answered(rows(30), 0.5, 0.5)).spots
    assert (absent.verdict, absent.is_settled) == ("absent", False)
    # The same answers about two texts alone are two observations.
    many = answered(rows(200), 0.9, 0.5)
    [alone] = blind_spots(many).spots
    [few] = blind_spots(many, unit=lambda one: str(int(one.source[5:]) % 3)).spots
    assert alone.gap.num_units == 200
    assert few.gap.num_units == few.probe.score.num_units == 3


def test_who_is_no_better_than_a_control_has_not_read_it():
    examples = rows(400)
    records = answered(examples, 0.9, 0.9) + said(examples, ORACLE, 0.9, "random")
    [spot] = blind_spots(records).spots
    assert (spot.verdict, spot.oracle.over) == ("unread", "random")
    assert not spot.is_settled
    alone = said(examples, "most frequent answer", 0.99, "no activations")
    [given_away] = blind_spots(answered(examples, 0.9, 0.9) + alone).spots
    assert given_away.verdict == "absent"
    assert given_away.probe.over == "most frequent answer"


def test_always_saying_the_most_frequent_answer_finds_nothing():
    examples = rows(300, answers=("Yes", "Yes", "Yes", "No"))
    records = answered(examples, 0.95, 0.5, control=0.2)
    constant = [
        replace(one, text="Yes", score=exact("Yes", one.example.answer))
        for one in records
        if (one.who, one.control) == (ORACLE, None)
    ]
    rest = [one for one in records if (one.who, one.control) != (ORACLE, None)]
    [spot] = blind_spots(constant + rest).spots
    assert spot.oracle.score.score == spot.oracle.chance == 0.75
    assert (spot.oracle.gain.score, spot.verdict) == (0, "unread")


def test_conditions_stand_apart_by_layers_and_by_tokens():
    shallow, deep = rows(300, layers=(2,)), rows(300, layers=(2, 6))
    last = [replace(one, positions=(0, 1, 2)) for one in rows(300, layers=(2,))]
    records = answered(shallow, 0.5, 0.5) + answered(deep, 0.95, 0.95) + answered(last, 0.95, 0.95)
    verdicts = {one.condition: one.verdict for one in blind_spots(records).spots}
    assert verdicts == {"layers 2": "read", "layers 2+6": "read"}
    found = blind_spots(records, by=("layers", "number of tokens shown"))
    assert {one.condition: one.verdict for one in found.spots} == {
        "layers 2; number of tokens shown 1": "absent",
        "layers 2+6; number of tokens shown 1": "read",
        "layers 2; number of tokens shown 3": "read",
    }
    with pytest.raises(ConfigError, match="number of tokens shown"):
        blind_spots(records, by=("colour",))


def test_a_single_answer_is_a_concept_of_its_own():
    colours = ("red", "green", "blue")
    examples = rows(900, task="colour", answers=colours)
    records = [one for one in answered(examples, 0.95, 1 / 3) if one.control != "donor"]
    records = [replace(one, text="red") if one.control else one for one in records]
    # The oracle knows red when it sees it; else it says anything but red.
    random = Random(0)
    knows_red = []
    for one in records:
        if (one.who, one.control) == (ORACLE, None):
            true = one.example.answer
            text = true if true == "red" else random.choice(colours[1:])
            knows_red.append(replace(one, text=text, score=exact(text, true)))
        else:
            knows_red.append(one)
    found = blind_spots(knows_red, concept=of_answer)
    assert {one.concept: one.verdict for one in found.spots} == {
        "colour: red": "read",
        "colour: green": "read",
        "colour: blue": "read",
    }
    gains = {one.concept: one.oracle for one in found.spots}
    # Red: always and never. Green: half of the time, against a quarter of the rest.
    assert gains["colour: red"].gain.score == pytest.approx(1)
    assert (gains["colour: red"].score.score, gains["colour: red"].chance) == (1, 0)
    for one in found.spots:
        right, elsewhere = one.oracle.score.score, one.oracle.chance
        assert one.oracle.gain.score == pytest.approx(right - elsewhere)


def test_saying_an_answer_whatever_is_true_does_not_find_it():
    records = answered(rows(400), 0.9, 0.5)
    yes = [
        replace(one, text="Yes", score=exact("Yes", one.example.answer))
        if (one.who, one.control) == (ORACLE, None)
        else one
        for one in records
    ]
    [always, never] = blind_spots(yes, concept=of_answer).spots
    assert (always.oracle.score.score, always.oracle.chance) == (1, 1)
    assert (never.oracle.score.score, never.oracle.chance) == (0, 0)
    assert {always.verdict, never.verdict} == {"unread"}


def test_a_rare_answer_is_compared_with_controls_that_say_it_often():
    examples = rows(300, answers=("No",) * 9 + ("Yes",))
    records = [
        replace(one, text="Yes") if one.control else one for one in answered(examples, 0.99, 0.5)
    ]
    rare = blind_spots(records, concept=of_answer).spots[1]
    assert (rare.concept, rare.verdict) == ("mood: yes", "unread")
    assert rare.probe.gain.score == pytest.approx(rare.probe.score.score - rare.probe.chance)


def test_groups_named_by_the_caller_are_concepts():
    records = answered(rows(200, task="joy"), 0.9, 0.9) + answered(rows(200, task="fear"), 0.9, 0.9)
    [spot] = blind_spots(records, concept=lambda _: "feelings").spots
    assert (spot.concept, spot.verdict, spot.gap.num_answers) == ("feelings", "read", 400)


def test_the_best_of_several_probes_must_find_it_more_surely():
    examples = rows(300)
    alone = answered(examples, 0.9, 0.9)
    both = alone + said(examples, "linear probe, last", 0.5)
    [one], [two] = blind_spots(alone).spots, blind_spots(both).spots
    assert one.probe.who == two.probe.who == PROBE
    assert two.probe.gain.low < one.probe.gain.low
    other = said(examples, "nearest neighbours, mean", 0.99)
    [spot] = blind_spots(both + other).spots
    assert spot.probe.who == PROBE
    named = ("nearest neighbours, mean",)
    [spot] = blind_spots(both + other, probes=named).spots
    assert spot.probe.who == named[0]


def test_what_has_no_verdict_is_named_with_the_reason():
    only_yes = rows(20, task="true", answers=("Yes",))
    unprobed = [r for r in answered(rows(20, task="open"), 0.9, 0.9) if r.who != PROBE]
    records = answered(rows(100), 0.9, 0.9) + answered(only_yes, 1, 1) + unprobed
    found = blind_spots(records)
    assert [one.concept for one in found.spots] == ["mood"]
    assert len(found.left_out) == 2
    assert any("true, layers 4: one answer is true of all" in one for one in found.left_out)
    assert "open: no probe answered it" in found.left_out
    assert "no verdict on open" in markdown(found)
    assert "| concept |" not in markdown(replace(found, spots=()))


def test_without_a_probe_or_an_oracle_there_is_no_matrix():
    records = answered(rows(20), 0.9, 0.9)
    with pytest.raises(DataError, match="need a probe's answers"):
        blind_spots([one for one in records if one.who != PROBE])
    with pytest.raises(DataError, match="need an oracle with controls"):
        blind_spots([one for one in records if one.who == PROBE])


def test_answers_that_cannot_be_judged_are_in_no_number():
    examples = rows(100)
    records = answered(examples, 0.9, 0.9)
    records = [
        replace(one, score=None)
        if one.who == ORACLE and one.control is None and one.example in examples[:40]
        else one
        for one in records
    ]
    [spot] = blind_spots(records).spots
    assert spot.oracle.score.num_answers == spot.gap.num_answers == 60
    assert spot.probe.score.num_answers == 100


def test_the_matrix_is_a_table_for_people_and_data_for_programs():
    names = {"mo|od": (0.9, 0.5), "calm": (0.9, 0.9)}
    records = [
        one
        for task, shares in names.items()
        for layers in ((4,), (2,))
        for one in answered(rows(400, task=task, layers=layers), *shares)
    ]
    found = blind_spots(records)
    lines = markdown(found).splitlines()
    assert lines[0] == "| concept | layers 2 | layers 4 |"
    assert lines[2] == r"| mo\|od | unread | unread |"
    assert lines[3] == "| calm | read | read |"
    details = [line for line in lines[4:] if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in details}) == 1
    held = json.loads(json.dumps(as_json(found)))
    assert [one["verdict"] for one in held["spots"]] == ["unread", "unread", "read", "read"]
    assert held["spots"][0]["probe"]["who"] == PROBE
    assert held["spots"][0]["is_settled"] is True
