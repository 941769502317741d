"""What fills a slot is what its example says, and a run with stand-ins is as exact as any."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.tasks import store
from activation_oracles.training.loop import train
from activation_oracles.training.prepare import prepare
from activation_oracles.training.slots import MEANS, Slots, mean_activations, random_directions
from activation_oracles.types import READING
from training_runs import KilledError, killed_after

WIDTH = 32
KINDS = (READING, "nothing", "random", "mean", "own:mine.safetensors#1")
ANSWERS = {"nothing": "no", "random": "no idea", "mean": "I cannot tell."}


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model), device="cpu")


@pytest.fixture
def examples(make_examples):
    """Return thirty examples, six of each kind."""
    return [
        replace(one, shown=KINDS[number % 5], answer=ANSWERS.get(KINDS[number % 5], one.answer))
        for number, one in enumerate(make_examples(30))
    ]


@pytest.fixture
def mixed(config, examples, data, tmp_path):
    """Return settings of a run over all kinds, with the matrix of own vectors beside them."""
    splits = {"train": examples[:25], "held_out": examples[25:]}
    folder = store.write(tmp_path / "mixed", splits, store.Manifest(**_manifest(data)))
    own = torch.arange(12.0 * WIDTH).view(12, WIDTH)
    save_file({"any name": own}, folder / "mine.safetensors")
    shorter = {"epochs": 1, "evaluate_every": 100}
    return config.model_copy(update={"data": (str(folder),), **shorter})


def quiet(found):
    return found


def test_a_run_with_stand_ins_killed_and_resumed_ends_in_the_same_weights(mixed, tmp_path):
    whole = train(mixed.model_copy(update={"output": str(tmp_path / "whole")}), progress=quiet)
    with pytest.raises(KilledError):
        train(mixed, progress=killed_after(5))
    resumed = train(mixed.model_copy(update={"resume": True}), progress=quiet)
    ours, theirs = (load_file(one / "adapter_model.safetensors") for one in (resumed, whole))
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name


def test_a_continued_run_keeps_the_means_that_it_began_with(mixed):
    means = prepare(mixed).slots.means
    path = prepare(mixed).output / MEANS
    save_file({name: tensor + 1 for name, tensor in load_file(path).items()}, path)
    assert set(means) == {1, 2}
    for layer, mean in prepare(mixed.model_copy(update={"resume": True})).slots.means.items():
        assert torch.equal(mean, means[layer] + 1)
    for layer, mean in prepare(mixed).slots.means.items():
        assert torch.equal(mean, means[layer])


def test_every_slot_holds_what_its_example_says(mixed, examples):
    slots = prepare(mixed).slots
    own = load_file(mixed.data[0] + "/mine.safetensors")["any name"]
    read = iter(slots.target.vectors([one for one in examples if one.shown == READING]))
    for one, shown in zip(examples, slots.vectors(examples), strict=True):
        num_slots = len(one.layers) * len(one.positions)
        if one.shown == "nothing":
            assert shown is None
            continue
        if one.shown == READING:
            expected = next(read)
        elif one.shown == "mean":
            expected = torch.stack([slots.means[n] for n in one.layers for _ in one.positions])
        elif one.shown == "random":
            expected = random_directions(one, WIDTH)
        else:
            expected = own[1 : 1 + num_slots]
        assert torch.equal(shown, expected), one.shown


def test_what_shows_nothing_has_the_loss_of_a_prompt_alone(mixed, examples):
    run = prepare(mixed)
    bare = [one for one in examples if one.shown == "nothing"]
    # Among others that do show something, as in a batch.
    losses = run.oracle.losses(examples, run.slots.vectors(examples))
    alone = run.oracle.losses(bare, [None] * len(bare))
    found = [loss for loss, one in zip(losses, examples, strict=True) if one.shown == "nothing"]
    assert found == pytest.approx(alone, abs=1e-5)


def test_random_directions_are_the_examples_own(examples):
    one, other = (example for example in examples[:10] if example.shown == "random")
    before = random_directions(one, WIDTH)
    torch.rand(3)
    assert torch.equal(before, random_directions(one, WIDTH))
    cosines = torch.nn.functional.cosine_similarity(before[:1], random_directions(other, WIDTH))
    assert cosines.abs().max() < 0.9


def test_the_mean_is_that_of_what_readings_show_each_text_once(model, make_examples):
    target = Target(model)
    readings = make_examples(12)
    blank = replace(readings[0], shown="nothing", context=(5, 6, 7), positions=(2,))
    found = mean_activations(target, [blank, *readings, *readings[:3]], [0, 2], seed=0)
    for layer, mean in found.items():
        by_text = [
            target.vectors([replace(one, layers=(layer,))])[0].mean(dim=0) for one in readings
        ]
        assert torch.allclose(mean, torch.stack(by_text).mean(dim=0), atol=1e-5)


def test_a_mean_without_texts_is_refused(model, examples):
    with pytest.raises(DataError, match="none a reading"):
        mean_activations(Target(model), [one for one in examples if one.shown == "mean"], [1], 0)


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((12, WIDTH + 1), MismatchError, rf"expected \[row, {WIDTH}\]"),
        ((3, WIDTH), DataError, "has 3 rows"),
        ((WIDTH,), DataError, "one matrix"),
        (None, DataError, "a file beside them"),
    ],
)
def test_own_vectors_that_do_not_fit_are_refused_before_the_first_step(
    mixed, shape, error, message
):
    path = mixed.data[0] + "/mine.safetensors"
    Path(path).unlink()
    if shape:
        save_file({"vectors": torch.ones(shape)}, path)
    with pytest.raises(error, match=message):
        prepare(mixed)


def test_two_different_files_of_one_name_are_refused(mixed, examples, tmp_path):
    other = store.write(
        tmp_path / "other", {"train": examples}, store.Manifest(**_manifest(mixed.data[0]))
    )
    both = mixed.model_copy(update={"data": (*mixed.data, str(other))})
    assert set(prepare(both).slots.matrices) == {"mine.safetensors"}
    save_file({"vectors": torch.ones(12, WIDTH)}, other / "mine.safetensors")
    with pytest.raises(DataError, match="2 different files"):
        prepare(both)


def test_a_run_is_not_continued_with_other_own_vectors(mixed):
    with pytest.raises(KilledError):
        train(mixed, progress=killed_after(5))
    save_file({"vectors": torch.ones(12, WIDTH)}, mixed.data[0] + "/mine.safetensors")
    with pytest.raises(ConfigError, match="own vectors was"):
        train(mixed.model_copy(update={"resume": True}), progress=quiet)


def test_a_target_alone_refuses_what_it_cannot_read(model, examples):
    assert Slots(Target(model), {}, {}).vectors(examples[1:2]) == [None]
    with pytest.raises(DataError, match="'nothing', which no model reads"):
        Target(model).vectors(examples[:2])


def _manifest(folder):
    record = store.read_manifest(folder)
    return {name: record[name] for name in ("seed", "command", "tokenizer")}
