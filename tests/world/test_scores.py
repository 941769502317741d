"""The table's arithmetic, on answers made by hand."""

from activation_oracles.types import Example
from activation_oracles.world.conditions import Said
from activation_oracles.world.interviews import Query, donors
from activation_oracles.world.language.scene import Message
from activation_oracles.world.scores import table


def said(unit, answer, heard, task="taboo", condition="read"):
    example = Example((1, 2), (0,), (4,), "What?", answer, task, unit)
    query = Query(f"taboo_{unit}", task, unit, (Message("user", "Hello"),), example)
    return Said(query, condition, heard, float(answer == heard))


def test_a_word_counts_as_found_where_most_queries_name_it():
    answers = [said("moon", "moon", heard) for heard in ("moon", "star", "moon")]
    answers += [said("ship", "ship", heard) for heard in ("boat", "ship", "boat")]
    by_query, by_word = table(answers)
    assert (by_query.score, by_query.n, by_query.num_units) == (0.5, 6, 2)
    assert (by_word.score, by_word.n) == (0.5, 2)


def test_both_classes_of_a_persona_have_rows_of_their_own():
    task = "persona, in the advice"
    rows = table([said("a", "evil", "evil", task), said("b", "good", "evil", task)])
    assert {row.task: row.score for row in rows} == {
        task: 0.5,
        f"{task}: evil": 1.0,
        f"{task}: good": 0.0,
    }


def test_chance_for_people_is_the_best_constant_guess_per_attribute():
    task = "people, about to use it"
    foods = [said(str(n), food, "", task) for n, food in enumerate(("soup", "soup", "cake"))]
    (row,) = table(foods)
    assert row.chance == round(2 / 3, 4)


def test_a_donor_lends_activations_about_something_else():
    queries = [said(word, word, "").query for word in ("moon", "moon", "ship")]
    lent = donors(queries)
    assert all(a.example.answer != b.example.answer for a, b in zip(queries, lent, strict=True))
