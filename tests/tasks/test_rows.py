"""A sequence of examples on disk is the sequence of examples."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activation_oracles.errors import DataError
from activation_oracles.tasks import rows
from activation_oracles.tasks.rows import from_parquet, joined, spooled
from activation_oracles.types import Example

RELAXED = settings(deadline=None, max_examples=50)
WORDS = st.text(max_size=12)
PLAIN = st.lists(
    st.tuples(
        st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5),
        st.lists(st.integers(0, 90), min_size=1, max_size=3),
        st.text(min_size=1, max_size=12),
        WORDS,
    ),
    max_size=12,
)


def made(plain):
    return [
        Example(tuple(context), (0, len(context) - 1), tuple(layers), question, said, said, "")
        for context, layers, question, said in plain
    ]


@RELAXED
@given(PLAIN)
def test_what_was_put_in_comes_out_in_order(plain):
    examples = made(plain)
    held = spooled(iter(examples))
    assert len(held) == len(examples)
    assert list(held) == examples
    assert [held[index] for index in range(-len(examples), 0)] == examples
    assert list(held[1:-1]) == examples[1:-1]


@RELAXED
@given(PLAIN, PLAIN, st.integers(0, 99))
def test_joined_and_picked_rows_are_those_of_lists(plain, more, seed):
    some, others = made(plain), made(more)
    order = list(range(len(some) + len(others)))
    Random(seed).shuffle(order)
    both = joined([spooled(some), spooled(others)])
    assert list(both) == some + others
    assert list(both.picked(order).picked(order[::-1])) == [
        (some + others)[order[index]] for index in order[::-1]
    ]


def test_rows_of_many_chunks_are_found(monkeypatch):
    monkeypatch.setattr(rows, "ROWS_PER_CHUNK", 3)
    examples = [
        Example((number,), (0,), (1,), f"{number}?", "", "", str(number)) for number in range(11)
    ]
    held = spooled(examples)
    assert list(held) == examples
    assert [held[index] for index in (10, 0, 3, 2)] == [examples[i] for i in (10, 0, 3, 2)]


def test_a_number_outside_the_rows_is_an_index_error():
    with pytest.raises(IndexError):
        spooled([])[0]


def test_another_file_than_one_of_examples_is_refused(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="not a file of examples"):
        from_parquet(tmp_path / "train.parquet")
