"""A battery against several oracles: whom its vectors deceive, and who is only asked."""

import pytest
import torch

from activation_oracles.dreams.attacks import NORMAL, AttackConfig
from activation_oracles.dreams.battery import BatteryConfig
from activation_oracles.dreams.beliefs import Beliefs
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.dream import DreamConfig, noise
from activation_oracles.dreams.effect import Doses, Neutral
from activation_oracles.dreams.running import Run, attack, measure
from activation_oracles.dreams.wishes import Says

LAYER = 1
MILL, MOON = (
    Concept(
        name=word,
        question="What is the model thinking about?",
        answer=word,
        prompts=("What is it?",),
        reply=f"The {word}.",
        instead=("The cup.",),
        shown_by=(word,),
    )
    for word in ("mill", "moon")
)
NEUTRAL = Neutral(("Anna likes green apples.",), ("How are you?",))
CONFIG = BatteryConfig(
    attack=AttackConfig(
        layer=LAYER, search=DreamConfig(steps=40, learning_rate=0.05), kinds=(NORMAL,), seeds=1
    ),
    doses=Doses(strengths=(-0.5, 0.5), max_new_tokens=2),
    randoms=5,
)


@pytest.fixture(scope="module")
def made(oracle, other_oracle, target, tmp_path_factory):
    """Return the vectors of two concepts, by the names of the oracles that were attacked."""
    known = {"one": oracle, "two": other_oracle}
    found = {}
    for attacked in (("one",), ("two",), ("one", "two")):
        oracles = {name: known[name] for name in attacked}
        folder = tmp_path_factory.mktemp("-".join(attacked))
        found[attacked] = attack(run(oracles, target, len(attacked)), folder, about={})
    return found


def run(oracles, target, num_attacked):
    return Run(oracles, target, (MILL, MOON), NEUTRAL, CONFIG, {}, num_attacked)


@torch.no_grad()
def log_beliefs(oracle, vectors, concept):
    wishes = [Says(concept.question, concept.answer)] * len(vectors)
    beliefs = Beliefs(oracle, wishes, layers=[LAYER])
    return beliefs.log_probabilities(vectors[:, None], range(len(vectors)))


def test_two_that_are_attacked_together_believe_more_than_of_random_directions(
    made, oracle, other_oracle
):
    drawn = noise(20, oracle.model.width, seed=9)
    for one, concept in zip(made["one", "two"], (MILL, MOON), strict=True):
        both = (oracle, other_oracle)
        dreamt = sum(log_beliefs(each, one.vector.vectors, concept) for each in both)
        random = sum(log_beliefs(each, drawn, concept) for each in both)
        assert dreamt.item() > random.mean().item()


def test_each_that_is_attacked_believes_more_than_of_a_vector_for_the_other_alone(
    made, oracle, other_oracle
):
    for who, rival in ((oracle, ("two",)), (other_oracle, ("one",))):
        for one, other, concept in zip(made["one", "two"], made[rival], (MILL, MOON), strict=True):
            ours, theirs = (log_beliefs(who, it.vector.vectors, concept) for it in (one, other))
            assert ours.item() > theirs.item()


def test_an_oracle_that_is_held_out_changes_no_vector_and_is_asked_what_it_believes(
    made, oracle, other_oracle, target, tmp_path
):
    held_out = run({"one": oracle, "two": other_oracle}, target, num_attacked=1)
    assert list(held_out.attacked) == ["one"]
    again = attack(held_out, tmp_path, about={})
    for one, same in zip(made["one",], again, strict=True):
        assert torch.equal(one.vector.vectors, same.vector.vectors)
    for one, concept in zip(measure(held_out, tmp_path, again).effects, (MILL, MOON), strict=True):
        assert list(one.believed) == ["one", "two"]
        [vector] = [each.vector.vectors for each in again if each.concept == one.concept]
        asked = log_beliefs(other_oracle, vector, concept).exp().item()
        assert one.believed["two"] == pytest.approx(asked, rel=1e-3)
