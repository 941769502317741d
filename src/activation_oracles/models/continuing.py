"""A model goes on from token ids, and what it wrote is told from padding."""

from collections.abc import Collection, Sequence

import torch
from transformers import GenerationConfig

from activation_oracles.errors import DataError
from activation_oracles.models.load import LanguageModel


def continuations(
    model: LanguageModel,
    adapter: str | None,
    prompts: Sequence[Sequence[int]],
    settings: GenerationConfig,
    seed: int = 0,
) -> list[tuple[int, ...]]:
    """Return the ids that a model writes behind each prompt, in one batch.

    Args:
        model: the model.
        adapter: which of its adapters it writes under; None for the bare model.
        prompts: token ids, of any lengths.
        settings: how it decodes, as `LanguageModel.decoding` makes them.
        seed: of the draws, where it draws; the same prompts in the same order draw the same.

    Returns:
        For each prompt what was written, up to and including the token that ends it.

    Raises:
        DataError: there is no prompt, or one of them has no tokens.
    """
    if not prompts or not all(prompts):
        raise DataError("There is nothing to go on from: a prompt needs at least one token.")
    width = max(map(len, prompts))
    padded = torch.full((len(prompts), width), model.pad_id)
    mask = torch.zeros_like(padded)
    for row, ids in enumerate(prompts):
        padded[row, width - len(ids) :] = torch.tensor(ids)
        mask[row, width - len(ids) :] = 1
    with model.using(adapter), model.seeded(seed):
        new = model.generate(padded, mask, settings)
    ends = settings.eos_token_id
    stops = set(ends if isinstance(ends, list) else [ends])
    return [until(row, stops) for row in new.tolist()]


def until(ids: Sequence[int], stops: Collection[int | None]) -> tuple[int, ...]:
    """Cut off what only fills a shorter continuation up to its batch's longest."""
    end = next((at for at, token in enumerate(ids, start=1) if token in stops), len(ids))
    return tuple(ids[:end])
