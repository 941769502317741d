"""What fills the slots of examples: the target's reading, or what an example says stands there.

The one place that knows how a stand-in is made. What is handed on are vectors like any others, or
None where nothing is written, so no later step tells an answerable example from another.
"""

import logging
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from activation_oracles.errors import DataError, MismatchError
from activation_oracles.files import folder_at, writing
from activation_oracles.models.store import GIB, ReadingStore
from activation_oracles.models.target import Target
from activation_oracles.tasks import store
from activation_oracles.tasks.task import random_for
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.survey import Survey
from activation_oracles.types import READING, Example, own_row

MEANS = "means.safetensors"
"""File in a run's folder: the mean activation of each layer."""
NUM_TEXTS = 256
"""Examples that a mean is taken over, at most."""
TEXTS_PER_READING = 32
LOOKED_AT = 1000
"""Examples from which it is estimated how much a store will grow."""

Means = dict[int, Float[Tensor, " d_model"]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Matrix:
    """Vectors in a file, of which rows are read when they are wanted."""

    path: Path
    rows: Any
    """A slice of the open file, as safetensors hands it out."""

    @classmethod
    def open(cls, path: Path) -> "Matrix":
        """Open a safetensors file that holds one matrix.

        Raises:
            DataError: it is missing, damaged, or holds anything else.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                names = list(file.keys())
                shapes = [file.get_slice(name).get_shape() for name in names]
                if [len(shape) for shape in shapes] != [2]:
                    raise DataError(
                        f"{path} holds {dict(zip(names, shapes, strict=True))}; own vectors are "
                        "one matrix [row, d_model]. Save it alone in a file."
                    )
                return cls(path, file.get_slice(names[0]))
        except (OSError, SafetensorError) as error:
            raise DataError(
                f"{path} cannot be read as safetensors ({error}). Examples that show "
                f"own:{path.name} need it beside them."
            ) from error

    def check(self, num_rows: int, width: int) -> None:
        """Refuse a matrix of another width, or with fewer rows.

        Raises:
            MismatchError: the vectors are of another model.
            DataError: an example shows a row that is not there.
        """
        shape = self.rows.get_shape()
        if shape[1] != width:
            raise MismatchError(
                f"{self.path} has shape {shape}, expected [row, {width}] for a model of width "
                f"{width}. Was it made for another model, or is it transposed?"
            )
        if shape[0] < num_rows:
            raise DataError(
                f"Examples show row {num_rows - 1} of {self.path}, which has {shape[0]} rows. "
                "Rows count from 0, one for each slot."
            )


@dataclass(frozen=True, eq=False)
class Slots:
    """The target, and all that may stand in for its readings."""

    target: Target
    means: Means
    """By layer; empty where no example shows them."""
    matrices: Mapping[str, Matrix]
    """Own vectors, by the name of their file."""
    store: ReadingStore | None = None
    """Where readings are kept, if anywhere."""

    def vectors(self, examples: Sequence[Example]) -> list[Float[Tensor, "_ d_model"] | None]:
        """Return what each example shows, layer-major; None for one that shows nothing."""
        reader = self.target if self.store is None else self.store
        read = iter(reader.vectors([one for one in examples if one.shown == READING]))
        return [next(read) if one.shown == READING else self._stand_in(one) for one in examples]

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for a run to be continued, beside its settings and examples."""
        files = {name: store.hash_file(one.path) for name, one in sorted(self.matrices.items())}
        # Not an empty entry: a run saved before there were any has none.
        return {"own vectors": files} if files else {}

    def _stand_in(self, example: Example) -> Float[Tensor, "_ d_model"] | None:
        if example.shown == "nothing":
            return None
        network = self.target.model.network
        device = self.target.model.device
        return self._made(example).to(device, network.dtype, non_blocking=True)

    def _made(self, example: Example) -> Float[Tensor, "_ d_model"]:
        num_slots = len(example.layers) * len(example.positions)
        own = own_row(example.shown)
        if own is not None:
            file, row = own
            return self.matrices[file].rows[row : row + num_slots]
        if example.shown == "mean":
            rows = [self.means[layer] for layer in example.layers for _ in example.positions]
            return torch.stack(rows)
        return random_directions(example, self.target.model.width)


def random_directions(example: Example, width: int) -> Float[Tensor, "slot {width}"]:
    """Return a direction for each slot, the same whenever the same example asks.

    Their lengths do not matter: what is written takes its strength from where it is written.
    """
    named = (example.source, example.question, str(example.layers), str(example.positions))
    generator = torch.Generator().manual_seed(random_for(0, *named).getrandbits(63))
    num_slots = len(example.layers) * len(example.positions)
    return torch.randn(num_slots, width, generator=generator)


def fill(
    config: TrainConfig, target: Target, examples: Sequence[Example], known: Sequence[Survey]
) -> Slots:
    """Open and compute all that examples show beside readings, before the first step.

    Args:
        config: the run's settings: own vectors lie beside its data, means in its folder.
        target: what reads.
        examples: the training examples, whose readings a mean is taken over.
        known: what was found out about them and about the held-out ones.

    Raises:
        DataError: a file or a row of own vectors is missing, there is no text to take a mean of,
            or readings to be kept would have no room.
        MismatchError: own vectors are of another model's width.
    """
    wanted: dict[str, int] = {}
    for survey in known:
        for name, num_rows in survey.own_rows.items():
            wanted[name] = max(wanted.get(name, 0), num_rows)
    matrices = {name: Matrix.open(_beside(config, name)) for name in wanted}
    for name, matrix in matrices.items():
        matrix.check(wanted[name], target.model.width)
    layers = sorted({layer for survey in known for layer in survey.mean_layers})
    means = _means(config, target, examples, layers) if layers else {}
    return Slots(target, means, matrices, _store(config, target, examples))


def mean_activations(
    target: Target, examples: Sequence[Example], layers: Sequence[int], seed: int
) -> Means:
    """Return the mean of what a sample of examples shows, in fp32; each text counts once.

    At the tokens that are shown, not at all of them: a first token's activation is often a hundred
    times as long as the others', and would be the mean.

    Raises:
        DataError: no example shows a reading.
    """
    order = array("q", range(len(examples)))
    random_for(seed, "mean").shuffle(order)
    sample: dict[tuple[int, ...], Example] = {}
    for one in (examples[index] for index in order):
        if one.shown == READING:
            sample.setdefault(one.context, replace(one, layers=tuple(layers)))
        if len(sample) == NUM_TEXTS:
            break
    if not sample:
        raise DataError(
            "Examples show the mean activation, but none a reading to take it of. Train on texts "
            "too, or show `nothing` or `random`."
        )
    return _mean_of(target, list(sample.values()), layers)


def _mean_of(target: Target, sample: Sequence[Example], layers: Sequence[int]) -> Means:
    total = torch.zeros(len(layers), target.model.width)
    for start in range(0, len(sample), TEXTS_PER_READING):
        for vectors in target.vectors(sample[start : start + TEXTS_PER_READING]):
            by_layer = vectors.float().cpu().unflatten(0, (len(layers), -1))
            total += by_layer.mean(dim=1)
    return dict(zip(layers, total / len(sample), strict=True))


def _store(config: TrainConfig, target: Target, examples: Sequence[Example]) -> ReadingStore | None:
    """Open the store of readings, where one is wanted, and say how much it will grow."""
    if config.store is None:
        return None
    store = ReadingStore(target, config.store, max_gib=config.store_gib)
    numbers = random_for(config.seed, "store")
    sample = numbers.sample(range(len(examples)), min(LOOKED_AT, len(examples)))
    seen = [examples[index] for index in sample]
    num_seen = min(len(examples), (config.max_steps or len(examples)) * config.batch_size)
    size = store.expect([one for one in seen if one.shown == READING], times=num_seen / len(sample))
    if PartialState().is_main_process:
        logger.warning("%s will grow by about %.3g GiB at most.", config.store, size / GIB)
    return store


def _means(
    config: TrainConfig, target: Target, examples: Sequence[Example], layers: Sequence[int]
) -> Means:
    """Return the run's mean activations: a continued run those that it began with."""
    path = Path(config.output) / MEANS
    if config.resume and path.exists():
        return _load_means(path, layers)
    means = mean_activations(target, examples, layers, config.seed)
    if PartialState().is_main_process:
        folder_at(path.parent)
        with writing(path) as part:
            save_file({str(layer): mean.clone() for layer, mean in means.items()}, part)
    return means


def _load_means(path: Path, layers: Iterable[int]) -> Means:
    try:
        held = load_file(path)
        return {layer: held[str(layer)] for layer in layers}
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(
            f"{path} does not hold the mean activations of this run ({error}). Remove it, and they "
            "are computed again."
        ) from error


def _beside(config: TrainConfig, name: str) -> Path:
    """Return a file of own vectors, wherever it lies beside the run's data.

    Raises:
        DataError: there is none, or there are several that differ.
    """
    places = [Path(source) for source in config.sources]
    paths = [(one if one.is_dir() else one.parent) / name for one in places]
    found = {store.hash_file(path): path for path in reversed(paths) if path.is_file()}
    if len(found) != 1:
        raise DataError(
            f"Examples show own:{name}, a file beside them; {', '.join(map(str, paths))} are "
            f"{len(found)} different files. Expected one: put it there, or rename one of several."
        )
    return next(iter(found.values()))
