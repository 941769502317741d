"""Which examples have their slots held to words, and behind which block."""

from collections.abc import Sequence
from itertools import pairwise

from activation_oracles.errors import ConfigError
from activation_oracles.training.config import Grounding, TrainConfig
from activation_oracles.types import READING, Example


def holds(how: Grounding, example: Example) -> bool:
    """Say whether an example's slots are held to words: one layer of tokens in a row."""
    named = not how.tasks or {example.task, example.task.partition("/")[0]} & set(how.tasks)
    in_a_row = all(after == before + 1 for before, after in pairwise(example.positions))
    enough = len(example.layers) == 1 and len(example.positions) >= how.slots
    return bool(named) and enough and in_a_row and example.shown == READING


def block_of(config: TrainConfig, num_layers: int) -> int:
    """Return the block after which streams are compared.

    Raises:
        ConfigError: vectors are not written in before it, or the model has no such block.
    """
    changed = range(num_layers) if config.lora.blocks is None else config.lora.blocks
    block = config.grounding.block
    block = max(changed) if block is None else block
    if not config.injection_block < block < num_layers:
        raise ConfigError(
            f"grounding.block is {block}: slots are held to words behind block "
            f"{config.injection_block}, where vectors are written in, and up to {num_layers - 1}."
        )
    return block


def check_grounding(config: TrainConfig, num_layers: int, examples: Sequence[Example]) -> None:
    """Refuse to hold slots to words where that cannot be done, or no example is one to hold.

    Raises:
        ConfigError: which of both.
    """
    if not config.grounding.weight:
        return
    block_of(config, num_layers)
    if not any(holds(config.grounding, one) for one in examples):
        raise ConfigError(
            f"No example is one that grounding holds to words: tasks {config.grounding.tasks or ''}"
            f" that show {config.grounding.slots} tokens of one layer in a row, or more. Set "
            "grounding.tasks or grounding.slots by the data, or grounding.weight to 0."
        )
