"""Confidence: what several askings agree on, or the likelihood of what was said."""

import math

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.models.load import load
from activation_oracles.oracle import confidence
from activation_oracles.oracle.asking import Decoding, Shown
from activation_oracles.oracle.calibrator import Calibrator
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.caveats import caveats_of_lift
from activation_oracles.oracle.confidence import (
    CANNOT_TELL,
    Agreed,
    HowSure,
    agreed,
    likelihoods,
)
from activation_oracles.oracle.controls import Nothing
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.oracle.refusing import Refusal
from activation_oracles.types import Example

QUESTION, OTHERS = "What is it?", ("Which thing is it?", "Name it.")


def calibrated(oracle, **fields):
    curve = Calibrator(curve="platt", num_answers=40, **fields)
    card = oracle.card.model_copy(update={"confidence_curves": (curve,)})
    return Oracle(oracle.model, oracle.adapter, card)


def test_the_most_frequent_answer_wins_and_the_earliest_among_equals():
    assert agreed(["moon", "Moon.", "ship"]) == Agreed("moon", None, 2 / 3)
    assert agreed(["ship", "moon"]) == Agreed("ship", None, 0.5)
    assert agreed(["moon"]) == Agreed("moon", None, 1.0)


def test_saying_that_there_is_no_answer_is_agreed_on_as_any_but_is_sure_of_nothing():
    refusals = ["I cannot tell.", "Cannot say."]
    assert agreed([*refusals, "moon"]) == Agreed("I cannot tell.", "moon", 1 / 3)
    assert agreed(["moon", "moon", *refusals[:1]]) == Agreed("moon", None, 2 / 3)
    assert agreed(refusals) == Agreed("I cannot tell.", None, 0.0)


@pytest.fixture
def refusing(oracle, reading, monkeypatch):
    """An oracle whose answer to the question counts as saying that it cannot tell."""
    said = oracle.ask(reading, QUESTION).text
    monkeypatch.setattr(confidence, "_ABSTAINING", (said.casefold(),))
    return oracle


def test_an_oracle_that_cannot_tell_keeps_what_it_would_have_said(refusing, reading):
    refusal = refusing.ask(reading, QUESTION)
    answer = refusing.ask(reading, QUESTION, how_sure=HowSure("likelihood"))
    assert answer.text == refusal.text
    assert answer.guess
    prompt = refusing._asker.show(Shown(reading, QUESTION), refusal.text).prompt
    avoiding = Decoding(avoiding=(prompt.ids[prompt.answer_start],))
    assert refusing.ask(reading, QUESTION, decoding=avoiding).text == answer.guess
    (sure,) = likelihoods(refusing._asker, [Shown(reading, QUESTION)], [answer.guess])
    assert answer.confidence == pytest.approx(sure)
    assert refusal.guess is None


def test_what_nobody_but_a_refusal_said_is_believed_by_nobody(refusing, reading):
    answer = refusing.ask(reading, QUESTION, how_sure=HowSure("wordings", (QUESTION,)))
    assert answer.confidence == 0
    assert answer.guess


@pytest.mark.parametrize(("threshold", "refuses"), [(1.0, True), (0.0, False)])
def test_a_threshold_decides_on_the_guess_of_an_oracle_that_cannot_tell(
    refusing, reading, threshold, refuses
):
    how_sure = HowSure("likelihood")
    plain = refusing.ask(reading, QUESTION, how_sure=how_sure)
    curved = calibrated(refusing, method="likelihood", slope=0.1, threshold=threshold)
    answer = curved.ask(reading, QUESTION, how_sure=how_sure)
    assert answer.text == (CANNOT_TELL if refuses else plain.guess)
    assert answer.guess == (plain.guess if refuses else None)


@pytest.mark.parametrize("count", [1, 3])
def test_no_answer_begins_with_a_token_that_is_to_be_avoided(oracle, reading, count):
    asked = [oracle._asker.show(Shown(reading, QUESTION))] * count
    (first, *_), *_ = [one.ids for [one] in oracle._asker.generate(asked, Decoding())]
    others = oracle._asker.generate(asked, Decoding(avoiding=(first,)))
    assert all(one.ids[0] != first for [one] in others)


def test_no_confidence_is_stated_where_none_is_asked_for(oracle, reading):
    answer = oracle.ask(reading, QUESTION)
    assert answer.confidence is None
    assert answer.confidence_by == ""


def test_agreement_over_wordings_is_that_of_the_answers_to_each(oracle, reading):
    said = [oracle.ask(reading, wording).text for wording in (QUESTION, *OTHERS)]
    answer = oracle.ask(reading, QUESTION, how_sure=HowSure("wordings", OTHERS))
    assert answer.samples == tuple(said)
    assert Agreed(answer.text, None, answer.confidence) == agreed(said)
    assert answer.confidence_by == "wordings, not calibrated"


def test_agreement_over_samples_is_the_share_of_the_answer_in_them(oracle, reading):
    decoding = Decoding(samples=6, temperature=1.5, max_new_tokens=2)
    answer = oracle.ask(reading, QUESTION, decoding=decoding, how_sure=HowSure("samples"))
    plain = oracle.ask(reading, QUESTION, decoding=decoding)
    assert answer.samples == plain.samples
    assert Agreed(answer.text, None, answer.confidence) == agreed(plain.samples)


def test_the_likelihood_of_an_answer_is_what_a_choice_between_answers_weighs(oracle, reading):
    decoding = Decoding(max_new_tokens=3)
    answer = oracle.ask(reading, QUESTION, decoding=decoding, how_sure=HowSure("likelihood"))
    other = f"{answer.text} and the river"
    weighed = oracle.choose(reading, QUESTION, [answer.text, other]).probabilities
    (sure,) = likelihoods(oracle._asker, [Shown(reading, QUESTION)], [other])
    assert 0 < answer.confidence < 1
    ratio = weighed[answer.text] / weighed[other]
    assert answer.confidence / sure == pytest.approx(ratio, rel=1e-4)
    example = Example(
        context=reading.token_ids,
        positions=(2, 3, 4, 5),
        layers=(1, 2),
        question=QUESTION,
        answer=answer.text,
        task="any",
        source="any",
    )
    (alike,) = oracle.likelihood_of([example], [reading.vectors])
    assert alike == pytest.approx(answer.confidence, rel=1e-4), "of an example, the same"


def test_a_choice_is_as_sure_as_its_probability_averaged_over_wordings(oracle, reading):
    choices = ["Yes", "No"]
    tables = [oracle.choose(reading, w, choices).probabilities for w in (QUESTION, *OTHERS)]
    answer = oracle.choose(reading, QUESTION, choices, how_sure=HowSure("choice", OTHERS))
    mean = {c: sum(table[c] for table in tables) / 3 for c in choices}
    assert answer.probabilities == pytest.approx(mean)
    assert answer.confidence == pytest.approx(max(mean.values()))
    assert mean[answer.text] == answer.confidence


def test_controls_are_as_sure_as_if_they_were_asked(oracle, reading):
    how_sure = HowSure("wordings", OTHERS)
    answer = oracle.ask(reading, QUESTION, controls=[Nothing()], how_sure=how_sure)
    assert answer.controls["nothing"].confidence is not None


def test_a_curve_in_the_card_calibrates_what_is_stated(oracle, reading):
    how_sure = HowSure("wordings", OTHERS)
    stated = oracle.ask(reading, QUESTION, how_sure=how_sure).confidence
    curved = calibrated(oracle, method="wordings", slope=0.5, offset=-1.0)
    answer = curved.ask(reading, QUESTION, how_sure=how_sure)
    assert answer.confidence == curved.card.confidence_curves[0].apply(stated)
    assert answer.confidence_by == "wordings, platt curve fitted on 40 answers"
    # A curve holds for its own method alone.
    assert curved.ask(reading, QUESTION, how_sure=HowSure("likelihood")).confidence_by.endswith(
        "not calibrated"
    )


@pytest.mark.parametrize(("threshold", "abstains"), [(1.0, True), (0.0, False)])
def test_below_its_threshold_the_oracle_abstains_and_keeps_its_guess(
    oracle, reading, threshold, abstains
):
    how_sure = HowSure("wordings", OTHERS)
    plain = oracle.ask(reading, QUESTION, how_sure=how_sure)
    curved = calibrated(oracle, method="wordings", slope=0.1, threshold=threshold)
    answer = curved.ask(reading, QUESTION, how_sure=how_sure)
    assert (answer.text == CANNOT_TELL) == abstains
    assert answer.guess == (plain.text if abstains else None)
    assert 0 < answer.confidence < 1


def test_curves_survive_the_card(oracle, tmp_path):
    curved = calibrated(oracle, method="choice", slope=0.25, threshold=0.5, data="abc")
    curved.card.save(tmp_path)
    assert type(oracle.card).load(str(tmp_path)).confidence_curves == curved.card.confidence_curves


def test_ways_of_being_sure_that_do_not_fit_the_way_of_asking_are_refused(oracle, reading):
    for how_sure in (HowSure("choice"), HowSure("samples")):
        with pytest.raises(ConfigError):
            oracle.ask(reading, QUESTION, how_sure=how_sure)
    with pytest.raises(ConfigError):
        oracle.choose(reading, QUESTION, ["Yes", "No"], how_sure=HowSure("likelihood"))
    for wrong in (("wordings", ()), ("likelihood", OTHERS), ("wordings", (" ",))):
        with pytest.raises(DataError):
            HowSure(*wrong)


def test_lift_is_how_much_likelier_the_answer_is_than_with_nothing_in_the_slots(oracle, reading):
    answer = oracle.ask(reading, QUESTION, how_sure=HowSure("likelihood"))
    shown, nothing = (Shown(reading, QUESTION, written=one) for one in (True, False))
    here, blind = likelihoods(oracle._asker, [shown, nothing], [answer.text] * 2)
    assert answer.lift == pytest.approx(here / blind, rel=1e-4)
    chosen = oracle.choose(reading, QUESTION, ["a mill", "a boat"], how_sure=HowSure("choice"))
    here, blind = likelihoods(oracle._asker, [shown, nothing], [chosen.text] * 2)
    assert chosen.lift == pytest.approx(here / blind, rel=1e-4)
    assert oracle.ask(reading, QUESTION).lift is None


def test_an_answer_that_the_prompt_alone_makes_as_likely_is_warned_of(oracle, reading):
    controls = [Nothing()]
    answer = oracle.ask(reading, QUESTION, how_sure=HowSure("likelihood"), controls=controls)
    assert answer.controls["nothing"].lift is None
    assert (answer.lift <= 1) == any("no likelier" in one for one in answer.warnings)
    assert caveats_of_lift(0.8) == [
        "the answer is no likelier than with nothing in the slots (0.8 times)"
    ]
    assert not caveats_of_lift(1.2)
    assert not caveats_of_lift(None)


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
