"""What all vectors of a battery look like: held against the right things, and kept as found."""

from statistics import fmean

import pytest

from activation_oracles.dreams.attacks import CAA, MEAN, NORMAL, AttackConfig, Made
from activation_oracles.dreams.battery import BatteryConfig
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.contrast import contrast
from activation_oracles.dreams.dream import noise
from activation_oracles.dreams.effect import Neutral
from activation_oracles.dreams.geometry import OPEN, beside
from activation_oracles.dreams.looks import by_kind, look
from activation_oracles.dreams.running import Run, look_at
from activation_oracles.errors import DataError
from activation_oracles.types import Activations

LAYER = 1
NEUTRAL = Neutral(("Anna likes green apples.",), ("How are you?",))
CONCEPTS = tuple(
    Concept(
        name=word,
        question="What is the model thinking about?",
        answer=word,
        prompts=("What is it?",),
        reply=f"The {word}.",
        instead=("The cup.",),
        shown_by=(word,),
        about=(f"The old {word}.", f"I like the {word}."),
        not_about=("The old cup.", "I like the cup."),
    )
    for word in ("mill", "moon")
)


@pytest.fixture(scope="module")
def made(target):
    drawn = noise(6, target.model.width, seed=3)
    found = []
    for place, concept in enumerate(CONCEPTS):
        for seed in range(3):
            vector = Activations.own(drawn[3 * place + seed][None], layer=LAYER, note="a test")
            found.append(Made(concept.name, NORMAL, vector, seed))
        for kind, positions in ((CAA, "last token"), (MEAN, "all")):
            texts = (concept.about, concept.not_about)
            vector = contrast(target, *texts, layer=LAYER, positions=positions)
            found.append(Made(concept.name, kind, vector))
    return found


@pytest.fixture(scope="module")
def oracles(oracle, other_oracle):
    return {"one": oracle, "two": other_oracle}


@pytest.fixture(scope="module")
def looks(made, target, oracles):
    return look(made, CONCEPTS, NEUTRAL, target, oracles, layers=(2,))


def test_every_vector_is_held_against_its_own_concept_s_rivals_and_never_itself(made, looks):
    vectors = {(one.concept, one.name): one.vector.vectors[0] for one in made}
    assert [(one.concept, one.name) for one in looks] == list(vectors)
    for one in looks:
        assert set(one.geometry.rivals) == {CAA, MEAN} - {one.name}
        for rival, seen in one.geometry.rivals.items():
            other = beside(vectors[one.concept, one.name], vectors[one.concept, rival])
            assert seen.cosine == pytest.approx(other.cosine, abs=1e-6)
            assert seen.overlap == other.overlap


def test_normal_dreams_of_a_concept_are_compared_in_all_pairs(made, looks):
    for concept in CONCEPTS:
        own = [one.vector.vectors[0] for one in made if one.concept == concept.name][:3]
        pairs = [beside(own[a], own[b]).cosine for a, b in ((0, 1), (0, 2), (1, 2))]
        for one in (one for one in looks if one.concept == concept.name):
            if one.name.startswith(NORMAL):
                assert one.geometry.seeds == pytest.approx((fmean(pairs), min(pairs), max(pairs)))
            else:
                assert one.geometry.seeds is None


def test_near_are_texts_of_the_concept_and_neutral_ones_at_the_attack_s_layer(looks):
    for one in looks:
        [concept] = [each for each in CONCEPTS if each.name == one.concept]
        texts = (*concept.about, *NEUTRAL.texts)
        for near in one.geometry.nearest:
            assert near.layer == LAYER
            assert any(near.text in text for text in texts)


def test_each_oracle_is_asked_freely_at_each_layer(looks):
    labels = ["one", "one, layer 2", "two", "two, layer 2"]
    for one in looks:
        assert list(one.geometry.said) == labels
        assert all(tuple(said) == OPEN for said in one.geometry.said.values())


def test_texts_are_read_once(made, target, oracle, monkeypatch):
    asked = []
    read = target.read
    monkeypatch.setattr(
        target, "read", lambda texts, **how: asked.append(texts) or read(texts, **how)
    )
    look(made, CONCEPTS, NEUTRAL, target, {"one": oracle})
    [texts] = asked
    assert sorted(texts) == sorted([*NEUTRAL.texts, *CONCEPTS[0].about, *CONCEPTS[1].about])


def test_a_kind_is_its_concepts_mean_with_an_interval_that_holds_it(looks):
    kinds = {one.name: one for one in by_kind(looks)}
    assert list(kinds) == ["normal 0", "normal 1", "normal 2", CAA, MEAN]
    for name, kind in kinds.items():
        own = [one.geometry for one in looks if one.name == name]
        for rival, mean in kind.cosines.items():
            assert mean.score == pytest.approx(fmean(one.rivals[rival].cosine for one in own))
            assert -1 <= mean.low <= mean.score <= mean.high <= 1
            overlap = fmean(one.rivals[rival].overlap for one in own)
            assert kind.overlaps[rival].score == pytest.approx(overlap)
        assert kind.kurtosis == pytest.approx(fmean(one.kurtosis for one in own))
    assert kinds[CAA].seeds is None
    assert kinds["normal 0"].seeds == kinds["normal 1"].seeds


def test_what_was_seen_is_kept_and_a_damaged_file_is_named(
    made, looks, target, oracles, tmp_path, monkeypatch
):
    config = BatteryConfig(attack=AttackConfig(layer=LAYER), layers=(2,))
    run = Run(oracles, target, CONCEPTS, NEUTRAL, config, {})
    assert look_at(run, tmp_path, made) == looks
    monkeypatch.setattr(
        "activation_oracles.dreams.running.look", lambda *_: pytest.fail("looked again")
    )
    assert look_at(run, tmp_path, made) == looks
    (tmp_path / "geometry.json").write_text("[1]")
    with pytest.raises(DataError, match=r"geometry\.json does not hold"):
        look_at(run, tmp_path, made)
