"""Slots are held to words: which, to what, how far they are apart, and closer after training."""

import json
from dataclasses import replace

import pytest
import torch

from activation_oracles.errors import ConfigError
from activation_oracles.models.load import load
from activation_oracles.tasks import store
from activation_oracles.tasks.task import random_for
from activation_oracles.training import loop
from activation_oracles.training.config import Grounding, Lora, Practice
from activation_oracles.training.grounding import block_of, holds
from activation_oracles.training.loop import train
from activation_oracles.training.parts import lay_out
from activation_oracles.training.prepare import prepare
from activation_oracles.training.readahead import read
from training_runs import RECITAL, changed

HOW = Grounding(weight=2.0, tasks=("recital",), slots=3)


@pytest.fixture
def grounded(config, tmp_path):
    """Return settings whose data are recitals, held to words, and other examples, not held."""
    numbers, examples = random_for(0, "recitals"), []
    for number in range(24):
        context = tuple(numbers.randrange(3, 300) for _ in range(8))
        wide = number % 3 > 0
        examples.append(
            replace(
                RECITAL,
                context=context,
                positions=tuple(range(2, 7)) if wide else (2, 4, 6),
                question="What is it?" if number % 2 else "What is the secret word of this?",
                task="recital/long" if wide else "other",
                source=f"text {number}",
            )
        )
    tokenizer = load(config.model, device="cpu").tokenizer_hash
    manifest = store.Manifest(seed=0, command="a test", tokenizer=tokenizer)
    folder = store.write(tmp_path / "data", {"train": examples, "held_out": []}, manifest)
    return changed(
        config,
        data=(str(folder),),
        grounding=HOW,
        lora=Lora(rank=4, alpha=8, dropout=0.0),
        batch_size=12,
        evaluate_examples=0,
    )


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"task": "recital/long"}, True),
        ({"task": "recitals"}, False),
        ({"positions": (1, 2, 4)}, False),
        ({"positions": (1, 2)}, False),
        ({"layers": (1, 2)}, False),
        ({"shown": "random"}, False),
    ],
)
def test_one_layer_of_tokens_in_a_row_is_held_to_its_words(change, held):
    assert holds(HOW, replace(RECITAL, **change)) == held


def by_hand(run, index):
    """Return how far apart both streams are, by whole forward passes without any hook of ours."""
    example = run.examples[index]
    [prompt] = run.oracle.prompts([example])
    network, block = run.oracle.model.network, run.config.lora.blocks or (3,)
    first, ids = prompt.slots[0], torch.tensor([prompt.ids])
    told = ids.clone()
    told[0, list(prompt.slots)] = torch.tensor([example.context[p] for p in example.positions])
    [vectors] = run.slots.vectors([example])

    def write(_block, _inputs, output):
        stream = (output[0] if isinstance(output, tuple) else output).clone()
        for slot, vector in zip(prompt.slots, vectors, strict=True):
            stream[0, slot] += stream[0, slot].norm() * vector / vector.norm()
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    layer = max(block) + 1
    with torch.no_grad(), run.oracle.model.using(None):
        aim = network(input_ids=told, output_hidden_states=True).hidden_states[layer][0, first:]
    with torch.no_grad(), run.oracle.model.using(run.oracle.adapter):
        place = run.oracle.model.blocks.stack[run.config.injection_block]
        handle = place.register_forward_hook(write)
        found = network(input_ids=ids, output_hidden_states=True).hidden_states[layer][0, first:]
        handle.remove()
    return float(((found - aim).square().sum(-1) / aim.square().sum(-1)).mean())


@pytest.mark.parametrize("cut", [{}, {"accumulate": 3}, {"gradient_checkpointing": True}])
def test_what_it_costs_is_the_weighted_mean_of_the_distances(grounded, cut):
    run = prepare(changed(grounded, lora=Lora(rank=4, alpha=8, dropout=0.0, blocks=(2,)), **cut))
    torch.manual_seed(0)
    for parameter in run.parameters.values():
        parameter.data.normal_(std=0.1)
    batch = next(run.windows(0))[0]
    held = [index for index in batch if run.examples[index].task == "recital/long"]
    assert 0 < len(held) < len(batch)
    learned = loop._learn(run, lay_out(run, batch), read(run, batch))
    expected = HOW.weight * sum(by_hand(run, index) for index in held) / len(batch)
    assert float(learned.apart) == pytest.approx(expected, rel=1e-4)
    assert block_of(run.config, run.oracle.model.num_layers) == 2


def test_its_gradient_is_added_to_the_answers(grounded):
    found = {}
    for weight in (0.0, 1.0, 3.0):
        run = prepare(changed(grounded, grounding=HOW.model_copy(update={"weight": weight})))
        batch = next(run.windows(0))[0]
        learned = loop._learn(run, lay_out(run, batch), read(run, batch))
        assert (learned.apart is None) == (weight == 0)
        found[weight] = torch.cat([one.grad.flatten() for one in run.parameters.values()])
    one, three = found[1.0] - found[0.0], found[3.0] - found[0.0]
    assert one.norm() > 0
    assert (three - 3 * one).norm() < 1e-3 * three.norm()


def test_training_brings_slots_closer_to_words(grounded):
    def apart(folder, weight):
        how = HOW.model_copy(update={"weight": weight})
        settings = changed(grounded, output=folder, grounding=how, epochs=20, max_steps=30)
        home = train(settings, progress=lambda steps: steps)
        lines = (home / "metrics.jsonl").read_text().splitlines()
        return [line["grounding"] for line in map(json.loads, lines) if "grounding" in line]

    held = apart(f"{grounded.output}-held", 2.0)
    assert held[-1] < 0.7 * held[0]
    assert apart(f"{grounded.output}-free", 0.0) == []


@pytest.mark.parametrize(
    ("grounding", "message"),
    [
        ({"block": 1}, "grounding.block is 1"),
        ({"block": 9}, "up to 3"),
        ({"tasks": ("rectal",)}, "No example"),
        ({"slots": 6}, "No example"),
    ],
)
def test_what_cannot_be_held_is_refused_before_the_first_step(grounded, grounding, message):
    with pytest.raises(ConfigError, match=message):
        prepare(changed(grounded, grounding=HOW.model_copy(update=grounding)))


@pytest.mark.parametrize("change", [{"practice": Practice(samples=2)}, {"shard": True}])
def test_it_goes_with_true_answers_on_whole_models(grounded, change):
    with pytest.raises(ConfigError, match="without `practice` or `shard`"):
        changed(grounded, **change)
