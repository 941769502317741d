"""What an oracle is taught of vectors that fooled it: that it cannot tell, or what they really do.

A vector of which it says something false is shown with "I cannot tell."; one that moves the target
as it says, or that was made to hide it, with the truth. Nobody has published a measured defence
against such vectors; what this one does is measured, not promised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.dreams.attacks import CAA, MEAN, SILENT, Made
from activation_oracles.dreams.concepts import Concept
from activation_oracles.types import Example

CANNOT_TELL = "I cannot tell."
VECTORS = "dreams.safetensors"
"""The file beside the examples that holds what they show."""
TRUE = (SILENT, CAA, MEAN)
"""Kinds that move the target: what steers, and what steers unseen."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Examples, and the vectors that they show."""

    examples: tuple[Example, ...]
    vectors: Float[Tensor, "row d_model"]
    """Row N is what `own:dreams.safetensors#N` shows."""


def lessons(
    made: Sequence[Made],
    concepts: Sequence[Concept],
    *,
    layers: Sequence[int],
    steers: Mapping[tuple[str, str], bool] | None = None,
    answer: str = CANNOT_TELL,
) -> Lessons:
    """Make examples of vectors.

    Args:
        made: the vectors.
        concepts: what they were made for.
        layers: what the oracle is told of where they are from: an example for each.
        steers: by concept and name, whether a vector was measured to move the target; by default
            those from contrast do, and dreams do not.
        answer: what to say where a vector does not do what it was dreamt for.
    """
    by_name = {one.name: one for one in concepts}
    examples: list[Example] = []
    for row, one in enumerate(made):
        concept = by_name[one.concept]
        measured = (steers or {}).get((one.concept, one.name), one.kind in TRUE)
        examples += [
            Example(
                context=(),
                positions=(0,),
                layers=(layer,),
                question=concept.question,
                answer=concept.answer if measured else answer,
                task=f"dreams/{one.kind}",
                source=f"{one.concept}/{one.name}",
                shown=f"own:{VECTORS}#{row}",
            )
            for layer in layers
        ]
    return Lessons(tuple(examples), torch.cat([one.vector.vectors.float() for one in made]))
