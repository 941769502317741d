"""Probes: they read what is there, nothing that is not, and never the answer asked for."""

from dataclasses import replace

import pytest
import torch

from activation_oracles.baselines.probe import Probe, pooled, unknown
from activation_oracles.errors import DataError
from activation_oracles.types import Example

pytest.importorskip("sklearn")

WIDTH = 6


def made(number, answer, *, layers=(1,), question="Which?", task="colour"):
    return Example((number,) * 3, (1, 2), layers, question, answer, task, f"text {number}")


def read(examples):
    """Vectors whose first number, at the last position only, is the class drawn for the text."""
    vectors = []
    for one in examples:
        generator = torch.Generator().manual_seed(one.context[0])
        slots = torch.randn(len(one.layers), 2, WIDTH, generator=generator)
        slots[:, 1, 0] = 5.0 * (one.context[0] % 3)
        vectors.append(slots.flatten(0, 1))
    return vectors


COLOURS = ("red", "green", "blue")


def rows(numbers, **fields):
    return [made(number, COLOURS[number % 3], **fields) for number in numbers]


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_a_probe_reads_a_class_that_is_linear_in_what_it_sees(pool):
    probe = Probe("linear probe", read, pool).fit(rows(range(120)))
    unseen = rows(range(200, 260))
    right = [said == one.answer for said, one in zip(probe.answer(unseen), unseen, strict=True)]
    assert sum(right) / len(right) > 0.9


def test_neighbours_read_a_class_of_texts_that_are_alike_though_no_line_parts_it():
    corners = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])

    def crossed(examples):
        noise = torch.Generator().manual_seed(1)
        return [
            (corners[one.context[0] % 4] + 0.1 * torch.randn(2, generator=noise)).repeat(2, 1)
            for one in examples
        ]

    def asked(numbers):
        return [made(number, ("even", "odd")[number % 2]) for number in numbers]

    unseen = asked(range(200, 260))
    right = {}
    for kind in ("linear probe", "nearest neighbours"):
        said = Probe(kind, crossed).fit(asked(range(120))).answer(unseen)
        right[kind] = sum(a == one.answer for a, one in zip(said, unseen, strict=True)) / 60
    assert right["nearest neighbours"] > 0.95
    assert right["linear probe"] < 0.75


def test_a_probe_never_looks_at_the_answer_it_is_asked_for():
    probe = Probe("linear probe", read, "last").fit(rows(range(60)))
    unseen = rows(range(100, 130))
    lied = [replace(one, answer="Yes") for one in unseen]
    assert probe.answer(lied) == probe.answer(unseen)


def test_answers_that_are_not_in_the_activations_are_guessed():
    generator = torch.Generator().manual_seed(0)
    coins = torch.randint(2, (240,), generator=generator).tolist()
    examples = [made(number, ("heads", "tails")[coin]) for number, coin in enumerate(coins)]
    said = Probe("linear probe", read).fit(examples[:120]).answer(examples[120:])
    right = [text == one.answer for text, one in zip(said, examples[120:], strict=True)]
    assert 0.35 < sum(right) / len(right) < 0.65


def test_opposite_yes_or_no_questions_do_not_spoil_each_other():
    examples = [
        made(number, "Yes" if (number % 3 == 0) == positive else "No", question=question)
        for number in range(90)
        for question, positive in (("Is it red?", True), ("Is it not red?", False))
    ]
    probe = Probe("linear probe", read, "last").fit(examples[:120])
    right = [
        said == one.answer
        for said, one in zip(probe.answer(examples[120:]), examples[120:], strict=True)
    ]
    assert sum(right) / len(right) > 0.9


def test_each_choice_of_layers_has_a_probe_and_an_unknown_one_is_refused():
    probe = Probe("linear probe", read).fit(rows(range(30)) + rows(range(30), layers=(1, 2)))
    assert len(probe.answer(rows(range(40, 43)) + rows(range(40, 43), layers=(1, 2)))) == 6
    with pytest.raises(DataError, match="layers"):
        probe.answer(rows([50], layers=(0,)))
    with pytest.raises(DataError):
        Probe("linear probe", read).fit([])


def test_what_no_probe_could_answer_is_known_before_any_is_fitted():
    training = rows(range(30))
    strange = [*rows([50], layers=(0,)), made(51, "Yes", question="Is it new?")]
    assert unknown([*rows([40]), strange[0]], training) == [strange[0]]
    asked = made(52, "Yes", question="Is it red?")
    assert unknown([asked, strange[1]], [made(53, "No", question="Is it red?")]) == [strange[1]]


def test_one_answer_only_is_always_said():
    probe = Probe("linear probe", read).fit([made(number, "red") for number in range(8)])
    assert probe.answer([made(9, "blue")]) == ["red"]


def test_pooling_takes_layer_after_layer():
    vectors = torch.arange(8.0).reshape(4, 2)
    assert pooled(vectors, 2, "mean").tolist() == [1, 2, 5, 6]
    assert pooled(vectors, 2, "last").tolist() == [2, 3, 6, 7]
    assert pooled(vectors, 1, "last").tolist() == [6, 7]
