"""A run is its settings and its data: however it is cut up, it ends in the same weights."""

import json
import logging
import platform

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

import activation_oracles
from activation_oracles.errors import ConfigError
from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.oracle.inspection import inspect
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.oracle.prompt import Template
from activation_oracles.training import checkpoint
from activation_oracles.training.config import Lora, TrainConfig
from activation_oracles.training.loop import steps, train
from activation_oracles.training.prepare import prepare
from activation_oracles.types import Example
from training_runs import KilledError, killed_after

NUM_STEPS = 12


def quiet(found):
    return found


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def changed(config, **fields) -> TrainConfig:
    return config.model_copy(update=fields)


@pytest.fixture(scope="module")
def uninterrupted(tiny_model, data, tmp_path_factory, request):
    return {}


@pytest.mark.parametrize("kills", [(1,), (3,), (4,), (6,), (11,), (2, 5, 8)])
def test_a_run_killed_at_any_step_and_resumed_ends_in_the_same_weights(
    config, kills, tmp_path, uninterrupted
):
    if not uninterrupted:
        whole = train(changed(config, output=str(tmp_path / "whole")), progress=quiet)
        uninterrupted.update(weights(whole))
    metrics = tmp_path / "run" / "metrics.jsonl"
    for number, kill in enumerate(kills):
        torch.manual_seed(number)  # whatever the next process starts with
        with pytest.raises(KilledError):
            train(changed(config, resume=number > 0), progress=killed_after(kill))
        with metrics.open("a") as file:
            file.write('{"step": 99, "lo')
    resumed = train(changed(config, resume=True), progress=quiet)
    assert weights(resumed).keys() == uninterrupted.keys()
    for name, weight in weights(resumed).items():
        assert torch.equal(weight, uninterrupted[name]), name
    lines = [json.loads(line) for line in (resumed / "metrics.jsonl").read_text().splitlines()]
    logged = [line["step"] for line in lines if "loss" in line]
    assert logged == [2, 3, 4, 6, 8, 9, 10, 12]


def test_a_run_killed_while_it_saves_keeps_the_checkpoint_before(config, monkeypatch):
    def write_half(tensors, path):
        path.write_bytes(b"half a fi")
        raise KilledError

    def watch(found):
        for one in found:
            yield one
            if one.done == 4:
                monkeypatch.setattr(checkpoint, "save_file", write_half)

    with pytest.raises(KilledError):
        train(config, progress=watch)
    kept = checkpoint.latest(prepare(changed(config, resume=True)).output)
    assert kept is not None
    assert kept.name == "step-000000003"


def test_an_oracle_that_learned_depths_in_percent_is_asked_in_percent(config, monkeypatch):
    folder = train(changed(config, header="percent", max_steps=2), progress=quiet)
    written = json.loads((folder / "ao_config.json").read_text())["prefix_template"]
    assert written == "Layer: {percent}%\\n{special_token} * {num_positions} \\n"
    oracle = Oracle.from_pretrained(str(folder))
    shown = []
    build = Template.build

    def watched(self, *arguments):
        prompt = build(self, *arguments)
        shown.append(self.tokenizer.decode(prompt.ids))
        return prompt

    monkeypatch.setattr(Template, "build", watched)
    reading = Target(oracle.model).read("The old mill.", layers=[1, 2], positions=-1)
    oracle.ask(reading, "What is it?")
    oracle.choose(reading, "What is it?", ["a mill", "a boat"])
    oracle.sweep(reading, "What is it?")
    example = Example((5, 6, 7), (2,), (3,), "What is it?", "a mill", "t", "s")
    oracle.losses([example], [reading.vectors[:1]])
    asked = [text for text in shown if "What is it?" in text]
    assert len(asked) == 7
    assert all("%\n ?" in text for text in asked)
    assert "Layer: 25%\n ? \nLayer: 50%\n ? \n" in asked[0]
    assert "Layer: 75%\n ? \n" in asked[-1]


def test_where_how_and_how_strongly_vectors_are_written_is_learned_and_stands_in_the_card(config):
    plain = changed(config, max_steps=2)
    settings = {"injection_block": 0, "strength": 2.0, "injection_mode": "replace"}
    cards, losses = [], []
    for number, changes in enumerate([{}, *({name: settings[name]} for name in settings)]):
        output = f"{config.output}-{number}"
        folder = train(changed(plain, output=output, **changes), progress=quiet)
        cards.append(json.loads((folder / "ao_config.json").read_text()))
        losses.append(json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])["loss"])
    assert len(set(losses)) == 4
    names = ("hook_onto_layer", "steering_coefficient", "injection_mode")
    assert [cards[0][name] for name in names] == [1, 1.0, "add"]
    assert [cards[n][names[n - 1]] for n in (1, 2, 3)] == list(settings.values())


def test_an_adapter_of_some_blocks_changes_no_other(config):
    lora = Lora(rank=4, alpha=8, dropout=0.0, blocks=(1, 2))
    folder = train(changed(config, lora=lora, max_steps=2), progress=quiet)
    names = set(load_file(folder / "adapter_model.safetensors"))
    assert {name.split(".layers.")[1].split(".")[0] for name in names} == {"1", "2"}
    assert {"mlp", "self_attn"} == {name.split(".")[-4] for name in names}
    oracle = Oracle.from_pretrained(str(folder))
    assert set(oracle.model.adapters.parameters(oracle.adapter))


def test_learning_lowers_the_loss(config):
    longer = changed(config, epochs=10, lora=Lora(rank=8, alpha=16, dropout=0.0))
    folder = train(longer, progress=quiet)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] - 0.5


def test_the_result_is_an_oracle_that_says_how_it_was_made(config, tiny_model):
    model = load(str(tiny_model), device="cpu")
    folder = train(config, model=model, progress=quiet)
    oracle = Oracle.from_pretrained(str(folder), model=model)
    assert oracle.card.trained_layers == (1, 2)
    assert oracle.card.training["config"]["learning_rate"] == config.learning_rate
    assert set(oracle.card.scores["held_out"]) == {"even", "odd"}
    assert TrainConfig.load(folder / "config.yaml") == config
    assert oracle.card.training["versions"] == {
        "activation-oracles": activation_oracles.__version__,
        "python": platform.python_version(),
        **{one.__name__: one.__version__ for one in (torch, transformers, peft)},
    }
    assert inspect(str(folder)).package_version == activation_oracles.__version__


def test_training_touches_neither_the_base_model_nor_the_random_numbers(config, tiny_model):
    model = load(str(tiny_model), device="cpu")
    before = Target(model).read("The old mill stands.", layers=[2])
    np.random.seed(7)
    torch.manual_seed(7)
    # Not Python's own numbers: the run-time type checks of these tests draw from them.
    expected = (torch.get_rng_state(), np.random.get_state()[1].tolist())
    train(changed(config, gradient_checkpointing=True), model=model, progress=quiet)
    assert torch.equal(
        before.vectors, Target(model).read("The old mill stands.", layers=[2]).vectors
    )
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert np.random.get_state()[1].tolist() == expected[1]


@pytest.mark.parametrize(
    "change", [{"accumulate": 4}, {"part_tokens": 100}, {"gradient_checkpointing": True}]
)
def test_a_batch_in_parts_or_with_less_memory_is_the_same_step(config, change, tmp_path):
    # Rank 8 is where this model's adapter is merged.
    plain = changed(config, lora=Lora(rank=8, alpha=16, dropout=0.0), max_steps=3)
    other = changed(plain, output=str(tmp_path / "other"), **change)
    expected = weights(train(plain, progress=quiet))
    for name, weight in weights(train(other, progress=quiet)).items():
        assert torch.allclose(weight, expected[name], atol=1e-4), name


def test_the_longest_batch_is_tried_first_and_leaves_no_trace(config, monkeypatch):
    run = prepare(config)
    before = {name: one.detach().clone() for name, one in run.parameters.items()}
    collated = []
    original = run.oracle.lay_out

    def watch(prompts, shows):
        collated.append(max(len(one.slots) for one in prompts))
        return original(prompts, shows)

    monkeypatch.setattr(run.oracle, "lay_out", watch)
    first = next(iter(steps(run)))
    assert first.done == 1
    assert collated[0] == max(len(one.positions) * len(one.layers) for one in run.examples)
    # The published schedule starts from rate 0, so one step moves nothing either.
    for name, one in run.parameters.items():
        assert torch.equal(one, before[name]), name


def test_a_batch_that_does_not_fit_says_what_to_do(config, monkeypatch):
    run = prepare(config)

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(run.oracle, "lay_out", full)
    with pytest.raises(ConfigError, match="accumulate"):
        next(iter(steps(run)))


def test_quantised_weights_are_asked_for_and_named_and_the_adapter_stays_in_fp32(
    config, monkeypatch
):
    def quantised(name, **how):
        model = load(name, dtype="bfloat16", device="cpu")
        model.network.config.quantization_config = {f"load_in_{how['quantize']}": True}
        return model

    monkeypatch.setattr("activation_oracles.training.prepare.load", quantised)
    run = prepare(changed(config, quantize="8bit"))
    assert run.oracle.card.quantization == run.identity["quantize"] == "8bit"
    assert {one.dtype for one in run.parameters.values()} == {torch.float32}
    with pytest.raises(ConfigError, match="quantize is 4bit, but the model"):
        prepare(changed(config, quantize="4bit"), load(config.model, device="cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the weights of another device would differ")
def test_a_map_over_one_device_ends_in_the_same_weights(config, tmp_path):
    short = changed(config, max_steps=2)
    mapped = changed(short, device=None, device_map="auto", output=str(tmp_path / "mapped"))
    expected = weights(train(short, progress=quiet))
    for name, weight in weights(train(mapped, progress=quiet)).items():
        assert torch.equal(weight, expected[name]), name


@pytest.fixture(autouse=True)
def no_logging():
    logging.getLogger("transformers").setLevel(logging.ERROR)
