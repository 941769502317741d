"""A recipe is the settings of a whole run, and a run makes its own data."""

from pathlib import Path

import pytest
import tyro
import yaml

from activation_oracles.cli.train import Train
from activation_oracles.errors import ConfigError, DataError
from activation_oracles.models.blocks import layer_at
from activation_oracles.tasks import store
from activation_oracles.tasks.build import build
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.loop import train
from activation_oracles.training.recipes import RECIPES, Sources, settings_of


def resolved(*arguments) -> TrainConfig:
    return tyro.cli(Train, args=["--model", "m", "--output", "o", *map(str, arguments)]).resolved()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_the_settings_of_a_run_and_survives_yaml(name):
    config = resolved("--recipe", name, "--scale", 0.01)
    assert config.mixture is not None
    assert TrainConfig(**yaml.safe_load(config.as_yaml())) == config


def test_the_published_sizes_are_those_of_the_paper():
    whole = resolved("--recipe", "paper").mixture
    counted = {task.name: task.expects for task in whole.tasks}
    assert counted["latentqa"] == 64_840
    assert sum(n for name, n in counted.items() if name.startswith("classification")) == 378_000
    assert (whole.seed, whole.layer_percents) == (42, (25.0, 50.0, 75.0))


def test_ablations_leave_out_what_they_are_named_for():
    def kinds(name):
        return {task.kind for task in resolved("--recipe", name).mixture.tasks}

    assert kinds("spqa-only") == {"system_prompt"}
    assert kinds("classification-only") == {"published_group"}
    assert kinds("spqa+classification") == {"system_prompt", "published_group"}
    cut = resolved("--recipe", "truncated", "--scale", 0.1).mixture
    assert {task.kind for task in cut.tasks} == kinds("paper")
    assert cut.num_examples == round(0.1 * (64_840 + 378_000))


@pytest.mark.parametrize(("name", "layers", "times"), [("3L-1N", 3, 1), ("6L-6N", 6, 6)])
def test_several_layers_are_shown_together(name, layers, times):
    mixture = resolved("--recipe", name).mixture
    assert len(mixture.layer_percents) == layers
    assert {task.layers for task in mixture.tasks} == {"together"}
    groups = [task for task in mixture.tasks if task.kind == "published_group"]
    assert all(len(task.windows) == 2 * times for task in groups)


@pytest.mark.parametrize(
    ("name", "num_layers", "layers", "strength"),
    [
        ("paper", 36, (9, 18, 27), 1.0),
        ("3L-3N", 42, (10, 21, 31), 1.0),
        ("6L-1N", 36, (5, 10, 16, 21, 27, 32), 1.0),
        ("6L-6N", 80, (12, 24, 36, 48, 60, 72), 1.0),
        ("neighbours", 36, (21, 22, 23, 24, 25), 2.0),
    ],
)
def test_layers_and_strength_are_the_published_ones(name, num_layers, layers, strength):
    config = resolved("--recipe", name)
    found = tuple(layer_at(num_layers, one) for one in config.mixture.layer_percents)
    assert (found, config.strength) == (layers, strength)


@pytest.mark.parametrize(
    ("name", "count", "neighbours", "strength"),
    [
        ("random-1L", 3, False, 1.0),
        ("random-3L-1N", 3, False, 1.0),
        ("random-neighbours", 5, True, 2.0),
    ],
)
def test_random_recipes_draw_from_all_blocks(name, count, neighbours, strength):
    config = resolved("--recipe", name)
    drawn = config.mixture.drawn_layers
    assert (drawn.count, drawn.neighbours, drawn.between) == (count, neighbours, (0.0, 100.0))
    assert config.strength == strength


def test_a_random_layer_recipe_makes_as_many_examples_as_the_published_one():
    drawn, published = (resolved("--recipe", name).mixture.tasks for name in ("random-1L", "paper"))
    assert drawn == published


def test_relative_depth_is_the_published_mixture_under_another_header():
    config = resolved("--recipe", "relative-depth")
    assert config == resolved("--recipe", "paper", "--header", "percent")


def test_what_is_typed_and_what_a_file_holds_override_a_recipe(tmp_path):
    (tmp_path / "more.yaml").write_text("strength: 3.0\nmixture: {seed: 7}\n")
    config = resolved("--recipe", "neighbours", "--config", tmp_path / "more.yaml")
    assert (config.strength, config.mixture.seed) == (3.0, 7)
    assert resolved("--recipe", "neighbours", "--strength", 1.5).strength == 1.5
    assert resolved("--recipe", "paper", "--data", "d").mixture is None


def test_what_is_typed_reaches_into_a_mixture(tmp_path):
    typed = ("--mixture.seed", 7, "--mixture.layer-percents", 10, 20, "--mixture.held-out", 0)
    drawn = ("--mixture.drawn-layers.count", 2, "--mixture.drawn-layers.neighbours")
    config = resolved("--recipe", "paper", *typed, *drawn)
    published = resolved("--recipe", "paper").mixture
    assert (config.mixture.seed, config.mixture.layer_percents) == (7, (10.0, 20.0))
    assert config.mixture.held_out == 0
    assert (config.mixture.drawn_layers.count, config.mixture.drawn_layers.neighbours) == (2, True)
    assert config.mixture.tasks == published.tasks
    config.save(tmp_path / "run.yaml")
    again = resolved("--config", tmp_path / "run.yaml", "--mixture.drawn-layers.count", 3)
    assert (again.mixture.seed, again.mixture.drawn_layers.count) == (7, 3)
    with pytest.raises(ConfigError, match="tasks"):
        resolved("--data", "d", *typed)


def test_wrong_recipes_are_refused_by_name():
    with pytest.raises(ConfigError, match="no recipe 'soup'"):
        settings_of("soup", Sources())
    with pytest.raises(ConfigError, match="scale"):
        resolved("--recipe", "paper", "--scale", 2)
    with pytest.raises(ConfigError, match="belong to a --recipe"):
        resolved("--data", "d", "--scale", 0.5)
    with pytest.raises(ConfigError, match="mixture"):
        resolved()


def test_a_run_makes_the_data_of_its_mixture_once(config, mixture, texts):
    config = config.model_copy(update={"data": (), "mixture": mixture, "max_steps": 2})
    train(config, progress=lambda steps: steps)
    folder = Path(config.output) / "data"
    made = store.fingerprint(folder)
    texts.unlink()
    longer = config.model_copy(update={"resume": True})
    assert train(longer, progress=lambda steps: steps) == Path(config.output)
    assert store.fingerprint(folder) == made


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layer_percents": (0.0,)}, r"layer_percents was \[50\.0\], is \[0\.0\]"),
        ({"seed": 7}, "seed was 42, is 7"),
        ({"tasks": "wider"}, "its tasks are others"),
    ],
)
def test_data_that_are_left_of_another_mixture_are_not_learned_from(config, mixture, change, named):
    config = config.model_copy(update={"data": (), "mixture": mixture})
    # As a run leaves them that ends before its first step.
    with pytest.raises(DataError, match="fill one batch"):
        train(config.model_copy(update={"batch_size": 4000}))
    made = store.fingerprint(Path(config.output) / "data")
    if change == {"tasks": "wider"}:
        change = {"tasks": (mixture.tasks[0].model_copy(update={"widths": (5,)}),)}
    other = config.model_copy(update={"mixture": mixture.model_copy(update=change)})
    with pytest.raises(ConfigError, match=rf"another mixture: {named}\. Remove"):
        train(other)
    assert store.fingerprint(Path(config.output) / "data") == made


def test_data_that_were_made_for_a_shallower_model_are_not_learned_from(
    config, mixture, tiny_tokenizer
):
    config = config.model_copy(update={"data": (), "mixture": mixture})
    build(mixture, Path(config.output) / "data", tiny_tokenizer, 2)
    with pytest.raises(ConfigError, match="blocks were 2, are 4"):
        train(config)


def test_what_is_said_where_a_source_is_missing_decides_no_data(config, mixture, tiny_tokenizer):
    said = mixture.tasks[0].model_copy(update={"expects": 9, "origin": "the mill"})
    build(
        mixture.model_copy(update={"tasks": (said,)}),
        Path(config.output) / "data",
        tiny_tokenizer,
        4,
    )
    config = config.model_copy(update={"data": (), "mixture": mixture, "max_steps": 1})
    assert train(config, progress=lambda steps: steps) == Path(config.output)
