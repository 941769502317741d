"""What was added to a stream is read from it, and only while it is added."""

from dataclasses import replace

import pytest
import torch

from activation_oracles.evals.subjects import Own
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.steering import STRENGTHS, detection
from activation_oracles.models.push import Push
from activation_oracles.models.steered import Steered
from activation_oracles.world.suites import village


@pytest.fixture(scope="module")
def given(demo):
    whole = village(demo, layers=(4,), limit=0)
    return replace(
        whole, prompts={**whole.prompts, "concepts": ("moon", "hammer", "wolf", "train")}
    )


@pytest.fixture(scope="module")
def drawn(demo, given):
    evaluation = detection(given)
    targets = {"": demo.target()}
    targets |= evaluation.made(targets[""])
    return evaluation, targets, evaluation.drawn(targets)


def test_a_steered_target_is_its_base_but_for_what_is_added(demo, drawn):
    _, targets, rows = drawn
    base = targets[""]
    before = base.vectors(rows[:2])
    idle = Steered(base, [Push(3, torch.zeros_like(before[0][:1]))], name="idle")
    for ours, theirs in zip(idle.vectors(rows[:2]), before, strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(targets[rows[0].subject].vectors(rows[:2]), before, strict=True):
        assert (ours - theirs).norm(dim=-1).min() > 1e-2
    assert torch.equal(base.vectors(rows[:1])[0], before[0])
    assert "moon" in targets["steered to moon, 1"].provenance.history[-1]
    assert not base.provenance.history


def test_rows_never_show_the_word_that_is_steered_to(demo, drawn):
    evaluation, _, rows = drawn
    assert {one.task for one in rows} == {f"steering, strength {one:g}" for one in STRENGTHS}
    assert {one.unit for one in rows} == {"moon", "hammer", "wolf", "train"}
    assert evaluation.choices[rows[0].task] == ("moon", "hammer", "wolf", "train")
    for one in rows:
        assert one.answer not in demo.model.tokenizer.decode(one.context)


def test_an_oracle_tells_what_is_steered_to_and_not_from_the_base(demo, drawn):
    evaluation, targets, rows = drawn
    strong = [one for one in rows if one.task == "steering, strength 1"]
    own = Own({name: target.vectors for name, target in targets.items()})

    def share(vectors):
        said = demo.oracle.answer(strong, vectors, max_new_tokens=4)
        return sum(evaluation.grade(t, one.answer) for t, one in zip(said, strong, strict=True))

    assert share(own(strong)) > share(targets[""].vectors(strong)) + len(strong) / 10


def test_steering_is_asked_of_any_model_that_talks(demo):
    evaluation = detection(Given(layers=(4,), limit=2))
    targets = {"": demo.target()}
    targets |= evaluation.made(targets[""])
    rows = evaluation.drawn(targets)
    assert len(rows) == 2 * len(STRENGTHS) * 3
    assert len(evaluation.choices[rows[0].task]) == 2
