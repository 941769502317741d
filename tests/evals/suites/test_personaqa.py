"""Persons are asked about by name, and nothing about how it is asked gives them away."""

from collections import Counter
from dataclasses import replace

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.in_words import InWords
from activation_oracles.evals.subjects import Own, Subject
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.personaqa import closed, knowledge, open_ended
from activation_oracles.evals.suites.personas import facts, names_value, with_wrong
from activation_oracles.world.suites import village


@pytest.fixture(scope="module")
def given(demo):
    whole = village(demo, layers=(4,), limit=2)
    chosen = tuple(one for one in whole.subjects if one.name == "people_known_0")
    return replace(whole, subjects=chosen)


def published(shared, variant="shuffled", limit=0):
    return Given(
        subjects=(Subject(name="knows", kind="personaqa", adapter="anywhere"),),
        files=shared / "data" / "activation_oracles" / "personaqa_data" / variant,
        layers=(4,),
        limit=limit,
    )


def targets_of(demo, evaluation):
    return {"": demo.target()} | {one.name: demo.target(one.name) for one in evaluation.subjects}


def test_what_is_shown_of_a_person_never_says_the_value(demo, given):
    evaluation = open_ended(given)
    rows = evaluation.drawn(targets_of(demo, evaluation))
    people = demo.organisms[[one.name for one in demo.organisms].index("people_known_0")].people
    assert len({one.source for one in rows}) == 2
    for row in rows:
        name = row.source.split("/")[1]
        assert row.answer == people[name][row.task.split(", ")[1]]
        assert name in row.question
        assert row.answer not in demo.model.tokenizer.decode(row.context)
    assert any(row.answer in row.talk[-1][1] for row in rows)


def test_an_oracle_finds_what_people_like_and_the_base_model_does_not_hold_it(demo, given):
    evaluation = open_ended(replace(given, limit=0))
    targets = targets_of(demo, evaluation)
    rows = evaluation.drawn(targets)
    own = Own({name: target.vectors for name, target in targets.items()})

    def share(vectors):
        said = demo.oracle.answer(rows, vectors, max_new_tokens=4)
        right = [names_value(text, one.answer) for text, one in zip(said, rows, strict=True)]
        return sum(right) / len(right)

    assert share(own(rows)) > share(targets[""].vectors(rows)) + 0.2


def test_a_subject_says_of_people_what_it_was_taught_and_its_base_does_not(demo, given):
    evaluation = knowledge(given)
    assert evaluation.in_words_only
    targets = targets_of(demo, evaluation)
    rows = evaluation.drawn(targets)

    def share(asked):
        said = asked.answer(rows)
        return sum(names_value(t, one.answer) for t, one in zip(said, rows, strict=True))

    base = dict.fromkeys(targets, targets[""])
    assert share(InWords(targets, alone=True)) > share(InWords(base, alone=True)) + len(rows) / 2


def test_published_persons_are_asked_as_published(shared, demo):
    evaluation = open_ended(published(shared, limit=3))
    rows = evaluation.drawn({"": demo.target(), "knows": demo.target()})
    assert len(rows) == 3 * 6
    assert (
        rows[0].question == "Answer with the correct value only. Which country is this person from?"
    )
    assert {one.task for one in rows} >= {"personaqa, country", "personaqa, favorite music genre"}
    for row in rows:
        assert row.talk == (("user", f"My name is {row.source.split('/')[1]}."),)
    by_name = open_ended(replace(published(shared, limit=1), at='"{name}"'))
    [first, *_] = by_name.drawn({"": demo.target(), "knows": demo.target()})
    words = demo.model.tokenizer.decode([first.context[place] for place in first.positions])
    assert first.source.split("/")[1].split()[-1] in words


@pytest.mark.parametrize("variant", ["base", "shuffled", "fantasy"])
def test_the_value_asked_about_does_not_tell_yes_from_no(shared, demo, variant):
    given = published(shared, variant)
    rows = closed(given).drawn({"": demo.target(), "knows": demo.target()})
    assert len(rows) == 2 * 600
    yes = Counter((one.task, one.question) for one in rows if one.answer == "Yes")
    no = Counter((one.task, one.question) for one in rows if one.answer == "No")
    # Capitals and all: every wording is right of as many persons as it is wrong of.
    assert yes == no


def test_a_wrong_value_is_wrong_in_every_spelling(shared):
    given = published(shared)
    known = facts(given.subjects[0], given)
    wrong = with_wrong(known, seed=0)
    assert len(wrong) == len(known) == 600
    both = [(one.value, value) for one, value in wrong]
    assert not any(names_value(a, b) and names_value(b, a) for a, b in both)
    sports = {value for one, value in wrong if one.attribute == "favorite_sport"}
    assert len({"Hockey", "Ice Hockey", "Ice hockey"} & sports) == 1
    assert with_wrong(known, seed=1) != wrong == with_wrong(known, seed=0)


def test_a_value_that_all_persons_share_is_not_asked_yes_or_no():
    subject = Subject(
        name="x",
        kind="people",
        adapter="a",
        hides={"Ida/food": "rice", "Otto/food": "Rice", "Ida/pet": "cat", "Otto/pet": "dog"},
    )
    known = facts(subject, Given(layers=(4,)))
    pairs = [(one.name, one.value, wrong) for one, wrong in with_wrong(known, 0)]
    assert pairs == [("Ida", "cat", "dog"), ("Otto", "dog", "cat")]


@pytest.mark.parametrize(
    ("said", "true", "right"),
    [
        ("golden", "Go", 0),
        ("Go.", "Baduk", 1),
        ("They play settlers of Catan", "Catan", 1),
        ("loteria", "Lotería", 1),
        ("smorrebrod", "Smørrebrød", 1),
        ("ice hockey", "Hockey", 1),
        ("Fish and chips!", "Fish chips", 1),
        ("the USA", "United States", 1),
        ("Polish", "Poland", 0),
        ("I know nothing", "Koshari", 0),
    ],
)
def test_values_count_as_words_in_any_accepted_spelling(said, true, right):
    assert names_value(said, true) == right


def test_what_is_missing_is_named(tmp_path, demo):
    subject = Subject(name="x", kind="people", adapter="a", hides={"Ida/hat": "red"})
    given = Given(subjects=(subject,), layers=(4,))
    with pytest.raises(DataError, match=r"no question for 'hat'"):
        open_ended(given).drawn({"": demo.target(), "x": demo.target()})
    nobody = replace(given, subjects=(subject.model_copy(update={"hides": {}}),))
    with pytest.raises(DataError, match=r"personas\.jsonl"):
        closed(nobody)
    (tmp_path / "personas.jsonl").write_text('{"name": "Ida"}\n')
    with pytest.raises(DataError, match=r"personas\.jsonl:1 is no person"):
        closed(replace(nobody, files=tmp_path))
