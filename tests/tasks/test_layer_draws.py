"""Drawn layers come from the whole range, as likely, and are the same for the same seed."""

import random
from collections import Counter

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from activation_oracles.errors import ConfigError
from activation_oracles.tasks import store
from activation_oracles.tasks.build import build
from activation_oracles.tasks.config import DataConfig
from activation_oracles.tasks.layer_draws import DrawnLayers
from activation_oracles.tasks.windows import Layers

# A busy machine's seconds say nothing here.
RELAXED = settings(deadline=None)
depths = st.floats(0, 100).map(lambda percent: round(percent, 1))


@RELAXED
@given(st.integers(1, 90), depths, depths)
def test_the_range_holds_both_its_ends_and_is_the_published_depths(num_layers, one, other):
    low, high = sorted((one, other))
    pool = DrawnLayers(between=(low, high)).pool(num_layers)
    assert pool == tuple(range(pool[0], pool[-1] + 1))
    assert 0 <= pool[0] <= pool[-1] < num_layers
    for end, percent in ((pool[0], low), (pool[-1], high)):
        if percent < 100:
            assert (end,) == Layers.at_percents(num_layers, (percent,)).layers


def test_by_default_every_block_is_drawn_as_often():
    drawn = DrawnLayers()
    pool = drawn.pool(8)
    numbers = random.Random(0)
    counts = Counter(drawn.draw(pool, numbers)[0] for _ in range(8000))
    assert set(counts) == set(range(8))
    assert max(abs(count - 1000) for count in counts.values()) < 150


@RELAXED
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_several_are_different_and_shallow_first(seed, count):
    drawn = DrawnLayers(count=count, between=(20, 90))
    pool = drawn.pool(10)
    layers = drawn.draw(pool, random.Random(seed))
    assert len(set(layers)) == count
    assert list(layers) == sorted(layers)
    assert set(layers) <= set(range(2, 10))
    assert layers == drawn.draw(pool, random.Random(seed))


def test_neighbours_stand_in_a_row_at_every_place_as_often():
    drawn = DrawnLayers(count=3, neighbours=True)
    pool = drawn.pool(8)
    numbers = random.Random(0)
    counts = Counter(drawn.draw(pool, numbers) for _ in range(6000))
    assert set(counts) == {(first, first + 1, first + 2) for first in range(6)}
    assert max(abs(count - 1000) for count in counts.values()) < 150


def test_a_task_shows_what_was_drawn_each_alone_one_or_together():
    drawn = DrawnLayers(count=3)
    each, one, together = (
        Layers(drawn.pool(8), how, drawn).draw(random.Random(1))
        for how in ("each", "one", "together")
    )
    assert [layer for (layer,) in each] == list(together[0])
    assert len(one) == 1
    assert one[0][0] in together[0]


@pytest.mark.parametrize("settings", [{"count": 5}, {"count": 2, "between": (50, 50)}])
def test_more_layers_than_there_are_cannot_be_drawn(settings):
    with pytest.raises(ConfigError, match="cannot be drawn"):
        DrawnLayers(**settings).pool(4)


@pytest.mark.parametrize("settings", [{"between": (60, 40)}, {"between": (0, 101)}, {"count": 0}])
def test_settings_that_say_nothing_are_refused(settings):
    with pytest.raises(ConfigError):
        DrawnLayers(**settings)


def test_a_data_set_of_drawn_layers_has_all_blocks_and_is_the_same_again(tmp_path, tiny_tokenizer):
    pytest.importorskip("pyarrow")
    texts = [f"The old mill number {n} stands by the river and turns." for n in range(40)]
    (tmp_path / "texts.txt").write_text("\n\n".join(texts))
    task = {"kind": "context_prediction", "files": ["texts.txt"], "max_wanted": 3, "widths": [3]}
    settings = {"tasks": [task], "drawn_layers": {"count": 2}}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(settings))
    config = DataConfig.load(tmp_path / "data.yaml")
    made = [build(config, tmp_path / name, tiny_tokenizer, 6, root=tmp_path) for name in ("a", "b")]
    examples = list(store.read(made[0], "train"))
    assert {one.layers for one in examples} == {(layer,) for layer in range(6)}
    assert store.fingerprint(made[0]) == store.fingerprint(made[1])
    assert store.read_manifest(made[0])["config"]["drawn_layers"]["count"] == 2
