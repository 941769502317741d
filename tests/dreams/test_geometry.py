"""What a vector looks like: each figure against another way to get it, and what is no vector."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch

from activation_oracles.dreams.dream import noise
from activation_oracles.dreams.geometry import (
    OPEN,
    Around,
    Asked,
    beside,
    geometries,
    geometry,
    nearest,
)
from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.types import Activations

TEXT = "The old mill stands by the river."


def own(vector, layer=2):
    return Activations.own(vector[None], layer=layer, note="a test")


@pytest.fixture
def vector(oracle):
    return noise(1, oracle.model.width, seed=0)[0]


def test_a_vector_is_like_itself_against_its_negative_and_beside_another():
    one, other = torch.zeros(32), torch.zeros(32)
    one[:4], other[2:6] = torch.tensor([4.0, 3, 2, 1]), torch.tensor([0, 0, 5.0, -5])
    assert (beside(one, 3 * one).cosine, beside(one, one).overlap) == (pytest.approx(1), 1)
    assert (beside(one, -one).cosine, beside(one, -one).overlap) == (pytest.approx(-1), 1)
    assert beside(one, other).cosine == 0
    assert beside(one, one.roll(2)).overlap == 0.5


def test_chance_is_how_far_random_directions_overlap(oracle, target, vector):
    drawn = noise(600, oracle.model.width, seed=1)
    found = fmean(beside(*pair).overlap for pair in drawn.view(300, 2, -1))
    assert geometry(own(vector), target).chance == pytest.approx(found, abs=0.03)


def test_the_shape_of_coordinates_is_what_scipy_finds(target, vector):
    stats = pytest.importorskip("scipy.stats")
    seen = geometry(own(vector.exp()), target)
    assert seen.skewness == pytest.approx(stats.skew(vector.exp().numpy()), abs=1e-4)
    assert seen.kurtosis == pytest.approx(stats.kurtosis(vector.exp().numpy()), abs=1e-4)
    assert seen.length == pytest.approx(vector.exp().norm().item())


def test_what_a_vector_promotes_its_negative_demotes(target):
    (river,) = target.model.tokenizer.encode(" river", add_special_tokens=False)
    row = target.model.network.lm_head.weight[river].detach()
    seen, turned = (geometry(own(sign * row), target, top=4) for sign in (1, -1))
    assert seen.promoted[0][0] == turned.demoted[0][0] == " river"
    assert [token for token, _ in seen.demoted] == [token for token, _ in turned.promoted]
    scores = [score for _, score in (*seen.promoted, *seen.demoted[::-1])]
    assert scores == sorted(scores, reverse=True)
    with torch.no_grad():
        logits = target.model.network.lm_head(target.model.network.model.norm(1e3 * row))
    assert seen.promoted[0][1] == pytest.approx(logits[river].item(), rel=1e-4)


def test_what_a_target_reads_is_near_to_itself(target):
    readings = target.read([TEXT, "Anna likes green apples."], layers=[1, 2])
    slot = len(readings[0]) - 2
    first, *others = nearest(readings[0].vectors[slot], readings, 5)
    assert first.cosine == pytest.approx(1, abs=1e-5)
    assert (first.layer, first.position) == (2, readings[0].positions[slot])
    assert TEXT.removesuffix(".").endswith(first.text)
    assert len(others) == 4
    assert all(one.cosine < first.cosine for one in others)


def test_texts_that_begin_alike_are_near_once(target):
    readings = target.read([TEXT, TEXT.replace("river", "church")], layers=[1, 2])
    found = nearest(readings[0].vectors[3], readings, 6)
    assert len(found) == 6
    assert len({(one.text, one.layer, one.position) for one in found}) == 6


def test_seeds_are_compared_in_pairs_and_rivals_by_name(target, vector):
    rivals = {"contrast": vector, "against": -vector}
    seen = geometry(own(vector), target, Around(rivals=rivals, seeds=(vector, -vector)))
    assert {name: round(one.cosine) for name, one in seen.rivals.items()} == {
        "contrast": 1,
        "against": -1,
    }
    assert seen.seeds == pytest.approx((-1 / 3, -1, 1), abs=1e-5)
    alone = geometry(own(vector), target)
    assert (alone.seeds, alone.nearest, alone.said) == (None, (), {})


def test_each_oracle_is_asked_as_if_the_vector_were_from_each_layer(
    oracle, other_oracle, target, vector
):
    asked = Asked({"one": oracle, "two": other_oracle}, layers=(1, 3))
    seen = geometry(own(vector, 1), target, asked=asked)
    assert list(seen.said) == ["one", "one, layer 3", "two", "two, layer 3"]
    for who, one in asked.oracles.items():
        for label, layer in ((who, 1), (f"{who}, layer 3", 3)):
            [answers] = one.ask([own(vector, layer)], list(OPEN))
            assert seen.said[label] == {one.question: one.text for one in answers}


def test_many_at_once_look_as_each_alone(oracle, target, monkeypatch):
    monkeypatch.setattr("activation_oracles.dreams.geometry.AT_ONCE", 2)
    drawn = noise(3, oracle.model.width, seed=7)
    readings = target.read([TEXT], layers=2)
    vectors = [own(one) for one in drawn]
    arounds = [Around({"next": drawn[place - 1]}, readings=readings) for place in range(3)]
    asked = Asked({"one": oracle}, layers=(2,))
    together = geometries(vectors, target, arounds, asked)
    for vector, around, seen in zip(vectors, arounds, together, strict=True):
        alone = geometry(vector, target, around, asked)
        assert [one for one, _ in alone.promoted] == [one for one, _ in seen.promoted]
        assert (alone.rivals, alone.nearest, alone.said) == (seen.rivals, seen.nearest, seen.said)


def test_only_the_length_tells_a_long_vector_from_a_short_one(oracle, target, vector):
    around = Around(rivals={"other": noise(1, len(vector), seed=5)[0]})
    asked = Asked({"one": oracle}, layers=(2,))
    short, long = (geometry(own(vector * size), target, around, asked) for size in (1, 64))
    assert long.length == pytest.approx(64 * short.length)
    assert replace(long, length=short.length).said == short.said
    assert long.kurtosis == pytest.approx(short.kurtosis, abs=1e-4)
    assert long.promoted == short.promoted
    assert long.rivals == short.rivals


@pytest.mark.parametrize(
    ("bad", "around", "refusal"),
    [
        (torch.zeros(32), Around(), (DataError, "points somewhere")),
        (torch.ones(8), Around(), (MismatchError, r"widths \[8\]")),
        (torch.ones(32), Around(seeds=[torch.ones(8)]), (MismatchError, r"widths \[8, 32\]")),
    ],
)
def test_what_cannot_be_looked_at_is_refused(target, bad, around, refusal):
    error, message = refusal
    with pytest.raises(error, match=message):
        geometry(own(bad), target, around)


def test_a_layer_that_there_is_not_is_refused(oracle, target, vector):
    with pytest.raises(ConfigError, match=r"\[9\]"):
        geometry(own(vector), target, asked=Asked({"one": oracle}, layers=(1, 9)))


def test_two_vectors_are_not_one(oracle, target):
    two = Activations.own(noise(2, oracle.model.width, seed=0), layer=1, note="two")
    with pytest.raises(DataError, match="2 slots"):
        geometry(two, target)
