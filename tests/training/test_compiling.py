"""Compiled blocks make the step that plain ones make, and leave nothing behind."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from activation_oracles.errors import MismatchError
from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.models.write import Writing, injecting
from activation_oracles.training.compiling import compiling
from activation_oracles.training.config import Lora
from activation_oracles.training.loop import train

COMPILERS = ("g++", "clang++", "c++")
# torch's own, about its own use of older parts, and about tensors that it looks at while it traces.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]


@pytest.fixture
def model(tiny_model):
    return load(str(tiny_model), dtype="float32", device="cpu")


def hooks(model):
    return [list(module._forward_hooks) for module in model.blocks.trunk.modules()]


def test_a_scope_puts_every_block_and_hook_back(model):
    before = hooks(model)
    with pytest.raises(KeyError), compiling(model.blocks, wanted=True):  # noqa: PT012
        assert all("forward" in block.__dict__ for block in model.blocks.stack)
        assert hooks(model) != before
        raise KeyError
    assert hooks(model) == before
    assert not any("forward" in block.__dict__ for block in model.blocks.stack)


def test_texts_are_read_by_the_blocks_as_they_were(model, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail)
    expected = Target(model).read("The old mill stands.", layers=[2]).vectors
    with compiling(model.blocks, wanted=True):
        assert torch.equal(Target(model).read("The old mill stands.", layers=[2]).vectors, expected)


def test_a_block_that_is_skipped_is_noticed(model):
    """As ever: what writes the vectors is no part of what is compiled."""
    what = Writing(torch.tensor([0]), torch.tensor([9]), torch.ones(1, model.width), num_rows=1)
    ids = torch.arange(5, 9)[None]
    with (
        pytest.raises(MismatchError, match="never written"),
        compiling(model.blocks, wanted=True),
        injecting(model.blocks, 1, what),
    ):
        model.network(ids, use_cache=False)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="torch.compile needs a compiler")
@pytest.mark.parametrize("change", [{}, {"gradient_checkpointing": True, "part_tokens": 100}])
def test_a_compiled_run_ends_in_the_same_weights_to_rounding(config, tmp_path, monkeypatch, change):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    counted = torch._dynamo.utils.counters["stats"]
    counted.clear()
    # Of a rank at which no layer is merged: what checks shapes in tests would be traced there.
    plain = config.model_copy(
        update={"lora": Lora(rank=2, alpha=4, dropout=0.0), "max_steps": 3, **change}
    )
    expected = load_file(train(plain) / "adapter_model.safetensors")
    assert not counted["unique_graphs"]
    fast = plain.model_copy(update={"output": str(tmp_path / "fast"), "compile": True})
    found = load_file(train(fast) / "adapter_model.safetensors")
    assert counted["unique_graphs"]
    for name, weight in found.items():
        assert torch.allclose(weight, expected[name], atol=1e-4), name


def test_attention_kernels_end_in_the_same_weights_to_rounding(config, tmp_path):
    plain = config.model_copy(
        update={"lora": Lora(rank=4, alpha=8, dropout=0.0), "max_steps": 3, "attention": "sdpa"}
    )
    expected = load_file(train(plain) / "adapter_model.safetensors")
    other = plain.model_copy(update={"output": str(tmp_path / "eager"), "attention": "eager"})
    for name, weight in load_file(train(other) / "adapter_model.safetensors").items():
        assert torch.allclose(weight, expected[name], atol=1e-4), name
