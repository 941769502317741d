"""The state of every random number that training may draw: taken, kept, and put back."""

import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Return where all random numbers stand (Python, numpy, torch, CUDA), as plain JSON."""
    numbers = np.random.get_state(legacy=False)
    assert isinstance(numbers, dict)
    inner = numbers["state"]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": {**numbers, "state": {"key": inner["key"].tolist(), "pos": int(inner["pos"])}},
        "torch": torch.get_rng_state().tolist(),
        "cuda": [state.tolist() for state in cuda],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Go on drawing random numbers where `random_state` was taken."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    inner = state["numpy"]["state"]
    key = np.array(inner["key"], dtype=np.uint32)
    np.random.set_state({**state["numpy"], "state": {"key": key, "pos": inner["pos"]}})
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    # Of devices that came or went since, none is in both.
    for device, one in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(torch.tensor(one, dtype=torch.uint8), device)


@contextmanager
def random_numbers_kept() -> Generator[None]:
    """Leave all random numbers, at the end of the scope, as they were at its start."""
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)
