"""A model in parts, some of them on disk until they are used, is read and asked as a whole one."""

import pytest
import torch
from peft import LoraConfig
from torch import nn

from activation_oracles.cli.main import main
from activation_oracles.errors import ConfigError
from activation_oracles.models.load import load
from activation_oracles.models.read import logits_only_at
from activation_oracles.models.target import Target
from activation_oracles.models.write import Writing, injecting

PARTS = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.layers.2": "cpu",
    "model.layers.3": "disk",
    "model.norm": "disk",
    "lm_head": "disk",
}


@pytest.fixture(scope="module")
def whole(tiny_model):
    return load(str(tiny_model), device="cpu")


@pytest.fixture(scope="module")
def parts(tiny_model):
    return load(str(tiny_model), device_map=PARTS)


@pytest.fixture(scope="module")
def adapter(whole, tmp_path_factory):
    """Return the folder of an adapter for all layers."""
    folder = tmp_path_factory.mktemp("adapter")
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        whole.new_adapter(lora, name="made")
    whole.save_adapter("made", folder)
    return str(folder)


def test_parts_are_read_early_stop_and_all_and_have_the_same_fingerprint(whole, parts):
    assert sum(one.is_meta for one in parts.network.parameters()) > 10
    assert parts.device == torch.device("cpu")
    assert parts.fingerprint == whole.fingerprint
    for layers in ([1], [0, 3], [2], [1]):
        ours, theirs = (
            Target(model).read("Anna likes apples.", layers=layers) for model in (parts, whole)
        )
        assert torch.equal(ours.vectors, theirs.vectors)
        assert ours.provenance == theirs.provenance


def test_parts_answer_under_an_adapter_with_vectors_written_in(whole, parts, adapter):
    names = [model.add_adapter(adapter, name="loaded") for model in (whole, parts)]
    assert parts.adapters.identity(names[1]) == whole.adapters.identity(names[0])
    ids = torch.arange(12)[None]
    columns = torch.tensor([2, 5])
    vectors = torch.randn(2, whole.width, generator=torch.Generator().manual_seed(1))
    found = []
    for model in (whole, parts):
        writing = Writing(torch.zeros_like(columns), columns, vectors, num_rows=1)
        with torch.no_grad(), model.using("loaded"), injecting(model.blocks, 1, writing):
            found.append(model.network(input_ids=ids).logits)
    assert torch.equal(*found)
    assert not torch.equal(found[0], whole.network(input_ids=ids).logits)
    said = [
        Target(model, "loaded").generate("The old mill", max_new_tokens=4)
        for model in (whole, parts)
    ]
    assert said[0] == said[1]


def test_what_is_offloaded_is_not_trained(parts):
    with pytest.raises(ConfigError, match=r"model\.layers\.1.*read and asked, not trained"):
        parts.new_adapter(LoraConfig(r=2, target_modules=["q_proj"]), name="fresh")


def test_a_map_and_a_device_contradict_each_other_and_maps_are_known_by_name(tiny_model):
    with pytest.raises(ConfigError, match="one device"):
        load(str(tiny_model), device="cpu", device_map="auto")
    with pytest.raises(ConfigError, match="got 'everywhere'"):
        load(str(tiny_model), device_map="everywhere")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU does")
def test_all_there_is_may_be_one_device(tiny_model, whole):
    alone = load(str(tiny_model), device_map="auto")
    assert alone.device == torch.device("cpu")
    assert alone.fingerprint == whole.fingerprint


def test_logits_are_cut_wherever_the_last_block_is(tiny_model):
    network = load(str(tiny_model), device="cpu").network
    network.lm_head = nn.Linear(4, 7, device="meta")
    # The places come from the device of the inputs, the stream from that of the last block.
    with logits_only_at(network, torch.tensor([0, 1]), torch.tensor([2, 0])):
        found = network.lm_head(torch.zeros(2, 3, 4, device="meta"))
    assert (found.shape, found.device.type) == ((1, 2, 7), "meta")


def test_the_commands_take_a_map(tiny_model, capsys):
    reading = ["--target", str(tiny_model), "--oracle", "nobody/none", "--text", "a"]
    both = ["--device", "cpu", "--device-map", "auto"]
    assert main(["ask", *reading, "--question", "b", *both]) == 2
    assert "one device" in capsys.readouterr().err
