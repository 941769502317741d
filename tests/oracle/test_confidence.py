"""Confidence: what several askings agree on, or the likelihood of what was said."""

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.oracle import confidence
from activation_oracles.oracle.asking import Decoding, Shown
from activation_oracles.oracle.calibrator import Calibrator
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
