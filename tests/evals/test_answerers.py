"""What is shown in place of a reading: as long, as many, and of another text."""

from dataclasses import replace

import torch

from activation_oracles.evals.answerers import (
    Donors,
    Lent,
    RandomDirections,
    Remembering,
    Shown,
)
from activation_oracles.evals.evaluation import judged
from activation_oracles.evals.grade import exact
from activation_oracles.types import Example


def example(number, positions=(0, 1), layers=(1, 3)):
    return Example((number,) * 9, tuple(positions), layers, "Which?", "red", "t", f"text {number}")


def read(examples):
    """Each vector holds its text's number, its layer and its position."""
    return [
        torch.tensor(
            [[one.context[0], layer, at, 1.0] for layer in one.layers for at in one.positions]
        )
        for one in examples
    ]


def test_random_directions_keep_every_length_and_differ_between_examples():
    examples = [example(3), example(3), example(4)]
    shown = RandomDirections(read)(examples)
    for ours, theirs in zip(shown, read(examples), strict=True):
        assert torch.allclose(ours.norm(dim=-1), theirs.norm(dim=-1))
        assert not torch.allclose(ours, theirs)
    assert not torch.allclose(shown[0], shown[1])
    assert torch.equal(shown[2], RandomDirections(read)(examples)[2])


def test_a_donor_is_another_text_at_the_same_layers():
    examples = [example(number) for number in range(5)] + [example(9, layers=(2, 3))] * 2
    shown = Donors(read)(examples[:5])
    for one, vectors in zip(examples, shown, strict=False):
        assert (vectors[:, 0] != one.context[0]).all()
        assert vectors[:, 1].tolist() == [1, 1, 3, 3]


def test_a_donor_shows_as_many_vectors_as_are_asked_for():
    examples = [example(0, range(5)), example(1, range(2))]
    many, few = Donors(read)(examples)
    assert many[:, 2].tolist() == [0, 1, 0, 1, 0] * 2
    assert few[:, 2].tolist() == [3, 4] * 2


def test_where_no_text_may_lend_the_donor_is_not_asked_and_nothing_is_wrong():
    def say(examples, vectors):
        return [f"of {int(shown[0, 0])}" for shown in vectors]

    red = [example(number) for number in range(3)]
    blue = replace(example(7), answer="blue")
    alone = Lent("oracle", "donor", Donors(read), say)
    differ = Lent("oracle", "donor", Donors(read, other_answer=True), say)
    assert alone.answer(red[:1]) == [None]
    assert differ.answer(red) == [None] * 3
    assert differ.answer([*red, blue])[:3] == ["of 7"] * 3
    records = judged(red, differ, exact)
    assert [(one.text, one.score) for one in records] == [("", None)] * 3


def test_what_was_read_once_is_not_read_again():
    calls = []

    def counted(examples):
        calls.append(len(examples))
        return read(examples)

    remembering = Remembering(counted)
    examples = [example(0), example(1), example(0)]
    first, again = remembering(examples), remembering(examples[:2])
    assert calls == [2]
    assert all(torch.equal(a, b) for a, b in zip(first, [*again, first[0]], strict=True))


def test_an_answerer_says_what_it_is_shown():
    def say(examples, vectors):
        return [
            f"{one.question} {int(shown[0, 0])}"
            for one, shown in zip(examples, vectors, strict=True)
        ]

    assert Shown("echo", None, read, say).answer([example(7)]) == ["Which? 7"]
