"""Dreaming: gradient descent on a vector until the oracle says of it what it should.

Method: "Dreaming Vectors: Gradient-descented steering vectors from Activation Oracles"
(ceselder/dreaming-vectors, 2026). Many dreams run in one batch and never touch one another: AdamW
works number by number, and what one dream costs has no gradient to the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from activation_oracles.dreams.beliefs import Beliefs
from activation_oracles.dreams.terms import Term
from activation_oracles.dreams.wishes import Wish
from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.tasks.settings import Settings
from activation_oracles.types import Activations

BELIEF, LENGTH = "belief lost", "length"


class DreamConfig(Settings):
    """How vectors are searched for; the defaults are the published ones."""

    steps: Annotated[int, Field(ge=1)] = 150
    """Steps of AdamW, at most."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    """AdamW's; vectors have length 1 or thereabouts."""
    tau: Annotated[float, Field(gt=0)] = 0.01
    """Belief is no concern below so many nats: 0.01 is a probability of 0.99."""
    unit_norm: Annotated[float, Field(ge=0)] = 5.0
    """Weight of (|v| - 1)^2. The oracle reads directions; this only keeps floats healthy."""
    bound: Annotated[float, Field(gt=0)] | None = None
    """Longest that a change of a reading may be, over the mean length of its slots. Only for dreams
    around a reading, which have no other length."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Dreams that run at once."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """One dream to be dreamt."""

    name: str
    wish: Wish
    start: Float[Tensor, " d_model"]
    """Where it begins. Scaled to length 1, unless it is around a reading."""
    around: Activations | None = None
    """A real reading that the vector is added to, slot by slot, instead of standing alone. Lengths
    are then in units of the mean length of its slots."""


@dataclass(frozen=True, eq=False)
class Dream:
    """What came of an attempt."""

    name: str
    wish: Wish
    vector: Activations
    """One slot. For a dream around a reading, what is to be added to each of its slots."""
    probability: float
    """Of the wish, by the oracle; of several oracles, by the one that believes it least."""
    believed: bool
    """Whether it reached what `tau` asks for, by every oracle."""
    costs: Mapping[str, float]
    """What the vector costs, by term, not weighted."""
    steps: int
    """Steps that the search took; the vector may be from an earlier one."""
    trace: Mapping[str, tuple[float, ...]]
    """By step: the belief lost in nats, the length, and each term."""


def noise(
    count: int, width: int, *, seed: int, device: torch.device | str = "cpu"
) -> Float[Tensor, "start d_model"]:
    """Return directions drawn from a seed, of length 1."""
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1).to(device)


def dream(
    oracles: Oracle | Sequence[Oracle],
    attempts: Sequence[Attempt],
    *,
    layer: int,
    config: DreamConfig = DreamConfig(),  # noqa: B008 - frozen
    terms: Sequence[Term] = (),
) -> list[Dream]:
    """Search for vectors of which the oracles say what is wished.

    Minimises max(0, -log p(wish) - tau) + sum of weight x term + unit_norm x (|v| - 1)^2. Without
    terms, a dream ends when it is believed; with terms it runs on, and the cheapest vector that is
    believed is kept.

    Args:
        oracles: who should believe it; each of several counts alike.
        attempts: wishes and starts, one vector each.
        layer: what the oracles are told of where the vector is from, counted from 0; for a dream
            around a reading, the layers of that count.
        config: how to search.
        terms: what else a vector is charged for.

    Returns:
        A dream for each attempt, in order. Batching changes none of them.

    Raises:
        ConfigError: a bound without a reading to change, or a reading without a bound.
        MismatchError: a start is not as wide as an oracle's model, or is no direction.
    """
    some = [oracles] if isinstance(oracles, Oracle) else list(oracles)
    for attempt in attempts:
        _check(attempt, some, config)
    by_shape: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for index, one in enumerate(attempts):
        by_shape.setdefault(_shape(one, layer), []).append(index)
    dreamt: dict[int, Dream] = {}
    for (layers, slots), indices in by_shape.items():
        for at in range(0, len(indices), config.batch_size):
            chosen = indices[at : at + config.batch_size]
            batch = [attempts[index] for index in chosen]
            beliefs = [
                Beliefs(oracle, [one.wish for one in batch], layers=layers, slots=slots)
                for oracle in some
            ]
            search = _Search(batch, beliefs, tuple(terms), config)
            dreamt.update(zip(chosen, search.run(layers[0]), strict=True))
    return [dreamt[index] for index in range(len(attempts))]


class _Search:
    """A batch of dreams on their way: where each is, and the best that each has been."""

    def __init__(
        self,
        attempts: Sequence[Attempt],
        beliefs: Sequence[Beliefs],
        terms: tuple[Term, ...],
        config: DreamConfig,
    ) -> None:
        self._attempts, self._beliefs, self._terms = attempts, beliefs, terms
        self._config = config
        device = beliefs[0].oracle.model.device
        starts = torch.stack([one.start.detach().float().to(device) for one in attempts])
        self._free = attempts[0].around is None
        self._starts = torch.nn.functional.normalize(starts, dim=-1) if self._free else starts
        anchors = [_anchor(one) for one in attempts]
        self._anchors = torch.stack(anchors).to(device)
        self._vectors = self._bounded(self._starts).clone().requires_grad_()
        count = len(attempts)
        self._best = self._vectors.detach().clone()
        self._least = torch.full((2, count), float("inf"), device=device)
        self._costs: list[dict[str, float]] = [{} for _ in attempts]
        self._history: list[tuple[list[int], dict[str, list[float]]]] = []

    def run(self, layer: int) -> list[Dream]:
        """Descend until every dream is over."""
        optimiser = torch.optim.AdamW([self._vectors], lr=self._config.learning_rate)
        going = list(range(len(self._attempts)))
        for step in range(self._config.steps + 1):
            over = self._look(going, descend=step < self._config.steps)
            going = [
                dream for dream, is_over in zip(going, over.tolist(), strict=True) if not is_over
            ]
            if not going or step == self._config.steps:
                break
            optimiser.step()
            optimiser.zero_grad()
            with torch.no_grad():
                self._vectors.copy_(self._bounded(self._vectors))
        return [self._dream(index, layer) for index in range(len(self._attempts))]

    def _look(self, going: list[int], *, descend: bool) -> Bool[Tensor, " dream"]:
        """Weigh the vectors as they are, keep the best, leave a gradient; tell which are over."""
        config = self._config
        with torch.set_grad_enabled(descend):
            at = torch.tensor(going, device=self._vectors.device)
            vectors = self._vectors[at]
            shown = self._anchors[at] + vectors[:, None]
            logs = [one.log_probabilities(shown, going).to(at.device) for one in self._beliefs]
            lost = -torch.stack(logs)
            lengths = vectors.norm(dim=-1)
            loss = (lost - config.tau).clamp(min=0).mean(0)
            if self._free:
                loss = loss + config.unit_norm * (lengths - 1).square()
            costs = {
                one.name: one.cost(vectors, self._starts[at]).to(at.device) for one in self._terms
            }
            for term in self._terms:
                loss = loss + term.weight * costs[term.name]
            if descend:
                loss.sum().backward()
        seen = {BELIEF: lost.amax(0), LENGTH: lengths, **costs}
        self._keep(going, {name: values.detach() for name, values in seen.items()})
        believed = lost.amax(0).detach() <= config.tau
        return believed & (not self._terms)

    def _keep(self, going: list[int], seen: dict[str, Float[Tensor, " dream"]]) -> None:
        at = torch.tensor(going, device=self._vectors.device)
        lacking = (seen[BELIEF] - self._config.tau).clamp(min=0)
        charged = torch.zeros_like(lacking)
        for term in self._terms:
            charged = charged + term.weight * seen[term.name]
        least = self._least[:, at]
        better = (lacking < least[0]) | ((lacking == least[0]) & (charged < least[1]))
        chosen = at[better]
        self._least[:, chosen] = torch.stack([lacking, charged])[:, better]
        self._best[chosen] = self._vectors.detach()[chosen]
        values = {name: some.tolist() for name, some in seen.items()}
        self._history.append((going, values))
        for row, (dream, is_better) in enumerate(zip(going, better.tolist(), strict=True)):
            if is_better:
                self._costs[dream] = {name: some[row] for name, some in values.items()}

    def _bounded(self, vectors: Float[Tensor, "dream d_model"]) -> Float[Tensor, "dream d_model"]:
        """Return vectors no longer than they may be."""
        if self._config.bound is None:
            return vectors
        return vectors * (self._config.bound / vectors.norm(dim=-1, keepdim=True)).clamp(max=1)

    def _dream(self, index: int, layer: int) -> Dream:
        attempt, costs = self._attempts[index], self._costs[index]
        names = list(costs)
        rows = [(going.index(index), values) for going, values in self._history if index in going]
        lost = costs[BELIEF]
        believed = lost <= self._config.tau
        vector = self._best[index][None].cpu()
        if attempt.around is not None:
            vector = vector * _length(attempt.around)
        who = ", ".join(one.oracle.adapter for one in self._beliefs)
        model = self._beliefs[0].oracle.model
        note = f"dreamt until {who} says: {attempt.wish}"
        own = Activations.own(vector, layer=layer, note=note, model=model.name)
        return Dream(
            name=attempt.name,
            wish=attempt.wish,
            vector=replace(own, provenance=replace(own.provenance, fingerprint=model.fingerprint)),
            probability=float(torch.tensor(-lost).exp()),
            believed=believed,
            costs={name: value for name, value in costs.items() if name not in (BELIEF, LENGTH)},
            steps=len(rows) - 1,
            trace={name: tuple(values[name][row] for row, values in rows) for name in names},
        )


def _shape(attempt: Attempt, layer: int) -> tuple[tuple[int, ...], int]:
    """Return which layers an attempt is shown at, and how many slots of each."""
    if attempt.around is None:
        return (layer,), 1
    layers = tuple(dict.fromkeys(attempt.around.layers))
    return layers, len(attempt.around) // len(layers)


def _length(reading: Activations) -> float:
    return float(reading.vectors.float().norm(dim=-1).mean())


def _anchor(attempt: Attempt) -> Float[Tensor, "slot d_model"]:
    """Return what stands in the slots already, in units of its length."""
    if attempt.around is None:
        return torch.zeros(1, attempt.start.shape[-1])
    return attempt.around.vectors.detach().float() / _length(attempt.around)


def _check(attempt: Attempt, oracles: Sequence[Oracle], config: DreamConfig) -> None:
    if (attempt.around is None) != (config.bound is None):
        raise ConfigError(
            f"{attempt.name!r}: a change of a reading needs a bound, and only that has one. Give "
            "both `around` and `bound`, or neither."
        )
    widths = {one.model.width for one in oracles}
    if widths != {attempt.start.shape[-1]}:
        raise MismatchError(
            f"{attempt.name!r} starts from a vector of width {attempt.start.shape[-1]}; oracles "
            f"read {sorted(widths)}."
        )
    if not attempt.start.isfinite().all() or (attempt.around is None and not attempt.start.any()):
        raise MismatchError(f"{attempt.name!r} starts from no direction: zeros, NaN or infinity.")
