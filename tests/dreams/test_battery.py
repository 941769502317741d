"""The battery: what it makes, what it measures, and that its numbers hang together."""

import pytest
import torch

from activation_oracles.dreams.attacks import CAA, KINDS, MEAN, NORMAL, SILENT, AttackConfig, make
from activation_oracles.dreams.battery import Battery, BatteryConfig
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.dream import DreamConfig
from activation_oracles.dreams.effect import Damage, Doses, Neutral, repetition, strongest
from activation_oracles.errors import DataError

NEUTRAL = Neutral(("The old mill stands by the river.",), ("How are you?", "What is it?"))
WORDS = ("mill", "river", "moon")
DOSES = Doses(strengths=(-1, -0.5, 0.5, 1), max_new_tokens=4, perplexity=50, repetition=1)


def concept(word: str) -> Concept:
    others = [one for one in WORDS if one != word]
    return Concept(
        name=word,
        question="What is the model thinking about?",
        answer=word,
        prompts=("What do you see?", "What is there?"),
        reply=f"The {word} is there.",
        instead=tuple(f"The {one} is there." for one in others),
        shown_by=(word,),
        about=(f"The old {word}.", f"I like the {word}."),
        not_about=(f"The old {others[0]}.", f"I like the {others[1]}."),
    )


CONCEPTS = tuple(map(concept, WORDS))
CONFIG = BatteryConfig(
    attack=AttackConfig(layer=1, search=DreamConfig(steps=3)), doses=DOSES, randoms=5, layers=(2,)
)


@pytest.fixture(scope="module")
def made(oracle, target):
    return make(oracle, target, CONCEPTS, NEUTRAL, CONFIG.attack)


@pytest.fixture(scope="module")
def measured(oracle, other_oracle, target, made):
    oracles = {"one": oracle, "two": other_oracle}
    judges = {"length": lambda texts, _: [float(len(text) > 3) for text in texts]}
    return Battery(oracles, target, CONCEPTS, NEUTRAL, CONFIG).measure(made, judges)


def test_every_concept_gets_every_kind_and_two_seeds_of_the_normal_one(made):
    for name in WORDS:
        kinds = [one.kind for one in made if one.concept == name]
        assert sorted(set(kinds)) == sorted(KINDS)
        assert kinds.count(NORMAL) == 2
    first, second = (
        one.vector.vectors for one in made if one.concept == "moon" and one.kind == NORMAL
    )
    assert not torch.equal(first, second)


def test_further_directions_from_contrast_are_of_half_the_texts_each(oracle, target, made):
    texts = {"about": [f"the {word} shines" for word in WORDS] * 2, "not_about": ["it", "he", "we"]}
    concept = CONCEPTS[0].model_copy(update=texts)
    config = AttackConfig(layer=2, kinds=(CAA, MEAN), contrasts=3)
    several = make(oracle, target, [concept], NEUTRAL, config)
    assert [one.name for one in several if one.kind == MEAN] == [MEAN, f"{MEAN} 1", f"{MEAN} 2"]
    (alone, _) = make(
        oracle, target, [concept], NEUTRAL, config.model_copy(update={"contrasts": 1})
    )
    assert torch.equal(alone.vector.vectors, several[0].vector.vectors), "the first is of all texts"
    notes = [one.vector.provenance.history[0] for one in several if one.kind == CAA]
    assert [note.split(",")[0] for note in notes] == [
        f"own vectors: {len(texts['about'])} texts minus 3",
        *[f"own vectors: {len(texts['about']) // 2} texts minus 2"] * 2,
    ]
    again = make(oracle, target, [concept], NEUTRAL, config)
    for one, other in zip(several, again, strict=True):
        assert torch.equal(one.vector.vectors, other.vector.vectors)
    assert not torch.equal(several[1].vector.vectors, several[2].vector.vectors)


def test_what_else_is_attacked_changes_no_vector(oracle, target, made):
    alone = make(oracle, target, CONCEPTS[:1], NEUTRAL, CONFIG.attack)
    first = next(one for one in made if one.concept == "mill" and one.kind == NORMAL)
    again = next(one for one in alone if one.kind == NORMAL)
    torch.testing.assert_close(first.vector.vectors, again.vector.vectors, atol=1e-4, rtol=0)


def test_effects_are_what_a_strength_adds(measured):
    assert len(measured.effects) == len(WORDS) * (len(KINDS) + 1)
    for one in measured.effects:
        before = measured.unsteered[one.concept].chosen
        after = one.chosen[one.strength] if one.strength else before
        assert one.effect == pytest.approx(after - before, abs=1e-5)
        assert one.ahead.chosen == pytest.approx(after, abs=1e-5)
        assert set(one.believed) == {"one", "two", "one, layer 2", "two, layer 2"}


def test_a_p_value_counts_randoms_and_shuffled_vectors(measured):
    for name, grid in measured.shuffled.items():
        for column, word in enumerate(WORDS):
            [own] = [one for one in measured.effects if (one.name, one.concept) == (name, word)]
            nulls = [row[column] for row in measured.randoms]
            nulls += [row[column] for at, row in enumerate(grid) if at != column]
            as_much = sum(value >= own.effect for value in nulls)
            assert own.p_value == pytest.approx((1 + as_much) / (1 + len(nulls)))
            assert grid[column][column] == pytest.approx(own.effect)


def test_asking_in_words_is_measured_like_a_vector(measured):
    assert set(measured.instructed) == set(WORDS)
    apart = [measured.instructed[w].chosen - measured.unsteered[w].chosen for w in WORDS]
    assert all(apart), "the request changes what is said"


def test_vectors_of_a_kind_that_leave_a_concept_out_are_refused(oracle, target, made):
    battery = Battery({"one": oracle}, target, CONCEPTS, NEUTRAL, CONFIG)
    with pytest.raises(DataError, match="for 2 concepts, expected one for each of 3"):
        battery.measure([one for one in made if (one.concept, one.kind) != ("moon", CAA)], {})


def test_a_concept_without_contrast_is_refused_before_anything_is_dreamt(oracle, target):
    bare = Concept(**{**CONCEPTS[0].model_dump(), "about": (), "not_about": ()})
    with pytest.raises(DataError, match="no texts `about`"):
        make(oracle, target, [bare], NEUTRAL, CONFIG.attack)


def test_the_strength_to_look_at_is_the_last_before_the_first_that_breaks():
    whole, broken = Damage(1.1, 0.0), Damage(9.0, 0.0)
    doses = Doses(strengths=(-1, -0.5, 0.5, 1, 2))
    held = {-1.0: broken, -0.5: broken, 0.5: whole, 1.0: broken, 2.0: whole}
    assert strongest(held, doses) == 0.5
    assert strongest(held, doses, sign=-1) == 0
    assert strongest({**held, 0.5: Damage(1.0, 0.3)}, doses) == 0, "repeating itself is damage, too"


def test_repetition_counts_word_pairs_that_were_said_before():
    assert repetition("it is it is it is") == pytest.approx(1 - 2 / 5)
    assert repetition("one two three") == repetition("one") == repetition("") == 0


@pytest.mark.slow
def test_in_the_village_contrast_steers_and_can_be_hidden_from_the_oracle(village):
    from activation_oracles.world.concepts import concepts, neutral

    chosen = concepts()[:8]
    calm = neutral(texts=6, prompts=3)
    config = BatteryConfig(attack=AttackConfig(layer=4, seeds=1))
    target = village.target()
    vectors = make(village.oracle, target, chosen, calm, config.attack)
    found = Battery({"oracle": village.oracle}, target, chosen, calm, config).measure(vectors, {})

    def mean(kind, value):
        of = [value(one) for one in found.effects if one.kind == kind]
        return sum(of) / len(of)

    assert mean(MEAN, lambda one: one.effect) > 0.08
    assert mean(SILENT, lambda one: one.effect) > 0.04
    assert mean(SILENT, lambda one: one.believed["oracle"]) < 0.02
    assert mean(NORMAL, lambda one: one.believed["oracle"]) > 0.9
