"""Grades: what counts as the same answer, and what is left out."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.errors import ConfigError
from activation_oracles.evals.grade import (
    _chrf_scorer,
    _rouge_scorer,
    check_grades,
    chrf,
    contains,
    exact,
    plain,
    rouge_l,
    token_f1,
    yes_no,
)

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


@pytest.fixture
def overlap():
    """Skip where the libraries of ROUGE-L and chrF are missing, as `make test` has them."""
    pytest.importorskip("rouge_score", reason="rouge-score is not installed (extra `eval`)")
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed (extra `eval`)")


@pytest.mark.usefixtures("overlap")
@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        # In one order they share one stem alone: of three words said, of four true ones.
        ("the cats sat", "cats sitting on the", 2 * (1 / 3) * (1 / 4) / (1 / 3 + 1 / 4)),
        ("sitting cats", "cat sits", 0.5),
        ("cats sitting", "cat sits", 1.0),
        ("The MOON!", "the moon", 1.0),
        ("", "moon", 0.0),
        ("anything", "月", None),
        ("anything", " ", None),
    ],
)
def test_rouge_l_counts_stems_in_one_order(said, true, score):
    assert rouge_l(said, true) == (None if score is None else pytest.approx(score))


def by_hand(said, true):
    """Return chrF2 of two texts without spaces in between, of at least six characters."""
    parts = []
    for order in range(1, 7):
        ours, theirs = (
            [text[at : at + order] for at in range(len(text) - order + 1)] for text in (said, true)
        )
        shared = sum(min(ours.count(one), theirs.count(one)) for one in set(ours))
        parts.append((shared / len(ours), shared / len(theirs)))
    precision, recall = (sum(one) / 6 for one in zip(*parts, strict=True))
    return 5 * precision * recall / (4 * precision + recall) if shared else None


@pytest.mark.usefixtures("overlap")
def test_chrf_is_what_its_definition_gives_and_reaches_from_0_to_1():
    assert chrf("moonlight", "moonlit") == pytest.approx(by_hand("moonlight", "moonlit"), abs=0.02)
    assert chrf("underneath", "underneathe") == pytest.approx(
        by_hand("underneath", "underneathe"), abs=1e-6
    )
    assert chrf("a moon", "a moon") == pytest.approx(1)
    assert chrf("", "moon") == chrf("xyz", "moon") == 0
    assert chrf("moon", "...") is None


@pytest.mark.usefixtures("overlap")
@given(words, words)
def test_overlaps_lie_between_0_and_1(said, true):
    for rule in (rouge_l, chrf):
        score = rule(said, true)
        assert score is None or 0 <= score <= 1


def test_without_their_libraries_overlaps_name_the_extra_and_what_is_no_rule_is_named(monkeypatch):
    for scorer, module in (
        (_rouge_scorer, "rouge_score.rouge_scorer"),
        (_chrf_scorer, "sacrebleu.metrics"),
    ):
        scorer.cache_clear()
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("rouge_l", "chrf"):
        with pytest.raises(ConfigError, match=r"activation-oracles\[eval\]"):
            check_grades([name])
    check_grades(["exact"])
    with pytest.raises(ConfigError, match="no rule"):
        check_grades(["bleu"])
