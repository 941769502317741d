"""Another oracle beside the one that answers, which says where there is no answer."""

import math

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.models.load import load
from activation_oracles.oracle import confidence
from activation_oracles.oracle.asking import Shown
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.confidence import (
    HowSure,
    likelihoods,
)
from activation_oracles.oracle.controls import Nothing
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.oracle.refusing import Refusal
from activation_oracles.types import Example

QUESTION, OTHERS = "What is it?", ("Which thing is it?", "Name it.")


@pytest.fixture
def abstaining(fresh_oracle, tmp_path):
    """Another oracle in the same model, which says something else."""
    fresh_oracle.save(tmp_path / "other")
    path = tmp_path / "other" / "adapter_model.safetensors"
    generator = torch.Generator().manual_seed(1)
    changed = {
        key: one + 0.3 * torch.randn(one.shape, generator=generator)
        for key, one in load_file(path).items()
    }
    save_file(changed, path, {"format": "pt"})
    other, model = str(tmp_path / "other"), fresh_oracle.model
    return Oracle.from_pretrained(other, model=model, name="abstainer")


def test_where_an_abstainer_cannot_tell_the_answer_is_a_guess(
    fresh_oracle, abstaining, reading, monkeypatch
):
    oracle = fresh_oracle
    asked = [QUESTION, *OTHERS]
    own, second = oracle.ask([reading], asked)[0], abstaining.ask([reading], asked)[0]
    monkeypatch.setattr(confidence, "_ABSTAINING", (second[0].text[:12].casefold(),))
    assert not confidence.abstains(own[0].text)
    both = oracle.with_abstainer(abstaining)
    for alone, other, one in zip(own, second, both.ask([reading], asked)[0], strict=True):
        refused = confidence.abstains(other.text)
        assert (one.guess, one.text) == (
            (alone.text, one.text) if refused else (alone.guess, alone.text)
        )
        assert confidence.abstains(one.text) == refused
    sure = oracle.ask(reading, QUESTION, how_sure=HowSure("likelihood"))
    kept = both.ask(reading, QUESTION, how_sure=HowSure("likelihood"))
    assert (kept.guess, kept.confidence) == (sure.text, sure.confidence)
    chosen = both.choose(reading, QUESTION, ["Yes", "No"])
    alone = oracle.choose(reading, QUESTION, ["Yes", "No"])
    assert chosen.probabilities == alone.probabilities
    assert chosen.guess == alone.text
    difference = reading.with_vectors(reading.vectors * 1.5, "louder") - reading
    for asker in (both.in_proportion(1.0), oracle.in_proportion(1.0).with_abstainer(abstaining)):
        weighed = asker.ask(difference, QUESTION)
        assert "written at 0.5 times the strength" in " ".join(weighed.warnings)
        assert asker._answering.abstainer is not None, "one way of asking does not undo another"


def test_an_abstainer_refuses_of_controls_what_it_refuses_itself(
    fresh_oracle, abstaining, reading, monkeypatch
):
    oracle = fresh_oracle
    blind = abstaining.ask(reading, QUESTION, controls=[Nothing()]).controls["nothing"]
    monkeypatch.setattr(confidence, "_ABSTAINING", (blind.text[:12].casefold(),))
    both = oracle.with_abstainer(abstaining)
    control = both.ask(reading, QUESTION, controls=[Nothing()]).controls["nothing"]
    alone = oracle.ask(reading, QUESTION, controls=[Nothing()]).controls["nothing"]
    assert confidence.abstains(control.text)
    assert control.guess == alone.text


@pytest.mark.parametrize("weight", [0.0, 0.7])
@pytest.mark.parametrize("asks_of_examples", [False, True])
def test_an_abstainer_whose_card_has_a_rule_refuses_by_its_score(
    fresh_oracle, abstaining, reading, asks_of_examples, weight
):
    readings, text = [reading, reading.with_vectors(-reading.vectors, "turned")], "I cannot tell."
    shown = [Shown(one, QUESTION) for one in readings]
    alone = [row[0] for row in fresh_oracle.ask(readings, [QUESTION])]
    likely = likelihoods(abstaining._asker, shown, [text] * 2)
    sure = likelihoods(fresh_oracle._asker, shown, [one.text for one in alone])
    scores = [
        math.log(p / (1 - p)) - weight * math.log(q / (1 - q))
        for p, q in zip(likely, sure, strict=True)
    ]
    halfway = sum(scores) / 2
    rule = Refusal(text=text, threshold=halfway, weight=weight, loss=0.1, num_answers=20)
    wanted = [text if one > rule.threshold else None for one in scores]
    assert wanted.count(None) == 1, "one of the two is refused"
    card = abstaining.card.model_copy(update={"refusal": rule})
    both = fresh_oracle.with_abstainer(Oracle(abstaining.model, abstaining.adapter, card))
    if asks_of_examples:
        one = Example((1, 2, 3, 4), (0, 1, 2, 3), (1, 2), QUESTION, "a mill", "colour", "x")
        vectors, said = [each.vectors for each in readings], [one.text for one in alone]
        assert both.refusals([one] * 2, vectors, said) == wanted
        assert fresh_oracle.refusals([one] * 2, vectors, said) == [None, None]
        return
    given = [row[0] for row in both.ask(readings, [QUESTION])]
    for one, bare, refusal in zip(given, alone, wanted, strict=True):
        assert one.text == (refusal or bare.text)
        assert one.guess == (bare.text if refusal else bare.guess)


def test_text_that_may_be_taken_back_is_not_handed_on(fresh_oracle, abstaining, reading):
    both, heard = fresh_oracle.with_abstainer(abstaining), []
    with pytest.raises(ConfigError, match="on_text"):
        both.ask(reading, QUESTION, on_text=heard.append)
    assert not heard


def test_an_abstainer_in_another_copy_of_the_model_is_refused(oracle, tiny_model):
    copy = load(str(tiny_model), device="cpu")
    lora = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    with pytest.raises(MismatchError, match="`model=` this oracle's"):
        oracle.with_abstainer(Oracle.new(copy, Card.for_model(copy), lora))
