"""A map's cells are the gains of its rows; where only one thing varies there is no map."""

import re

import pytest

from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.report.page import page
from activation_oracles.evals.report.report import report
from activation_oracles.evals.report.runs import Run
from activation_oracles.types import Example
from sample_runs import HOSTILE, run

END = "last token shown, from the end of the text"
LENGTH = 6


def a_run(where_right, *, layers=((2,), (4,)), positions=(3, 5), each=12) -> Run:
    """Return a run in which the oracle is right just there, `nothing` at none, `random` hardly."""
    records: list[Record] = []
    for number in range(each):
        for deep in layers:
            for at in positions:
                one = Example(
                    tuple(range(LENGTH)), (at,), deep, "What?", "red", "colour", f"t{number}"
                )
                scores = {None: float((deep, at) in where_right), "nothing": 0.0}
                scores["random"] = float(number == 0)
                records += [
                    Record(one, "red" if score else "blue", score, "oracle", control)
                    for control, score in scores.items()
                ]
    return Run("one", {}, tuple(records))


def test_the_cell_where_something_is_read_stands_out_and_the_others_do_not():
    (heat,) = report([a_run({((4,), 3)})]).heats
    assert (heat.by, heat.control) == (END, "random")
    assert (heat.tokens, heat.layers) == (("1", "3"), ("2", "4"))
    gains = [[cell.score for cell in row] for row in heat.cells]
    # `random` is right of one text in twelve, everywhere.
    assert gains == [pytest.approx([-1 / 12] * 2), pytest.approx([-1 / 12, 11 / 12])]
    assert [[cell.low > 0 for cell in row] for row in heat.cells] == [[False] * 2, [False, True]]


def test_cells_hold_every_row_that_both_can_be_judged_on_once():
    one = run("one", 0.6)
    found = report([one])
    assert [heat.by for heat in found.heats] == [END]
    for heat in found.heats:
        cells = [cell for row in heat.cells for cell in row if cell is not None]
        assert sum(cell.num_answers for cell in cells) == 24
        (whole,) = found.summaries[0].advantages
        assert heat.control == whole.other_control
        total = sum(cell.score * cell.num_answers for cell in cells)
        assert total == pytest.approx(whole.gain.score * 24)


def test_where_only_layers_or_only_tokens_differ_there_is_no_map():
    for made in ({"layers": ((2,),)}, {"positions": (3,)}):
        assert report([a_run(set(), **made)]).heats == ()


def test_cells_without_a_row_that_can_be_judged_are_empty_and_no_zero():
    whole = a_run({((4,), 3)})
    kept = [
        one for one in whole.records if (one.example.layers, one.example.positions) != ((2,), (5,))
    ]
    (heat,) = report([Run("one", {}, tuple(kept))]).heats
    assert [[cell is None for cell in row] for row in heat.cells] == [[True, False], [False, False]]


def test_the_page_shows_each_map_with_its_numbers_and_takes_no_name_for_markup():
    html = page(report([a_run({((4,), 3)}), run(f"odd {HOSTILE}", task="shape")]))
    assert "one: oracle, over random" in html
    assert re.search(r'class="above apart" style="--share:50%" title="[^"]*layer 4: \+0\.917', html)
    assert "by layers and last token shown" in html
    assert HOSTILE not in html
    assert "by layers and" not in page(report([run("flat", layers=((2,),))]))
