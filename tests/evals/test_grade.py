"""Grades: what counts as the same answer, and what is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.evals.grade import contains, exact, plain, token_f1, yes_no

words = st.text(min_size=1, max_size=12).filter(lambda text: bool(plain(text)))


@given(words)
def test_an_answer_is_exactly_itself_in_any_case_and_with_an_end(word):
    assert exact(f" {word}. ", word) == exact(word.casefold(), word) == 1.0


@given(words)
def test_what_is_exact_is_contained(word):
    assert contains(f"I think: {word}!", word) == 1.0


@given(st.text(max_size=20))
def test_comparing_twice_changes_nothing(text):
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        ("The moon.", "moon", 1.0),
        ("moonlight", "moon", 0.0),
        ("a party", "art", 0.0),
        ("the  Old\nmill", "old mill", 1.0),
        ("c++ it is", "C++", 1.0),
        ("", "moon", 0.0),
        ("anything", "  ", None),
    ],
)
def test_contains_looks_for_whole_words(said, true, score):
    assert contains(said, true) == score


@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        ("Yes", "Yes", 1.0),
        ("yes, it is.", "Yes", 1.0),
        ("No!", "Yes", 0.0),
        ("Not at all", "No", None),
        ("nobody", "No", None),
        ("It is past tense", "Yes", None),
        ("", "No", None),
        ("Yes", "maybe", None),
    ],
)
def test_yes_no_reads_the_first_word_and_leaves_out_what_says_neither(said, true, score):
    assert yes_no(said, true) == score


def test_an_answer_with_more_words_is_not_exact():
    assert exact("the moon", "moon") == 0.0
    assert exact("anything", ".") is None


@given(words, words)
def test_shared_words_count_both_ways_alike(one, other):
    there, back = token_f1(one, other), token_f1(other, one)
    assert there == back or None in {there, back}


def test_shared_words_are_counted_in_any_order_and_not_twice():
    assert token_f1("the dog ran", "ran the dog") == 1.0
    assert token_f1("dog dog", "dog cat") == 0.5
    assert token_f1("a tree", "the moon") == 0.0
    assert token_f1("a tree", "...") is None
