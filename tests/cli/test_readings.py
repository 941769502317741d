"""Of examples that are evaluated, those that show no reading are left out and counted."""

import json
from dataclasses import asdict, replace

from activation_oracles.cli.asking import readings
from activation_oracles.types import Example


def test_examples_that_show_no_reading_are_left_out_and_counted(tmp_path, capsys):
    whole = [
        Example((20, 21, number), (1, 2), (1,), "Which colour?", "red", "colour", f"text {number}")
        for number in range(48)
    ]
    rows = [asdict(one) for one in [*whole, replace(whole[0], shown="nothing")]]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = [*readings(str(tmp_path / "mine.jsonl"), "train")]
    found += readings(str(tmp_path / "mine.jsonl"), "held_out")
    assert sorted(found, key=repr) == sorted(whole, key=repr)
    assert capsys.readouterr().err.startswith("left out 1 ")
