"""Concepts: what those that ship must fulfil, and what is no concept."""

from itertools import combinations

import pytest

from activation_oracles.dreams.concepts import GENERAL, Concept, checked, load_concepts
from activation_oracles.dreams.judging import named
from activation_oracles.errors import ConfigError, DataError
from activation_oracles.world import concepts as village

CONCEPTS = load_concepts(GENERAL)
SOME = {"name": "owl", "question": "What is it?", "answer": "owl", "prompts": ["Who?"]} | {
    "reply": "An owl.",
    "instead": ["A cat."],
    "shown_by": ["owl"],
}


@pytest.fixture(params=CONCEPTS, ids=lambda one: one.name)
def concept(request):
    return request.param


def words(text):
    return len(text.split())


def test_there_are_enough_concepts_and_the_published_ones_are_among_them():
    names = {one.name for one in CONCEPTS}
    assert len(names) == len(CONCEPTS) >= 40
    assert names >= {"bird", "man", "sycophantic", "dutch"}


def test_a_concept_is_shown_by_its_reply_and_by_nothing_else(concept):
    assert named([concept.reply], concept) == [1]
    for silent in (concept.instead, concept.prompts, concept.not_about):
        assert [text for text in silent if named([text], concept) == [1]] == []


def test_a_concept_can_be_told_by_what_it_says_and_not_by_how_long_it_takes(concept):
    assert len(set(concept.prompts)) >= 3
    assert len(set(concept.instead)) >= 3
    lengths = [words(one) for one in (concept.reply, *concept.instead)]
    assert max(lengths) - min(lengths) <= 2


def test_texts_about_a_concept_come_in_pairs_that_differ(concept):
    pairs = list(zip(concept.about, concept.not_about, strict=True))
    assert len(pairs) >= 6
    assert not set(concept.about) & set(concept.not_about)
    assert all(abs(words(one) - words(other)) <= 3 for one, other in pairs)
    assert concept.instruction


def test_concepts_of_one_question_differ_in_their_answers():
    for one, other in combinations(CONCEPTS, 2):
        assert (one.question, one.answer) != (other.question, other.answer)


@pytest.mark.parametrize("concept", village.concepts(), ids=lambda one: one.name)
def test_a_thing_of_the_village_is_shown_by_its_reply_alone(concept):
    assert named([concept.reply, *concept.instead], concept) == [1] + [0] * len(concept.instead)


def test_what_is_no_list_of_concepts_is_refused(tmp_path):
    path = tmp_path / "concepts.yaml"
    with pytest.raises(DataError, match="could be read"):
        load_concepts(path)
    path.write_text("just: one", encoding="utf-8")
    with pytest.raises(DataError, match="should be a YAML list"):
        load_concepts(path)
    path.write_text("- {name: owl}", encoding="utf-8")
    with pytest.raises(ConfigError, match="question"):
        load_concepts(path)
    [owl] = checked([Concept(**SOME)])
    with pytest.raises(DataError, match="owl"):
        checked([owl, owl])
    with pytest.raises(ConfigError, match="as many"):
        Concept(**SOME, about=("An owl.",))
