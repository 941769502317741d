"""Directions from contrast, and what effects are made of."""

import pytest
import torch

from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.contrast import contrast
from activation_oracles.dreams.effect import Doses, Neutral, Trial, chosen, damage, spoken
from activation_oracles.dreams.terms import Dose
from activation_oracles.dreams.under import Case, likelihoods
from activation_oracles.errors import ConfigError, DataError

MILLS = ("The old mill.", "A mill by the river.")
APPLES = ("The green apple.", "An apple on the table in the room.")
DOSE = Dose(1)
MILL = Concept(
    name="mill",
    question="What?",
    answer="mill",
    prompts=("What do you see?", "What is there?"),
    reply="A mill.",
    instead=("An apple.", "A boat."),
    shown_by=("mill",),
)


@pytest.mark.parametrize("positions", ["last token", "all"])
def test_a_contrast_is_the_difference_of_means_in_which_each_text_counts_alike(target, positions):
    found = contrast(target, MILLS, APPLES, layer=1, positions=positions)
    means = [
        torch.stack(
            [target.read(one, layers=1, positions=positions).vectors.mean(0) for one in texts]
        ).mean(0)
        for texts in (MILLS, APPLES)
    ]
    torch.testing.assert_close(found.vectors[0], means[0] - means[1])
    assert found.layers == (1,)
    assert found.provenance.fingerprint == target.model.fingerprint


def test_texts_that_are_the_same_have_no_contrast(target):
    with pytest.raises(DataError, match="do not differ"):
        contrast(target, MILLS, MILLS, layer=1)
    with pytest.raises(DataError, match="texts of both kinds"):
        contrast(target, MILLS, (), layer=1)


def test_how_likely_a_reply_is_among_its_alternatives_is_the_mean_over_prompts(target):
    vector = torch.ones(target.model.width)
    [found] = chosen(target, [Trial(MILL, vector, 0.5)], DOSE)
    shares = []
    for prompt in MILL.prompts:
        chat = [{"role": "user", "content": prompt}]
        replies = (MILL.reply, *MILL.instead)
        scores = likelihoods(target, [Case(chat, vector, 0.5, one) for one in replies], DOSE)
        shares.append(torch.tensor(scores).softmax(0)[0])
    assert found == pytest.approx(float(torch.stack(shares).mean()), abs=1e-5)


def test_what_is_asked_for_in_words_stands_before_each_prompt(target):
    plain, asked = spoken(target, [Trial(MILL), Trial(MILL, instructed=True)], DOSE)
    wordy = MILL.model_copy(
        update={"prompts": tuple(f"Talk about mill. {p}" for p in MILL.prompts)}
    )
    assert asked == spoken(target, [Trial(wordy)], DOSE)[0]
    assert len(plain) == len(MILL.prompts)


def test_damage_is_told_against_the_target_as_it_is(target):
    vectors = [torch.ones(target.model.width), torch.zeros(target.model.width)]
    doses = Doses(strengths=(-3, 0.01, 3), max_new_tokens=4)
    harmful, harmless = damage(target, vectors, Neutral(MILLS, ("What?",)), DOSE, doses)
    assert harmless == {s: harmless[0.01] for s in (-3, 0.01, 3)}
    assert harmless[0.01].perplexity == pytest.approx(1, abs=1e-5)
    assert harmless[0.01].repetition == pytest.approx(0, abs=1e-6)
    assert harmful[3].perplexity != pytest.approx(1, abs=0.01)
    assert abs(harmful[0.01].perplexity - 1) < abs(harmful[3].perplexity - 1)


def test_no_strength_is_0():
    with pytest.raises(ConfigError, match="0 is no strength"):
        Doses(strengths=(0, 1))
