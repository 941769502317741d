import pytest
import torch

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.models.doses import doses
from activation_oracles.models.load import load
from activation_oracles.models.push import Push, pushes_of
from activation_oracles.models.steered import Steered
from activation_oracles.models.target import Target
from activation_oracles.types import Activations

TEXTS = ["Anna likes green apples.", "The old mill stands by the river, and the miller sings."]


@pytest.fixture(scope="module")
def target(tiny_model):
    return Target(load(str(tiny_model), dtype="float32", device="cpu"))


@pytest.fixture(scope="module")
def vectors():
    generator = torch.Generator().manual_seed(3)
    return torch.randn((2, 32), generator=generator)


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_each_dose_is_what_that_strength_alone_gives(target, vectors, batch_size):
    pushes = [Push(1, vectors[:1], 2.0), Push(2, vectors[1:], -1.0, unit="absolute")]
    factors = (0.0, -2.0, 1.5)
    found = doses(target, pushes, TEXTS, factors, batch_size=batch_size, max_new_tokens=6)
    for text, row in zip(TEXTS, found, strict=True):
        assert row[0] == target.generate(text, max_new_tokens=6)
        assert len(set(row)) == 3
        for factor, written in zip(factors, row, strict=True):
            own = [
                Push(1, vectors[:1], 2.0 * factor),
                Push(2, vectors[1:], -1.0 * factor, unit="absolute"),
            ]
            assert written == Steered(target, own).generate(text, max_new_tokens=6)


def test_saved_vectors_come_back_as_pushes_at_their_own_layers(vectors, tmp_path):
    deep = Activations.own(vectors, layer=2, note="moon")
    deep.save(tmp_path / "moon.safetensors")
    held = Activations.load(tmp_path / "moon.safetensors")
    pushes = pushes_of(held, strength=-0.5, unit="absolute", where="generated")
    assert [one.layer for one in pushes] == [2, 2]
    assert torch.equal(torch.cat([one.vectors for one in pushes]), vectors)
    assert {(one.strengths, one.unit, one.where) for one in pushes} == {
        (-0.5, "absolute", "generated")
    }
    assert [one.layer for one in pushes_of(held, layer=1)] == [1, 1]
    assert held.provenance.history == ("own vectors: moon",)


def test_doses_without_a_strength_or_of_a_push_for_several_texts_are_refused(target, vectors):
    with pytest.raises(ConfigError, match="at least one strength"):
        doses(target, [Push(1, vectors[:1])], TEXTS, ())
    with pytest.raises(MismatchError, match="one push for any text"):
        doses(target, [Push(1, vectors)], TEXTS, (1.0,))
