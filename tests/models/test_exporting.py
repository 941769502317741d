"""What is exported is read back with the libraries that it is for."""

import sys

import pytest
import torch

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.models.exporting import save_gguf, to_steering_vector
from activation_oracles.models.load import load
from activation_oracles.models.push import pushes_of
from activation_oracles.models.steer import steering
from activation_oracles.types import Activations


def own(layer, seed, slots=1):
    generator = torch.Generator().manual_seed(seed)
    return Activations.own(torch.randn((slots, 32), generator=generator), layer=layer, note="moon")


def test_a_gguf_file_holds_each_blocks_sum_under_that_blocks_number(tmp_path):
    gguf = pytest.importorskip("gguf", reason="gguf is not installed (extra: steer)")
    deep, shallow, more = own(3, 1), own(1, 2, slots=2), own(3, 3)
    path = tmp_path / "moon.gguf"
    save_gguf(path, [deep, shallow, more], strengths=(2.0, 1.0, -0.5), model_type="llama")
    reader = gguf.GGUFReader(path)
    held = {one.name: torch.from_numpy(one.data.copy()) for one in reader.tensors}
    assert sorted(held) == ["direction.1", "direction.3"]
    assert torch.equal(held["direction.1"], shallow.vectors.sum(0))
    assert torch.equal(held["direction.3"], 2 * deep.vectors[0] - 0.5 * more.vectors[0])
    assert {one.tensor_type.name for one in reader.tensors} == {"F32"}
    fields = {name: one.contents() for name, one in reader.fields.items()}
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "llama"
    assert fields["controlvector.layer_count"] == 2


def test_half_precision_becomes_what_llama_cpp_takes(tmp_path):
    gguf = pytest.importorskip("gguf", reason="gguf is not installed (extra: steer)")
    half = Activations.own(torch.ones(1, 32, dtype=torch.bfloat16), layer=2, note="ones")
    save_gguf(tmp_path / "ones.gguf", [half], model_type="llama")
    (held,) = gguf.GGUFReader(tmp_path / "ones.gguf").tensors
    assert (held.tensor_type.name, held.data.tolist()) == ("F32", [1.0] * 32)


def test_steering_vectors_pushes_the_same_block_by_the_same_vector(tiny_model):
    pytest.importorskip("steering_vectors", reason="steering-vectors is not installed")
    model = load(str(tiny_model), dtype="float32", device="cpu")
    ids, vectors = torch.arange(5, 11)[None], [own(1, 1), own(2, 2)]
    pushes = [push for one in vectors for push in pushes_of(one, strength=2.0, unit="absolute")]
    with torch.no_grad():
        plain = model.network(input_ids=ids).logits
        with steering(model.blocks, pushes):
            ours = model.network(input_ids=ids).logits
        with to_steering_vector(vectors, strengths=(2.0, 2.0)).apply(model.network):
            theirs = model.network(input_ids=ids).logits
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, plain, atol=1e-2)


def test_what_cannot_be_exported_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "moon.gguf"
    with pytest.raises(ConfigError, match="begin at block 1"):
        save_gguf(path, [own(0, 1)], model_type="llama")
    with pytest.raises(MismatchError, match="1 vectors and 2 strengths"):
        save_gguf(path, [own(1, 1)], strengths=(1.0, 2.0), model_type="llama")
    wide = Activations.own(torch.ones(1, 8), layer=1, note="wide")
    with pytest.raises(MismatchError, match=r"widths \[8, 32\]"):
        save_gguf(path, [own(1, 1), wide], model_type="llama")
    assert not path.exists()


def test_a_missing_library_is_named_with_what_installs_it(tmp_path, monkeypatch):
    for name in ("gguf", "steering_vectors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"activation-oracles\[steer\]"):
        save_gguf(tmp_path / "moon.gguf", [own(1, 1)], model_type="llama")
    with pytest.raises(ConfigError, match="--no-deps steering-vectors"):
        to_steering_vector([own(1, 1)])
    assert not list(tmp_path.iterdir())
