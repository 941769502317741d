"""A probe without training rows of its own is asked of units that it was not fitted to."""

from dataclasses import replace

import torch

from activation_oracles.baselines.cross_fitted import CrossFitted
from activation_oracles.baselines.probe import Probe
from activation_oracles.types import Example

LABELS = ("cold", "warm")


def rows(count, *, label=lambda number: LABELS[number % 2]):
    """Two rows of each text: its first and its second token."""
    return [
        Example((number,) * 4, (place,), (1,), "Which?", label(number), "t", f"text {number}")
        for number in range(count)
        for place in (0, 1)
    ]


def by_label(examples):
    """The label is the sign of one coordinate; the others are noise of the text's own."""
    found = []
    for one in examples:
        own = torch.Generator().manual_seed(one.context[0])
        vector = torch.randn(1, 6, generator=own)
        vector[0, 0] = 3.0 if one.answer == "warm" else -3.0
        found.append(vector)
    return found


def by_text(examples):
    """The text is plain to see, its label is not in it."""
    return [torch.eye(64)[one.context[0]][None] * 9 for one in examples]


def answerer(read):
    return CrossFitted(Probe("linear probe", read, "mean"), lambda one: one.source)


def test_what_is_linear_is_read_in_rows_that_nothing_was_fitted_to():
    asked = rows(24)
    assert answerer(by_label).answer(asked) == [one.answer for one in asked]


def test_a_probe_that_only_knows_texts_again_reads_nothing():
    # Each text has two rows: fitted to one of them, a probe would know the other.
    asked = rows(48, label=lambda number: LABELS[number * 7 % 5 > 2])
    said = answerer(by_text).answer(asked)
    right = sum(text == one.answer for text, one in zip(said, asked, strict=True)) / len(asked)
    majority = max(sum(one.answer == label for one in asked) for label in LABELS) / len(asked)
    assert right <= majority


def test_an_answer_that_no_other_unit_has_is_unscored_and_not_missed():
    asked = [*rows(12), *(replace(one, answer="hot") for one in rows(13)[24:])]
    said = answerer(by_label).answer(asked)
    assert said[-2:] == [None, None]
    assert None not in said[:-2]


def test_rows_of_one_unit_alone_are_not_answered():
    assert answerer(by_label).answer(rows(1)) == [None, None]


def test_a_yes_or_no_wording_that_stands_once_is_not_answered():
    asked = [replace(one, question=f"Is it {one.source}?", answer="Yes") for one in rows(6)]
    assert set(answerer(by_label).answer(asked)) == {None}
