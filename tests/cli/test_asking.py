"""Who stands beside an oracle in the table: on an organism of the shipped village."""

import pytest

from activation_oracles.cli.asking import BACKGROUND, Asking, background_of
from activation_oracles.cli.main import main
from activation_oracles.evals.answerers import Remembering
from activation_oracles.evals.evaluation import run, table
from activation_oracles.evals.grade import exact
from activation_oracles.types import Example
from activation_oracles.world.interviews import InterviewPlan, interview
from activation_oracles.world.load import load_demo

WORDS = ("apple", "bell", "cake", "moon", "shark")


@pytest.fixture(scope="module")
def demo():
    return load_demo()


@pytest.fixture(scope="module")
def examples(demo):
    (card,) = (card for card in demo.organisms if card.name == "taboo_cake")
    plan = InterviewPlan(num_prompts=2, num_wordings=1)
    return [query.example for query in interview(demo.target("taboo_cake"), card.secret, plan)]


def lenses(demo, examples, *, organism, closed):
    """Return who reads and asks without training, with the two controls that a table needs."""
    choices = {one.task: WORDS for one in examples}
    asking = Asking(demo.oracle, {"": demo.target(organism)}, choices, 4, seed=0)
    return asking.lenses(Remembering(asking.target.vectors), examples, closed=closed)


@pytest.mark.parametrize("closed", [True, False])
def test_an_organism_is_set_against_its_base_and_every_answer_is_scored(demo, examples, closed):
    found = lenses(demo, examples, organism="taboo_cake", closed=closed)
    rows = table(run(examples, found, exact))
    choosing = ", forced choice" if closed else ""
    assert {row.who for row in rows} == {
        "logit lens",
        "tuned token list",
        f"patchscopes{choosing}",
        f"SelfIE{choosing}",
        "target asked in words, reply begun",
        "target asked in words, without the text",
        "activation-difference lens",
        "base asked in words",
    }
    assert all(row.estimate is not None and row.num_unscorable == 0 for row in rows)
    assert demo.model.adapters.active is None
    score = {row.who: row.estimate.score for row in rows if row.estimate and row.task == "taboo"}
    # The secret is in all that was added to the stream; asked in words, the organism keeps it.
    assert score["activation-difference lens"] == 1
    assert score["target asked in words, without the text"] == 0


def test_of_a_single_secret_no_donor_is_asked_and_its_line_has_no_score(demo, examples):
    targets = {"": demo.target("taboo_cake")}
    asking = Asking(demo.oracle, targets, {}, 4, seed=0, donors_differ=True)
    found = asking.oracles(Remembering(asking.target.vectors), closed=False)
    for row in table(run(examples, found, exact)):
        assert (row.estimate is None) == (row.control == "donor"), row


def test_the_bare_target_has_no_difference_to_look_at(demo, examples):
    found = lenses(demo, examples, organism=None, closed=True)
    assert not {"activation-difference lens", "base asked in words"} & {one.name for one in found}


def test_a_background_is_drawn_from_training_and_read_at_every_layer_asked():
    def example(number, layers):
        return Example((number,), (0,), layers, "?", "a", "t", f"text {number}")

    training = [example(number, (1,)) for number in range(100)]
    asked = [example(200, (2,)), example(201, (0, 3))]
    drawn = background_of(training, asked, seed=1)
    assert len({one.source for one in drawn}) == BACKGROUND
    assert {one.layers for one in drawn} == {(0, 2, 3)}
    assert drawn == background_of(training, asked, seed=1) != background_of(training, asked, seed=2)
    assert len(background_of(training[:3], asked, seed=1)) == 3


@pytest.mark.parametrize("name", ["eval", "calibrate", "depth"])
def test_a_limit_below_0_is_refused_before_anything_is_read(name, capsys):
    assert main([name, "--oracle", "nowhere", "--data", "nowhere", "--limit", "-3"]) == 2
    assert "A limit is a number of examples" in capsys.readouterr().err
