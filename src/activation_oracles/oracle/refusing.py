"""When an abstainer refuses: a rule that is chosen by what it costs, and kept in its card."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from activation_oracles.oracle.calibrator import log_odds

if TYPE_CHECKING:
    from activation_oracles.oracle.collate import Shows
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Example

WEIGHTS = (0.0, 0.15, 0.3, 0.5)
"""Of which a rule's is chosen."""


class Refusal(BaseModel):
    """When an oracle that says only where there is no answer does so, kept in its card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1)
    """What it says then."""
    threshold: float
    """Above this score it does; see `refusal_score`."""
    weight: float = Field(default=0.0, ge=0)
    """How much it counts against that the other oracle is sure of its answer."""
    loss: float = Field(ge=0, lt=1)
    """How much of what the other oracle answers rightly that may take, on the answers it was
    chosen on."""
    num_answers: int
    """How many right ones they were."""
    data: str = ""
    """Hash of the questions."""


def refusal_score(likely: float, sure: float, weight: float) -> float:
    """Return the log-odds of a refusal, less so many times those of the answer it stands against.

    Both are probabilities per token: the geometric mean, the end included.
    """
    return log_odds(likely) - (weight * log_odds(sure) if weight else 0.0)


def weighed(
    oracle: "Oracle",
    abstainer: "Oracle",
    examples: "Sequence[Example]",
    vectors: "Shows",
    said: Sequence[str],
    text: str,
) -> list[tuple[float, float]]:
    """Return of each example how likely its refusal is, and how likely what was said instead.

    Args:
        oracle: who answered.
        abstainer: who may refuse.
        examples: the questions.
        vectors: what each shows.
        said: what the oracle answered.
        text: what the abstainer would say.
    """
    likely = abstainer.likelihood_of([replace(one, answer=text) for one in examples], vectors)
    believed = [replace(one, answer=text or " ") for one, text in zip(examples, said, strict=True)]
    return list(zip(likely, oracle.likelihood_of(believed, vectors), strict=True))
