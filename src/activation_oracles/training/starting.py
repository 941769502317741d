"""Learning on from an oracle that was trained before: its weights, in a run of another's making."""

import torch
from torch import nn

from activation_oracles.errors import ConfigError
from activation_oracles.models.load import LanguageModel
from activation_oracles.oracle.oracle import Oracle


def started(start: str, oracle: Oracle, name: str) -> Oracle:
    """Load the oracle to learn on from, and give its weights to the one that learns.

    Args:
        start: folder or hub id of the oracle.
        oracle: the one that learns, fresh.
        name: what the adapter of the former is called inside the model.

    Returns:
        The oracle to learn on from, which stays as it is.

    Raises:
        ConfigError: its adapter has other layers or another rank, or it is written to otherwise.
        OracleError: it cannot be loaded, or belongs to another model.
    """
    model = oracle.model
    teacher = Oracle.from_pretrained(start, model=model, name=name)
    ours, theirs = named(model, oracle.adapter), named(model, teacher.adapter)
    was, now = ({name: tuple(one.shape) for name, one in some.items()} for some in (theirs, ours))
    scales = model.adapters.scales(teacher.adapter)
    if was != now or scales != model.adapters.scales(oracle.adapter):
        ranks = sorted({min(shape) for shape in was.values()})
        raise ConfigError(
            f"The adapter of {start!r} has {len(was)} matrices of rank {ranks}, scaled by "
            f"{sorted(scales)}: not what `lora` asks for. Set rank, alpha, layers and blocks as "
            "they were for it."
        )
    for field in ("block", "strength", "mode", "prefix", "placeholder"):
        was, now = getattr(teacher.card, field), getattr(oracle.card, field)
        if was != now:
            raise ConfigError(
                f"{start!r} was trained with {field} {was!r}, these settings ask for {now!r}. "
                "Learn on with the same injection and header."
            )
    with torch.no_grad():
        for path, parameter in ours.items():
            parameter.copy_(theirs[path])
    return teacher


def hash_of(oracle: Oracle) -> str:
    """Return the hash of an oracle's own weights."""
    return oracle.model.adapters.identity(oracle.adapter).rpartition("@")[2]


def named(model: LanguageModel, adapter: str) -> dict[str, nn.Parameter]:
    """Return the adapter's parameters by their place, whatever the adapter is called."""
    own = model.adapters.parameters(adapter)
    return {path.replace(f".{adapter}.", "."): parameter for path, parameter in own.items()}
