"""Depths: one layer is chosen on half of the texts, and judged on the other."""

from dataclasses import dataclass, replace
from random import Random

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals import depth
from activation_oracles.evals.depth import ask_by_depth, compare_depths, layer_sets
from activation_oracles.evals.depth_table import conclusions, markdown, told
from activation_oracles.evals.grade import exact
from activation_oracles.types import Example

SETS = [(0,), (1,), (2,), (3,)]


@dataclass
class Reads:
    """Is right about a share of the texts that depends on the layer alone."""

    shares: dict
    control: str | None = None
    name: str = "oracle"

    def answer(self, examples):
        return [one.answer if self._is_right(one) else "wrong" for one in examples]

    def _is_right(self, one):
        # One draw a text, so that a layer that is as good is right about the same ones.
        drawn = Random(f"{one.source} {self.control}").random()
        return drawn < self.shares.get(one.layers, 0.2)


def example(number, task="colour"):
    return Example((number, 1, 2), (2,), (9,), "Which?", "red", task, f"text {number}")


def records(shares, *, count=60, controls=(0.2, 0.2), sets=SETS):
    """Return the answers of someone who is right as often as `shares` say, and of two controls."""
    answerers = [
        Reads(shares),
        Reads(dict.fromkeys(sets, controls[0]), "nothing"),
        Reads(dict.fromkeys(sets, controls[1]), "random"),
    ]
    return ask_by_depth([example(n) for n in range(count)], sets, lambda _: answerers, exact)


def test_the_layer_that_reads_is_recommended_and_judged_on_other_texts():
    found = compare_depths(records({(2,): 0.9}))
    assert found.recommended == (2,)
    assert [row.layers for row in found.rows] == SETS
    assert [row.is_worse for row in found.rows] == [True, True, False, True]
    chosen_on, judged_on = (one.score.num_units for one in (found.rows[2], found.confirmed))
    assert chosen_on + judged_on == 60
    assert found.confirmed.advantage.low > 0


def test_what_the_other_half_says_has_no_part_in_the_choice():
    answered = records({(1,): 0.9, (2,): 0.7})
    before = compare_depths(answered, seed=3)
    chosen_on, _ = depth._halves([one.example for one in answered], lambda one: one.source, 3)
    kept = {one.source for one in chosen_on}
    turned = [
        one if one.example.source in kept else replace(one, score=1 - one.score) for one in answered
    ]
    after = compare_depths(turned, seed=3)
    assert (after.rows, after.recommended) == (before.rows, before.recommended)
    assert after.confirmed != before.confirmed


def test_a_trained_layer_is_preferred_among_those_that_are_not_told_apart():
    close = {(1,): 0.85, (3,): 0.9}
    assert compare_depths(records(close)).recommended == (3,)
    found = compare_depths(records(close), trained=[(0,), (1,)])
    assert found.recommended == (1,)
    assert found.confirmed.is_trained
    assert "is that of layer 3; 1 is not told apart" in " ".join(conclusions(found))


def test_a_layer_that_was_not_trained_on_is_recommended_where_it_is_told_apart():
    found = compare_depths(records({(1,): 0.5, (3,): 0.95}, count=120), trained=[(1,)])
    assert found.recommended == (3,)
    assert "not trained on" in " ".join(conclusions(found))


def test_where_no_layer_beats_its_controls_none_is_recommended():
    found = compare_depths(records({(2,): 0.9}, controls=(0.1, 0.9)), trained=[(2,)])
    assert (found.recommended, found.confirmed) == ((), None)
    assert conclusions(found)[0].startswith("No layer is recommended")


def test_an_advantage_is_over_the_best_control_of_the_layer():
    answerers = [
        Reads({(0,): 0.9, (1,): 0.9}),
        Reads({(0,): 0.7}, "nothing"),
        Reads({(1,): 0.6}, "random"),
    ]
    examples = [example(n) for n in range(80)]
    found = compare_depths(ask_by_depth(examples, SETS[:2], lambda _: answerers, exact))
    assert [row.control for row in found.rows] == ["nothing", "random"]
    for row in found.rows:
        difference = row.score.score - row.control_score.score
        assert row.advantage.score == pytest.approx(difference)


def test_every_task_is_in_both_halves():
    examples = [example(n, f"task {n % 3}") for n in range(30)]
    halves = depth._halves(examples, lambda one: one.source, 0)
    for half in halves:
        assert [sum(one.task == f"task {n}" for one in half) for n in range(3)] == [5, 5, 5]
    assert not {one.source for one in halves[0]} & {one.source for one in halves[1]}


def test_every_question_is_asked_at_every_layer_once_whatever_layers_it_names(monkeypatch):
    monkeypatch.setattr(depth, "SLOTS_PER_PART", 6)
    examples = [replace(example(n), layers=(layer,)) for n in range(5) for layer in (1, 2)]
    parts = []

    def answerers(number):
        parts.append(number)
        return [Reads({}), Reads({}, "nothing"), Reads({}, "random")]

    found = ask_by_depth(examples, [(0,), (1, 3)], answerers, exact)
    asked = [(one.example.source, one.example.layers) for one in found if one.control is None]
    assert sorted(asked) == [(f"text {n}", layers) for n in range(5) for layers in ((0,), (1, 3))]
    # Three vectors an example, six at once: two texts a part.
    assert parts == [0, 1, 2]


def test_too_few_texts_are_refused():
    with pytest.raises(DataError, match="at least 10"):
        compare_depths(records({(2,): 0.9}, count=9))
    with pytest.raises(DataError, match="no examples"):
        ask_by_depth([], SETS, lambda _: [], exact)


def test_by_default_all_blocks_of_a_small_model_are_looked_at_and_a_dozen_of_a_deep_one():
    trained = [(2,), (2, 4, 6)]
    assert layer_sets((), 8, trained) == [*((n,) for n in range(8)), (2, 4, 6)]
    deep = layer_sets((), 80, trained)
    assert {(0,), (79,), *trained} <= set(deep)
    assert len(deep) == 14
    assert len(layer_sets(("all",), 80, trained)) == 81
    many = [(n, n + 1) for n in range(70)]
    assert all(len(one) == 1 for one in layer_sets((), 80, many))
    assert layer_sets(("5", "2+4"), 8) == [(5,), (2, 4)]


@pytest.mark.parametrize("wanted", [("8",), ("-1",), ("x",), ("1", "1"), ("2+2",), ("1", "all")])
def test_layers_that_are_none_are_refused(wanted):
    with pytest.raises(ConfigError, match="Layers"):
        layer_sets(wanted, 8)


def test_the_table_shows_every_layer_with_its_control_and_depth():
    found = compare_depths(records({(2,): 0.9}), trained=[(2,)])
    lines = markdown(found, 8).splitlines()
    assert len(lines) == 2 + len(SETS)
    assert lines[4].startswith("| 2 | 25 % | yes |")
    assert len({line.count("|") for line in lines}) == 1
    assert "had no part in the choice" in told(found, 8, ["- seed: 0"])


def test_an_advantage_that_the_other_half_does_not_show_is_not_hidden():
    answered = records({(2,): 0.9})
    chosen_on, _ = depth._halves([one.example for one in answered], lambda one: one.source, 0)
    kept = {one.source for one in chosen_on}
    lost = [
        one if one.example.source in kept or one.control else replace(one, score=0.0)
        for one in answered
    ]
    found = compare_depths(lost)
    assert found.recommended == (2,)
    assert any("not shown" in line for line in conclusions(found))


def test_a_layer_of_uncertain_advantage_does_not_hide_one_that_is_certain():
    row = compare_depths(records({(2,): 0.9})).rows[2]
    doubtful = replace(row, layers=(0,), advantage=replace(row.advantage, score=0.99, low=-0.1))
    assert depth._best([doubtful, row]) == row
    assert depth._best([doubtful]) == doubtful
    assert depth._recommended([doubtful], doubtful) == ()
