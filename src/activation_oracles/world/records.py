"""The small files of a build: JSON records, and adapters at half their size."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def halve(home: Path) -> None:
    """Keep an adapter's weights in bf16."""
    path = home / "adapter_model.safetensors"
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(path).items()}
    save_file(weights, path, {"format": "pt"})


def edit_record(path: Path, **values: Any) -> None:
    """Replace some fields of a record on disk."""
    record = json.loads(path.read_text(encoding="utf-8"))
    write_record(path, record | values)


def write_record(path: Path, record: Any) -> None:
    """Write a record, and the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record(path: Path) -> dict[str, float]:
    """Read a record of numbers; one that is not there yet is empty."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
