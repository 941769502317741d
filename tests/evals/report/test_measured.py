"""What `ao calibrate` printed is read back whole."""

import json
from dataclasses import asdict
from functools import partial
from random import Random

import pytest

from activation_oracles.errors import DataError
from activation_oracles.evals.calibrating import Judged, fitted
from activation_oracles.evals.calibration import calibration, coverage
from activation_oracles.evals.report.measured import kept_of_surest, read_measured
from activation_oracles.oracle.calibrator import fit
from sample_runs import examples


def stated(count=200):
    random = Random(0)
    sure = [random.random() for _ in range(count)]
    return sure, [float(random.random() < one) for one in sure]


@pytest.fixture
def printed(tmp_path):
    """Return a file as `ao calibrate --json` prints one, and what it holds."""
    rows = [
        Judged(example, "red", sure, right)
        for example, sure, right in zip(examples(200), *stated(), strict=True)
    ]
    found = fitted(rows, rows, partial(fit, "choice", "platt"), unit=repr, precision=0.8)
    path = tmp_path / "calibration.json"
    held = {**asdict(found), "curve": found.curve.model_dump(mode="json")}
    path.write_text(json.dumps(held, indent=1))
    return path, found


def test_a_measured_calibration_survives_the_disk(printed):
    path, found = printed
    one = read_measured(path)
    assert (one.before, one.after, one.kept) == (found.before, found.after, found.kept)
    assert one.kept is not None
    assert (one.curve.method, one.curve.curve, one.num_fitted) == ("choice", "platt", 200)


def test_what_the_surest_bins_keep_lies_on_the_curve_of_precision_and_coverage():
    sure, right = stated()
    exact = {round(one.coverage, 9): one.precision for one in coverage(sure, right)}
    kept = kept_of_surest(calibration(sure, right).bins)
    assert len(kept) == 10
    for share, precision in kept:
        assert exact[round(share, 9)] == pytest.approx(precision)
    assert kept[-1] == (1.0, pytest.approx(sum(right) / len(right)))


def test_what_is_no_measured_calibration_is_named(tmp_path):
    for name, text in (("none.json", None), ("torn.json", "{"), ("other.json", '{"rows": []}')):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=f"{name} is not a measured calibration"):
            read_measured(tmp_path / name)
