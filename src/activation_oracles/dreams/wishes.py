"""What an oracle should say of a vector: one answer to one question, or several, joined by logic.

A wish has a probability: that of the answer, and those of its parts as if they were independent.
Its logarithm is what a dream climbs, so AND, OR and NOT need no losses of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from activation_oracles.errors import DataError

SURE = -1e-6
"""A log-probability above it is lowered before it is turned round: at certainty "not" has no
slope."""
UNLIKELY = -6.0
"""Log-probability below which two events hardly ever come together: one in a thousand times."""


@dataclass(frozen=True)
class Says:
    """The oracle gives this answer to this question."""

    question: str
    answer: str
    """As the oracle would begin: what follows it is left open."""

    def __post_init__(self) -> None:
        if not (self.question.strip() and self.answer.strip()):
            raise DataError(f"A wish needs a question and an answer, got {self!r}.")

    @property
    def parts(self) -> "tuple[Says, ...]":
        """What is asked of the oracle."""
        return (self,)

    def log_probability(self, of: "Mapping[Says, Float[Tensor, '']]") -> Float[Tensor, ""]:
        """Return the wish's log-probability, given those of what is asked."""
        return of[self]

    def __str__(self) -> str:
        return f"{self.question} {self.answer}"


@dataclass(frozen=True)
class Not:
    """The oracle does not say this."""

    wish: "Wish"

    @property
    def parts(self) -> tuple[Says, ...]:
        """What is asked of the oracle."""
        return self.wish.parts

    def log_probability(self, of: Mapping[Says, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the wish's log-probability, given those of what is asked."""
        return turned(self.wish.log_probability(of))

    def __str__(self) -> str:
        return f"not ({self.wish})"


@dataclass(frozen=True)
class AllOf:
    """The oracle says all of these."""

    wishes: "tuple[Wish, ...]"

    def __post_init__(self) -> None:
        _check_some(self.wishes)

    @property
    def parts(self) -> tuple[Says, ...]:
        """What is asked of the oracle."""
        return _parts(self.wishes)

    def log_probability(self, of: Mapping[Says, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the wish's log-probability, given those of what is asked."""
        return torch.stack([one.log_probability(of) for one in self.wishes]).sum(0)

    def __str__(self) -> str:
        return " and ".join(f"({one})" for one in self.wishes)


@dataclass(frozen=True)
class AnyOf:
    """The oracle says at least one of these."""

    wishes: "tuple[Wish, ...]"

    def __post_init__(self) -> None:
        _check_some(self.wishes)

    @property
    def parts(self) -> tuple[Says, ...]:
        """What is asked of the oracle."""
        return _parts(self.wishes)

    def log_probability(self, of: Mapping[Says, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the wish's log-probability, given those of what is asked."""
        logs = torch.stack([one.log_probability(of) for one in self.wishes])
        # Where all are unlikely, 1 - (1 - p)(1 - q) rounds to 0, and p + q is as good.
        unlikely = logs.logsumexp(0)
        others = torch.where(unlikely < UNLIKELY, UNLIKELY, logs)
        likely = turned(torch.stack([turned(one) for one in others]).sum(0))
        return torch.where(unlikely < UNLIKELY, unlikely, likely)

    def __str__(self) -> str:
        return " or ".join(f"({one})" for one in self.wishes)


@runtime_checkable
class Wish(Protocol):
    """What is wished of an oracle: `Says`, `Not`, `AllOf`, `AnyOf`."""

    @property
    def parts(self) -> tuple[Says, ...]:
        """What is asked of the oracle."""
        ...

    def log_probability(self, of: Mapping[Says, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the wish's log-probability, given those of what is asked."""
        ...


def turned(logs: Float[Tensor, "*dream"]) -> Float[Tensor, "*dream"]:
    """Return log(1 - p) from log p; where p is 1, it keeps a slope."""
    return torch.log(-torch.expm1(torch.where(logs > SURE, logs + SURE, logs)))


def _parts(wishes: Sequence[Wish]) -> tuple[Says, ...]:
    return tuple(dict.fromkeys(part for one in wishes for part in one.parts))


def _check_some(wishes: Sequence[Wish]) -> None:
    if not wishes:
        raise DataError("AllOf and AnyOf join at least one wish, got none.")
