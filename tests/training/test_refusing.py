"""What cannot be trained, or not here, is refused before it is begun, and says why."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.models.load import load
from activation_oracles.tasks import store
from activation_oracles.training.config import Lora, TrainConfig
from activation_oracles.training.loop import train
from activation_oracles.training.prepare import prepare
from training_runs import KilledError, killed_after


def quiet(found):
    return found


def changed(config, **fields) -> TrainConfig:
    return config.model_copy(update=fields)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("lora", Lora(blocks=(1, 99)), r"lora\.blocks \[1, 99\].*0 to 3"),
        ("injection_block", 4, r"injection_block \[4\].*0 to 3"),
    ],
)
def test_a_block_that_is_not_there_is_refused_before_anything_is_written(
    config, mixture, field, value, named
):
    for one in (config, changed(config, data=(), mixture=mixture)):
        with pytest.raises(ConfigError, match=named):
            train(changed(one, **{field: value}), progress=quiet)
        assert not Path(config.output).exists()


@pytest.mark.parametrize("layers", ["query", ("q_proj", "query")])
def test_a_layer_that_is_not_there_is_refused_even_beside_one_that_is(config, layers):
    with pytest.raises(ConfigError, match=r"lora\.layers \['query'\].*gate_proj.*q_proj"):
        train(changed(config, lora=Lora(layers=layers)), progress=quiet)
    assert not Path(config.output).exists()


def test_one_layer_may_be_named_alone(config):
    run = prepare(changed(config, lora=Lora(layers="q_proj")))
    assert run.parameters
    assert all(".q_proj." in name for name in run.parameters)


def test_a_folder_that_cannot_be_made_is_named(config, tmp_path, mixture):
    (tmp_path / "file").write_text("no folder")
    output = str(tmp_path / "file" / "run")
    for one in (config, changed(config, data=(), mixture=mixture)):
        with pytest.raises(DataError, match=r"file/run.* cannot be written"):
            train(changed(one, output=output), progress=quiet)


def test_another_run_is_not_continued_and_its_difference_is_named(
    config, make_examples, data, tmp_path
):
    with pytest.raises(KilledError):
        train(config, progress=killed_after(4))
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.01, is 0\.02"):
        train(changed(config, resume=True, learning_rate=0.02), progress=quiet)
    with pytest.raises(ConfigError, match=r"lora\.rank was 4, is 8"):
        train(changed(config, resume=True, lora=Lora(rank=8, alpha=8, dropout=0.2)))
    manifest = store.Manifest(**_manifest(data))
    other = store.write(tmp_path / "other", {"train": make_examples(40)}, manifest)
    with pytest.raises(ConfigError, match="data was"):
        train(changed(config, resume=True, data=(str(other),)), progress=quiet)


def test_a_run_from_before_a_setting_was_new_goes_on_where_that_is_at_its_default(config):
    with pytest.raises(KilledError):
        train(config, progress=killed_after(4))
    for path in Path(config.output).glob("checkpoints/*/state.json"):
        record = json.loads(path.read_text())
        del record["identity"]["compile"], record["identity"]["learning_rate"]
        path.write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"another one: learning_rate was"):
        train(changed(config, resume=True), progress=quiet)


def _manifest(data):
    record = store.read_manifest(data)
    return {name: record[name] for name in ("seed", "command", "tokenizer")}


def test_a_run_is_never_written_over(config):
    with pytest.raises(KilledError):
        train(config, progress=killed_after(1))
    with pytest.raises(ConfigError, match="holds a run already"):
        train(config, progress=quiet)


def test_data_of_another_tokenizer_are_refused(config, tmp_path, make_examples):
    manifest = store.Manifest(seed=0, command="a test", tokenizer="another")
    other = store.write(tmp_path / "other", {"train": make_examples(8)}, manifest)
    with pytest.raises(MismatchError, match="another tokenizer"):
        train(changed(config, data=(str(other),)), progress=quiet)


def test_data_of_a_deeper_model_are_refused(config, tmp_path, make_examples, data):
    deep = [replace(one, layers=(4,)) for one in make_examples(8)]
    manifest = store.Manifest(**_manifest(data))
    other = store.write(tmp_path / "deep", {"train": deep}, manifest)
    with pytest.raises(MismatchError, match="layer 4"):
        train(changed(config, data=(str(other),)), progress=quiet)


def test_a_model_is_shared_out_over_processes_or_spread_over_devices_not_both(config):
    with pytest.raises(ConfigError, match="there is one"):
        prepare(changed(config, shard=True))
    with pytest.raises(ConfigError, match="without `shard`"):
        prepare(changed(config, device=None, shard=True, device_map="auto"))
    with pytest.raises(ConfigError, match="whole in each process"):
        prepare(changed(config, shard=True), load(config.model, device="cpu"))


def test_too_few_examples_and_uneven_parts_are_refused(config):
    with pytest.raises(DataError, match="do not fill one batch"):
        train(changed(config, batch_size=64), progress=quiet)
    with pytest.raises(ConfigError, match="cannot be shared out"):
        train(changed(config, accumulate=3), progress=quiet)


def test_a_run_that_diverges_stops_and_says_so(config):
    with pytest.raises(ConfigError, match="learning_rate"):
        train(changed(config, learning_rate=1e30, epochs=3), progress=quiet)
