import pytest
import torch
from torch import nn

from activation_oracles.errors import ConfigError, ModelError
from activation_oracles.models.blocks import decoder_blocks, layer_at
from activation_oracles.models.load import load


@pytest.mark.parametrize(
    ("num_layers", "expected"),
    [
        (16, (4, 8, 12)),
        (26, (6, 13, 19)),
        (36, (9, 18, 27)),
        (42, (10, 21, 31)),
        (62, (15, 31, 46)),
    ],
)
def test_the_layer_formula_is_the_published_one(num_layers, expected):
    assert tuple(layer_at(num_layers, percent) for percent in (25, 50, 75)) == expected


def test_a_depth_outside_the_model_is_refused():
    with pytest.raises(ConfigError, match="from 0 to below 100"):
        layer_at(8, 100)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="not a model folder"):
        load(str(tmp_path))


def test_a_hub_model_that_cannot_be_reached_is_one_clear_error():
    with pytest.raises(ModelError, match="nobody/nothing"):
        load("nobody/nothing")


def test_weights_that_are_missing_are_refused(tiny_model, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "holes"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if "layers.2" in name)
    del weights[gone]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="no weights for 1 parameters"):
        load(str(folder), device="cpu")


def test_weights_that_were_cut_short_are_refused(tiny_model, tmp_path):
    import shutil

    folder = tmp_path / "cut"
    shutil.copytree(tiny_model, folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="could be loaded from"):
        load(str(folder), device="cpu")


def test_unknown_dtypes_and_absent_devices_are_refused(tiny_model):
    with pytest.raises(ConfigError, match="dtype is one of"):
        load(str(tiny_model), dtype="float8")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA GPU"):
            load(str(tiny_model), device="cuda")


def test_a_second_stack_of_the_same_length_is_told_apart_by_name(tiny_model):
    model = load(str(tiny_model), device="cpu")
    model.network.model.extra = nn.ModuleList(nn.Linear(2, 2) for _ in range(4))
    with pytest.raises(ModelError, match=r"found 2 among \['model.extra', 'model.layers'\]"):
        decoder_blocks(model.network)
    assert decoder_blocks(model.network, blocks="model.layers").path == "model.layers"


def test_a_stack_that_does_not_run_in_order_is_refused(tiny_model):
    model = load(str(tiny_model), device="cpu")
    model.network.model.extra = nn.ModuleList(nn.Linear(2, 2) for _ in range(4))
    with pytest.raises(ModelError, match="no single residual stream"):
        decoder_blocks(model.network, blocks="model.extra")


def test_a_block_that_carries_several_streams_is_refused(tiny_model):
    model = load(str(tiny_model), device="cpu")

    class Several(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, stream, **named):
            return torch.stack([self.block(stream, **named)] * 2)

    model.network.model.layers[3] = Several(model.network.model.layers[3])
    model.network.model.norm = nn.Sequential(_Mean(), model.network.model.norm)
    with pytest.raises(ModelError, match="block 3 does not return one"):
        decoder_blocks(model.network)


class _Mean(nn.Module):
    def forward(self, streams):
        return streams.mean(dim=0)


def test_seeded_draws_repeat_and_leave_the_random_state_alone(tiny_model):
    model = load(str(tiny_model), device="cpu")
    state = torch.random.get_rng_state()
    with model.seeded(5):
        first = torch.rand(3)
    with model.seeded(5):
        again = torch.rand(3)
    assert torch.equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), state)
