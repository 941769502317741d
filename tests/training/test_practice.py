"""An oracle learns on from another, and from its own answers as they are graded."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from activation_oracles.errors import ConfigError
from activation_oracles.evals.grade import exact
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.training.config import Lora, Practice
from activation_oracles.training.loop import train
from activation_oracles.training.parts import lay_out
from activation_oracles.training.practice import Practising, advantages, reward
from activation_oracles.training.prepare import prepare
from activation_oracles.training.readahead import read
from training_runs import changed

HOW = Practice(samples=4, temperature=1.5, max_new_tokens=4, closeness=0.0)


def quiet(steps):
    yield from steps


@pytest.fixture
def started(config):
    """Return settings that learn on from a run of six steps, and that run's folder."""
    plain = changed(config, lora=Lora(rank=4, alpha=8, dropout=0.0), max_steps=6)
    folder = train(plain, progress=quiet)
    again = changed(plain, output=f"{config.output}-on", start=str(folder), max_steps=2)
    return again, folder


def test_a_run_learns_on_from_the_weights_it_starts_with(started):
    config, before = started
    still = train(changed(config, learning_rate=1e-30), progress=quiet)
    held, was = (load_file(at / "adapter_model.safetensors") for at in (still, before))
    assert held.keys() == was.keys()
    assert all(torch.allclose(held[name], was[name], atol=1e-6) for name in was)
    moved = train(changed(config, output=f"{config.output}-moved"), progress=quiet)
    weights = load_file(moved / "adapter_model.safetensors")
    assert any(not torch.equal(weights[name], was[name]) for name in was)
    assert len(weights) == len(was)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora": Lora(rank=2, alpha=4, dropout=0.0)}, "rank"),
        ({"lora": Lora(rank=4, alpha=16, dropout=0.0)}, "scaled by"),
        ({"injection_block": 0}, "block 1"),
        ({"start": None, "practice": HOW}, "as `start`"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(started, settings, message):
    with pytest.raises(ConfigError, match=message):
        train(changed(started[0], **settings), progress=quiet)


def test_practice_without_a_rule_is_refused(started):
    with pytest.raises(ConfigError, match="hand over a rule"):
        train(changed(started[0], practice=HOW), progress=quiet)


def test_an_answer_is_worth_what_it_earns_above_the_others(make_examples):
    earned = torch.tensor([[1.0, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0]])
    worth = advantages(earned)
    assert worth.sum(dim=1).abs().max() < 1e-6
    assert worth[0].tolist() == pytest.approx([2, -2 / 3, -2 / 3, -2 / 3])
    assert not worth[1].any()
    one = replace(make_examples(1)[0], answer="moon")
    how = Practice(wrong=0.5, abstained=0.2)
    assert reward("Moon.", one, how, exact) == 1
    assert reward("boat", one, how, exact) == -0.5
    assert reward("I cannot tell.", one, how, exact) == 0.2
    unanswerable = replace(one, answer="I cannot tell.")
    assert reward("I cannot tell.", unanswerable, how, exact) == 1
    assert reward("moon", unanswerable, how, exact) == -0.5


def test_the_gradient_is_that_of_the_answers_weighted_by_what_they_are_worth(started, monkeypatch):
    config, _ = started
    run = prepare(changed(config, practice=HOW))
    batch = next(iter(run.windows(0)))[0]
    said = []
    draw = run.oracle.samples

    def watched(*arguments):
        said.extend(draw(*arguments))
        return said

    monkeypatch.setattr(run.oracle, "samples", watched)
    practising = Practising(run, HOW, exact)
    share, readings = lay_out(run, batch), read(run, batch)
    loss = practising.learn(share, readings, 0)
    found = {name: one.grad.clone() for name, one in run.parameters.items()}
    indices = [index for part in share.parts for index in part.indices]
    earned = torch.tensor(
        [
            [reward(one.text, run.examples[index], HOW, exact) for one in drawn]
            for index, drawn in zip(indices, said, strict=True)
        ]
    )
    assert loss.item() == pytest.approx(-earned.mean().item(), abs=1e-6)
    for parameter in run.parameters.values():
        parameter.grad = None
    for index, drawn, worth in zip(indices, said, advantages(earned), strict=True):
        for one, weight in zip(drawn, worth, strict=True):
            shown = readings.vectors[index]
            batch = run.oracle.collate_drawn([run.examples[index]], [shown], [one])
            with run.oracle.speaking(batch) as likelihoods:
                (-weight * likelihoods.sum() / (len(indices) * HOW.samples)).backward()
    for name, parameter in run.parameters.items():
        assert torch.allclose(found[name], parameter.grad, atol=1e-6)


def has_an_e(said, _true):
    """Grade what even an oracle that knows nothing gets right now and then."""
    return float("e" in said)


def chance_of_an_e(oracle, examples):
    """Return how likely the first token of an answer is one that earns, exactly."""
    tokenizer = oracle.model.tokenizer
    earning = ["e" in tokenizer.decode([token]) for token in range(len(tokenizer))]
    asked = oracle._asker.asked(examples, Target(oracle.model).vectors(examples), answered=False)
    with oracle.model.using(oracle.adapter), torch.no_grad():
        begun = oracle._asker._begun(asked, 1, 1)
    return begun.following.exp()[:, torch.tensor(earning)].sum(dim=1).mean().item()


def test_practice_makes_what_earns_more_likely(started, make_examples):
    config, before = started
    practised = changed(
        config,
        practice=Practice(samples=32, max_new_tokens=1, closeness=0.01),
        max_steps=20,
        epochs=20,
        learning_rate=1e-2,
    )
    folder = train(practised, grade=has_an_e, progress=quiet)
    was, now = (
        chance_of_an_e(Oracle.from_pretrained(str(at)), make_examples(16))
        for at in (before, folder)
    )
    # A random model's output layer lets no token become much likelier than another.
    assert now > 1.05 * was
    assert json.loads((folder / "ao_config.json").read_text())["training"]["config"]["practice"]


def test_closeness_keeps_it_near_the_oracle_that_it_was(started, make_examples):
    config, before = started
    examples = make_examples(8)
    apart = []
    for number, closeness in enumerate((0.0, 5.0)):
        folder = train(
            changed(
                config,
                output=f"{config.output}-{number}",
                practice=Practice(samples=6, max_new_tokens=3, closeness=closeness),
                max_steps=12,
                epochs=20,
                learning_rate=1e-2,
            ),
            grade=has_an_e,
            progress=quiet,
        )
        was, now = (Oracle.from_pretrained(str(at)) for at in (before, folder))
        vectors = Target(was.model).vectors(examples)
        pairs = zip(was.losses(examples, vectors), now.losses(examples, vectors), strict=True)
        apart.append(sum(abs(one - other) for one, other in pairs))
    assert apart[1] < apart[0]
