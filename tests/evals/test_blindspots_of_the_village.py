"""What docs/evaluate.md says of the village's blind spots is what they are."""

from random import Random

import pytest

from activation_oracles.baselines.probe import Probe
from activation_oracles.cli.asking import Asking
from activation_oracles.evals.answerers import Remembering
from activation_oracles.evals.blindspots import blind_spots
from activation_oracles.evals.evaluation import run
from activation_oracles.evals.grade import exact
from activation_oracles.types import Example
from activation_oracles.world.language.sentences import report_with
from activation_oracles.world.language.tables import wordings
from activation_oracles.world.placing import WHOLE_TEXT, place

SHOWN = {"night": WHOLE_TEXT, "raining": 1}
"""By group, of how many last tokens its question is asked."""


def village_rows(tokenizer, group, count, split):
    """Return reports, every second of which has the group's label."""
    random, found = Random(f"{group}/{split}"), []
    for number in range(count):
        answer = ("Yes", "No")[number % 2]
        ids = place(tokenizer, report_with(random, group, answer).messages).ids
        shown = tuple(range(2, len(ids)))[-SHOWN[group] :]
        question = wordings()[group].reported[0]
        found.append(Example(ids, shown, (4,), question, answer, group, f"{split}/{number}"))
    return found


@pytest.mark.slow
def test_the_village_s_oracle_leaves_unread_what_the_last_token_holds_of_a_text(demo):
    pytest.importorskip("sklearn")
    groups = tuple(SHOWN)
    training, asked = (
        [one for group in groups for one in village_rows(demo.model.tokenizer, group, count, split)]
        for split, count in (("train", 60), ("test", 40))
    )
    target = demo.target()
    read = Remembering(target.vectors)
    asking = Asking(demo.oracle, {"": target}, dict.fromkeys(groups, ("Yes", "No")), 4, 0)
    answerers = [one for one in asking.oracles(read, closed=True) if one.name != "oracle"]
    answerers += [Probe("linear probe", read, pool).fit(training) for pool in ("mean", "last")]
    spots = {one.concept: one for one in blind_spots(run(asked, answerers, exact)).spots}
    assert (spots["night"].verdict, spots["raining"].verdict) == ("read", "unread")
    assert spots["raining"].is_settled
    scores = {
        (name, sight.who.split()[0]): sight.score.score
        for name, spot in spots.items()
        for sight in (spot.oracle, spot.probe)
    }
    # What docs/evaluate.md says; another machine's rounding may turn an answer over.
    assert scores == pytest.approx(
        {
            ("night", "oracle,"): 1.000,
            ("night", "linear"): 0.825,
            ("raining", "oracle,"): 0.500,
            ("raining", "linear"): 0.925,
        },
        abs=0.051,
    )
