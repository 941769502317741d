"""Directions from contrast: what texts about a concept have that others have not.

Contrastive activation addition (Rimsky et al. 2024, arXiv 2312.06681) reads one token of each text;
a mean difference (Marks and Tegmark 2023, arXiv 2310.06824) all of them.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.errors import DataError
from activation_oracles.models.chat import Chat
from activation_oracles.models.positions import Selector
from activation_oracles.models.target import Target
from activation_oracles.types import Activations

LAST = "last token"


def contrast(
    target: Target,
    about: Sequence[str | Chat],
    not_about: Sequence[str | Chat],
    *,
    layer: int,
    positions: Selector = LAST,
) -> Activations:
    """Return the mean of one set of texts minus that of another, as one slot.

    Args:
        target: who reads them.
        about: texts that have what is wanted.
        not_about: texts that are alike otherwise.
        layer: after which block, counted from 0.
        positions: which tokens of each text; each text counts alike.

    Raises:
        DataError: one of the sets is empty, or there is no difference.
    """
    if not about or not not_about:
        raise DataError("A contrast needs texts of both kinds, got none of one.")
    means = [_mean(target, some, layer, positions) for some in (about, not_about)]
    vector = means[0] - means[1]
    if not vector.any():
        raise DataError("The two sets of texts do not differ where they are read.")
    note = f"{len(about)} texts minus {len(not_about)}, at {positions!r} of {target.model.name}"
    own = Activations.own(vector[None], layer=layer, note=note, model=target.model.name)
    return replace(own, provenance=replace(own.provenance, fingerprint=target.model.fingerprint))


def _mean(
    target: Target, texts: Sequence[str | Chat], layer: int, positions: Selector
) -> Float[Tensor, " d_model"]:
    found = [
        target.read(text, layers=layer, positions=positions).vectors.float().mean(0)
        for text in texts
    ]
    return torch.stack(found).mean(0)
