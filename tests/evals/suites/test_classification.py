"""Texts are asked about by which tokens are read, at which layer, and by whether it was trained."""

from dataclasses import fields, replace

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.classification import SEGMENT, classification, context
from activation_oracles.tasks.store import Manifest, write
from activation_oracles.types import Example
from activation_oracles.world.suites import village


@pytest.fixture(scope="module")
def given(demo):
    whole = village(demo, layers=(2, 4), limit=8)
    kept = ("polite", "edible", "context")
    some = [one for one in whole.examples() if one.task.endswith(kept)]
    return replace(whole, examples=lambda: some)


def test_each_text_is_read_in_every_way_and_never_behind_its_end(demo, given):
    evaluation = classification(given)
    rows = evaluation.drawn({"": demo.target()})
    ways = [
        f"{c}, {n}"
        for c in ("token", "segment", "all")
        for n in ("layer 2", "layer 4", "layers 2+4")
    ]
    assert {one.task for one in rows} == {
        f"{where}, {way}"
        for where in ("in distribution: polite", "out of distribution: edible")
        for way in ways
    }
    assert len(rows) == 2 * len(ways) * 8
    for one in rows:
        last = len(one.context) - 1
        count = {"token": 1, "segment": SEGMENT, "all": last + 1}[one.task.split(", ")[1]]
        assert one.positions == tuple(range(last + 1))[-count:]
        assert evaluation.choices[one.task] == ("No", "Yes")
    token = [one for one in rows if one.task == "in distribution: polite, token, layer 2"]
    assert {one.answer for one in token} == {"Yes", "No"}
    assert {one.layers for one in rows} == {(2,), (4,), (2, 4)}


def test_an_oracle_reads_more_of_a_whole_text_than_of_a_token(demo, given):
    evaluation = classification(replace(given, layers=(4,)))
    targets = {"": demo.target()}
    share = {}
    for choice in ("token", "all"):
        rows = [
            one
            for one in evaluation.drawn(targets)
            if one.task == f"in distribution: polite, {choice}, layer 4"
        ]
        said = demo.oracle.answer(rows, targets[""].vectors(rows), max_new_tokens=3)
        right = [evaluation.grade(text, one.answer) for text, one in zip(said, rows, strict=True)]
        share[choice] = sum(right) / len(right)
    assert share["all"] > 0.7
    assert share["all"] >= share["token"]


def test_windows_are_asked_for_at_each_layer_and_not_in_words(demo, given):
    evaluation = context(given)
    rows = evaluation.drawn({"": demo.target()})
    assert {one.task for one in rows} == {
        f"in distribution: context, {way}" for way in ("layer 2", "layer 4", "layers 2+4")
    }
    assert len(rows) == 3 * 8
    assert not any(one.talk for one in rows)
    assert not evaluation.choices
    assert evaluation.grade("the old mill", "the mill") == 0.8


def test_examples_of_a_folder_are_read_by_task(demo, given, tmp_path):
    names = [one.name for one in fields(Example)]
    some = [
        Example(**{name: getattr(one, name) for name in names} | {"task": one.task.split("/")[-1]})
        for one in given.examples()
    ]
    write(
        tmp_path,
        {"train": some[:1], "held_out": some},
        Manifest(seed=0, command="none", tokenizer="none"),
    )
    mine = Given(files=tmp_path, layers=(4,), trained=("edible",), limit=2)
    rows = classification(mine).drawn({"": demo.target()})
    tasks = {one.task.split(",")[0] for one in rows}
    assert tasks == {"in distribution: edible", "out of distribution: polite"}
    assert len(rows) == 2 * 3 * 2
    # What was said is known where a text is one; its words serve where it is not.
    assert all(one.talk[0][0] == "user" and one.talk[0][1] for one in rows)


def test_texts_that_are_not_there_are_asked_for(tmp_path, given):
    with pytest.raises(DataError, match="as `files`"):
        classification(Given(layers=(4,)))
    only = replace(
        given, examples=lambda: [one for one in given.examples() if one.task == "context"]
    )
    with pytest.raises(DataError, match=r"None of the tasks \['context'\]"):
        classification(only)
