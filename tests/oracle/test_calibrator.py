"""Fitted curves: they undo a known distortion, keep the order, and survive the card."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from activation_oracles.errors import DataError
from activation_oracles.oracle.calibrator import CURVES, Calibrator, fit

ODDS = np.random.default_rng(3).normal(0.4, 1.5, size=3000)
RIGHT = (np.random.default_rng(4).random(3000) < 1 / (1 + np.exp(-ODDS))).astype(float).tolist()


def stated(slope, offset=0.0):
    """Return confidences that overstate: log-odds that are too long by a factor, and shifted."""
    return (1 / (1 + np.exp(-(slope * ODDS + offset)))).tolist()


def distance(calibrator, confidences):
    true = 1 / (1 + np.exp(-ODDS))
    return float(
        np.mean([abs(calibrator.apply(c) - t) for c, t in zip(confidences, true, strict=True)])
    )


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_undoes_an_overconfidence(curve):
    confidences = stated(3.0)
    before = np.mean(np.abs(np.array(confidences) - 1 / (1 + np.exp(-ODDS))))
    fitted = fit("choice", curve, confidences, RIGHT)
    assert distance(fitted, confidences) < 0.03 < before
    assert fitted.num_answers == 3000


def test_a_temperature_is_the_factor_and_platt_finds_the_shift_too():
    assert fit("choice", "temperature", stated(3.0), RIGHT).slope == pytest.approx(1 / 3, rel=0.1)
    platt = fit("choice", "platt", stated(2.0, 1.0), RIGHT)
    assert platt.slope == pytest.approx(0.5, rel=0.1)
    assert platt.offset == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize("curve", CURVES)
@given(one=st.floats(0, 1), other=st.floats(0, 1))
def test_no_curve_trusts_the_less_sure_answer_more(curve, one, other):
    calibrator = FITTED[curve]
    low, high = sorted((one, other))
    assert 0 <= calibrator.apply(low) <= calibrator.apply(high) <= 1


FITTED = {curve: fit("samples", curve, stated(2.0)[:300], RIGHT[:300]) for curve in CURVES}


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_survives_json_to_the_bit(curve):
    again = Calibrator.model_validate_json(FITTED[curve].model_dump_json())
    assert again == FITTED[curve]
    assert again.apply(0.7) == FITTED[curve].apply(0.7)


def test_even_confidence_that_says_the_opposite_is_not_turned_round():
    against = [1 - one for one in stated(1.0)]
    for curve in CURVES:
        fitted = fit("choice", curve, against, RIGHT)
        share = sum(RIGHT) / len(RIGHT)
        assert fitted.apply(0.9) - fitted.apply(0.1) < 0.2
        assert math.isclose(
            fitted.apply(0.9), share if curve != "temperature" else 0.5, abs_tol=0.1
        )


@pytest.mark.parametrize(
    ("confidences", "right"),
    [([0.5] * 30, [1.0] * 30), ([0.5] * 5, [1.0, 0.0] * 2 + [1.0]), ([0.5] * 30, [0.0] * 29)],
)
def test_too_little_to_fit_is_refused(confidences, right):
    with pytest.raises(DataError, match="needs 20 answers"):
        fit("choice", "platt", confidences, right)


@pytest.mark.parametrize(
    "fields",
    [
        {"curve": "isotonic"},
        {"curve": "platt", "slope": -1.0},
        {"curve": "isotonic", "stated": (0.1, 0.5), "calibrated": (0.6, 0.2)},
        {"curve": "platt", "threshold": 1.5},
    ],
)
def test_a_curve_that_falls_or_lacks_its_corners_is_refused(fields):
    with pytest.raises(ValidationError):
        Calibrator(method="choice", **fields)


def test_what_is_no_probability_is_refused():
    with pytest.raises(DataError):
        FITTED["platt"].apply(1.2)
