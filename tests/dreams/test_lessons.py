"""Lessons: what fooled an oracle is answered by what it really does."""

import pytest
import torch

from activation_oracles.dreams.attacks import Made
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.lessons import CANNOT_TELL, VECTORS, lessons
from activation_oracles.types import Activations

MOON = Concept(
    name="moon",
    question="What is the model thinking about?",
    answer="the moon",
    prompts=("What do you see?",),
    reply="The moon.",
    instead=("The mill.",),
    shown_by=("moon",),
)


def made(kind: str, seed: int = 0) -> Made:
    vector = Activations.own(torch.full((1, 4), float(seed)), layer=2, note=kind)
    return Made("moon", kind, vector, seed)


SOME = [made("normal", 1), made("red-team", 2), made("silent", 3), made("CAA", 0)]


def test_dreams_cannot_be_told_and_what_steers_is_told_however_silent():
    found = lessons(SOME, [MOON], layers=(2,))
    assert [one.answer for one in found.examples] == [
        CANNOT_TELL,
        CANNOT_TELL,
        "the moon",
        "the moon",
    ]


def test_what_was_measured_decides_where_it_was():
    steers = {("moon", "normal 1"): True, ("moon", "silent"): False}
    found = lessons(SOME, [MOON], layers=(2,), steers=steers)
    assert [one.answer for one in found.examples] == [
        "the moon",
        CANNOT_TELL,
        CANNOT_TELL,
        "the moon",
    ]


def test_every_layer_has_an_example_that_shows_its_own_row():
    found = lessons(SOME, [MOON], layers=(1, 3))
    assert [one.layers for one in found.examples] == [(1,), (3,)] * 4
    for one in found.examples:
        row = int(one.shown.removeprefix(f"own:{VECTORS}#"))
        assert found.vectors[row, 0] == SOME[row].seed
    assert {one.source for one in found.examples} == {
        *("moon/normal 1", "moon/red-team", "moon/silent", "moon/CAA")
    }


@pytest.mark.parametrize("layers", [(2,), (1, 2)])
def test_all_ask_the_concept_s_question(layers):
    assert {one.question for one in lessons(SOME, [MOON], layers=layers).examples} == {
        MOON.question
    }
