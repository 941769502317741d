"""Steering vectors for other programs: llama.cpp's control vectors, and `steering-vectors`.

Both add what they are given to the output of a block, at every token, in absolute units, and both
count blocks from 0 as this package does. llama.cpp adds `direction.N` to the output of block N
(`build_cvec` behind the block's last addition), and its loader refuses `direction.0`: there is no
way to push after the first block. repeng writes the same names for the same blocks.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.files import writing
from activation_oracles.types import Activations

KIND = "controlvector"
"""The architecture that a GGUF file of directions gives itself."""


def save_gguf(
    path: str | Path,
    vectors: Sequence[Activations],
    *,
    strengths: Sequence[float] = (),
    model_type: str,
) -> None:
    """Write a control vector that llama.cpp and repeng load (`--control-vector FILE`).

    Args:
        path: the file.
        vectors: what is added, in all: slots of one layer become one, their sum.
        strengths: by what each of `vectors` is multiplied; by default 1.
        model_type: the architecture's name in the model's config.json, as `llama` or `qwen3`.

    Raises:
        ConfigError: a vector is for the first block, or the package `gguf` is missing.
        MismatchError: vectors of different widths, or another number of strengths.
        DataError: the file cannot be written.
    """
    added = _directions(vectors, strengths)
    if 0 in added:
        raise ConfigError(
            "llama.cpp cannot push after block 0: its control vectors begin at block 1. Take a "
            "vector of a deeper layer."
        )
    gguf = _library("gguf", "pip install 'activation-oracles[steer]'")
    with writing(Path(path)) as part:
        writer = gguf.GGUFWriter(part, KIND)
        writer.add_string(f"{KIND}.model_hint", model_type)
        writer.add_uint32(f"{KIND}.layer_count", len(added))
        for layer, vector in sorted(added.items()):
            writer.add_tensor(f"direction.{layer}", vector.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def to_steering_vector(vectors: Sequence[Activations], *, strengths: Sequence[float] = ()) -> Any:
    """Return a `steering_vectors.SteeringVector`, which that library adds to a model's blocks.

    It has no file format of its own. Its release 0.12 asks for transformers below 5, so no extra of
    this package brings it; installed without its dependencies, it runs beside this one.

    Args:
        vectors: what is added, in all: slots of one layer become one, their sum.
        strengths: by what each of `vectors` is multiplied; by default 1.

    Raises:
        ConfigError: the package `steering-vectors` is missing.
        MismatchError: vectors of different widths, or another number of strengths.
    """
    added = _directions(vectors, strengths)
    library = _library("steering_vectors", "pip install --no-deps steering-vectors")
    return library.SteeringVector(layer_activations=added, layer_type="decoder_block")


def _directions(
    vectors: Sequence[Activations], strengths: Sequence[float]
) -> dict[int, Float[Tensor, " d_model"]]:
    """Return what is added after each block, in fp32."""
    factors = strengths or (1.0,) * len(vectors)
    if not vectors or len(factors) != len(vectors):
        raise MismatchError(
            f"Exporting takes a strength for each vector, or none: got {len(vectors)} vectors and "
            f"{len(factors)} strengths."
        )
    widths = {one.vectors.shape[1] for one in vectors}
    if len(widths) > 1:
        raise MismatchError(f"Vectors of widths {sorted(widths)} are for different models.")
    found: dict[int, Tensor] = {}
    for one, factor in zip(vectors, factors, strict=True):
        for layer, vector in zip(one.layers, one.vectors.float() * factor, strict=True):
            found[layer] = found.get(layer, torch.zeros_like(vector)) + vector
    return found


def _library(name: str, how: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"This export is written by `{name}`, which is missing: {how}."
        ) from error
