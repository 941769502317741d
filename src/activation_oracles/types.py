"""The nouns that pass between rooms: `Example`, `Activations`, `Answer`.

A reading is a list of slots: one vector each, with its layer and position. A token, a span, three
layers, a difference or a dreamed vector are all the same thing. Slots are layer-major: all
positions of the first layer, then all of the next, as the published prompt shows them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

from jaxtyping import Float
from torch import Tensor

from activation_oracles.errors import DataError, MismatchError
from activation_oracles.files import load_vectors, save_vectors

READING = "reading"
"""What an example shows by default: what the target reads of its context."""
STAND_INS = ("nothing", "random", "mean")
"""What it may show instead: nothing at all, random directions, or the mean activation."""
OWN = re.compile(r"own:([^/\\#]+)#([0-9]+)")


@dataclass(frozen=True)
class Example:
    """One question about one text, with its answer: plain data, one row on disk."""

    context: tuple[int, ...]
    """Token ids the target reads. Ids, because re-tokenising a cut text would move positions."""
    positions: tuple[int, ...]
    """Which of them the oracle is shown, counted from 0."""
    layers: tuple[int, ...]
    """At which depths (blocks, counted from 0). Every position is shown at every layer."""
    question: str
    """What the oracle is asked."""
    answer: str
    """What it should say."""
    task: str
    """Which task made it, as `context_prediction` or `classification/sst2`."""
    source: str
    """Where its text comes from: enough to find it again, and to keep splits apart."""
    shown: str = READING
    """What its slots hold: `reading`, `nothing`, `random` directions, the `mean` activation, or
    `own:FILE#ROW`, a row of a matrix in a file beside the examples (further slots: further rows).
    What is no reading needs no context; its positions count slots."""

    def __post_init__(self) -> None:
        if not self.positions or not self.layers or not self.question:
            raise DataError(f"An example needs positions, layers and a question, got {self!r:.300}")
        is_reading = self.shown == READING
        if min(self.positions) < 0 or (is_reading and max(self.positions) >= len(self.context)):
            raise DataError(
                f"Example of task {self.task!r} asks for positions {self.positions} of a text "
                f"with {len(self.context)} tokens. Positions count from 0."
            )
        if not is_reading and self.shown not in STAND_INS and own_row(self.shown) is None:
            raise DataError(
                f"Example of task {self.task!r} shows {self.shown!r}. Expected {READING}, "
                f"{', '.join(STAND_INS)} or own:FILE#ROW, where FILE is a name without folders."
            )


def own_row(shown: str) -> tuple[str, int] | None:
    """Return the file and the row that `own:FILE#ROW` names; None for anything else."""
    found = OWN.fullmatch(shown)
    return (found[1], int(found[2])) if found else None


@dataclass(frozen=True)
class Provenance:
    """Where vectors come from: enough to say whether two readings may be compared."""

    model: str
    """Hub id or folder of the model that was read."""
    fingerprint: str
    """Hash of its weights; two models with one name differ here."""
    adapter: str | None
    """Name and weight hash of the adapter that was active; None for the bare model."""
    dtype: str
    attention: str
    """The attention implementation: other kernels give slightly other activations."""
    tokenizer: str
    """Hash of the vocabulary and the chat template."""
    quantization: str | None = None
    """How the weights are quantised, as `8bit`; None where they are whole."""
    history: tuple[str, ...] = ()
    """What was done to the vectors since they were read, oldest first."""

    def then(self, step: str) -> "Provenance":
        """Return the same provenance with one more step in its history."""
        return replace(self, history=(*self.history, step))


@dataclass(frozen=True, eq=False)
class Activations:
    """One vector a slot, each with its layer and position; tokens, roles and provenance beside."""

    vectors: Float[Tensor, "slot d_model"]
    """The residual stream after each slot's block, in the dtype it was read in, on the CPU."""
    layers: tuple[int, ...]
    """One per slot: the block, counted from 0, whose output this is."""
    positions: tuple[int, ...]
    """One per slot: the token's index in the text. Own vectors count from 0."""
    token_ids: tuple[int, ...]
    """The whole text that was read; empty for vectors that come from no text."""
    pieces: tuple[str, ...]
    """The text of each token."""
    roles: tuple[str, ...]
    """Who speaks each token: `user`, `assistant`, `system`, or `text` outside any turn."""
    provenance: Provenance
    stream_lengths: tuple[float, ...] | None = None
    """One per slot of a difference: how long the stream is that was subtracted. None for what is no
    difference, or one from a vector of length 0."""

    def __post_init__(self) -> None:
        beside = self.layers if self.stream_lengths is None else self.stream_lengths
        if {len(self.layers), len(self.positions), len(beside)} != {len(self.vectors)}:
            raise DataError(
                f"{len(self.vectors)} vectors need as many layers and positions, got "
                f"{len(self.layers)} layers and {len(self.positions)} positions (and {len(beside)} "
                "lengths of streams)."
            )

    @property
    def relative_strengths(self) -> tuple[float, ...] | None:
        """How long each slot of a difference is beside the stream subtracted: |a - b| / |b|."""
        if self.stream_lengths is None:
            return None
        pairs = zip(_lengths(self.vectors), self.stream_lengths, strict=True)
        return tuple(ours / theirs for ours, theirs in pairs)

    def __repr__(self) -> str:
        strengths = self.relative_strengths
        told = f", median relative strength {median(strengths):.3g}" if strengths else ""
        where = f"layers {sorted(set(self.layers))} of {self.provenance.model}"
        return f"<Activations: {len(self)} slots, {where}{told}>"

    @classmethod
    def own(
        cls,
        vectors: Float[Tensor, "slot d_model"],
        *,
        layer: int,
        note: str,
        model: str = "unknown",
    ) -> "Activations":
        """Wrap vectors of the user's own (an SAE feature, a steering vector) for layer `layer`.

        `note` says what they are and becomes their history.
        """
        if vectors.ndim != 2 or not vectors.isfinite().all():
            raise DataError(
                "Own vectors are a finite [slot, d_model] matrix, got shape "
                f"{tuple(vectors.shape)}."
            )
        num_slots = vectors.shape[0]
        origin = Provenance(
            model=model,
            fingerprint="unknown",
            adapter=None,
            dtype=str(vectors.dtype).removeprefix("torch."),
            attention="unknown",
            tokenizer="unknown",
            history=(f"own vectors: {note}",),
        )
        return cls(vectors, (layer,) * num_slots, tuple(range(num_slots)), (), (), (), origin)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, slots: int | slice) -> "Activations":
        """Select slots, in order, as from a list."""
        chosen = range(len(self))[slots]
        indices = [chosen] if isinstance(chosen, int) else list(chosen)
        return self._take(indices, f"slots {indices}")

    def at(
        self, *, layers: tuple[int, ...] | None = None, positions: tuple[int, ...] | None = None
    ) -> "Activations":
        """Select the slots of some layers and positions.

        Raises:
            DataError: a layer or position was not read.
        """
        for name, wanted, held in (
            ("layers", layers, self.layers),
            ("positions", positions, self.positions),
        ):
            missing = sorted(set(wanted or ()) - set(held))
            if missing:
                raise DataError(
                    f"These activations hold {name} {sorted(set(held))}; {missing} were not read."
                )
        indices = [
            slot
            for slot, (layer, position) in enumerate(zip(self.layers, self.positions, strict=True))
            if (layers is None or layer in layers) and (positions is None or position in positions)
        ]
        return self._take(indices, f"layers {layers}, positions {positions}")

    def __sub__(self, other: "Activations") -> "Activations":
        """Subtract slot by slot: what one reading holds that the other does not.

        How strong it is stays relative to the stream of the first subtraction, on either side.

        Raises:
            MismatchError: the two do not hold the same layers and as many slots of one width.
        """
        if self.layers != other.layers or self.vectors.shape != other.vectors.shape:
            raise MismatchError(
                f"A difference needs the same layers and slots on both sides, got "
                f"{tuple(self.vectors.shape)} at layers {sorted(set(self.layers))} and "
                f"{tuple(other.vectors.shape)} at layers {sorted(set(other.layers))}."
            )
        step = f"minus {json.dumps(asdict(other.provenance), sort_keys=True)}"
        streams = self.stream_lengths or other.stream_lengths or _lengths(other.vectors)
        found = self.with_vectors(self.vectors - other.vectors, step)
        return replace(found, stream_lengths=streams if all(streams) else None)

    def with_vectors(self, vectors: Float[Tensor, "slot d_model"], step: str) -> "Activations":
        """Put other vectors in the same slots and write into the history where they come from.

        In a difference they are as strong as they are long beside the same stream.
        """
        return replace(self, vectors=vectors, provenance=self.provenance.then(step))

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; everything but the vectors goes into its metadata."""
        names = ("layers", "positions", "token_ids", "pieces", "roles")
        record = {name: getattr(self, name) for name in names}
        if self.stream_lengths is not None:
            record["stream_lengths"] = self.stream_lengths
        save_vectors(Path(path), self.vectors, record | {"provenance": asdict(self.provenance)})

    @classmethod
    def load(cls, path: str | Path) -> "Activations":
        """Read a file that `save` wrote.

        Raises:
            DataError: the file is missing, or is not such a file.
        """
        vectors, record = load_vectors(Path(path))
        provenance = record.pop("provenance")
        history = tuple(provenance.pop("history"))
        fields = {name: tuple(values) for name, values in record.items()}
        return cls(vectors, **fields, provenance=Provenance(**provenance, history=history))

    def _take(self, indices: list[int], what: str) -> "Activations":
        return replace(
            self,
            vectors=self.vectors[indices],
            layers=tuple(self.layers[index] for index in indices),
            positions=tuple(self.positions[index] for index in indices),
            provenance=self.provenance.then(what),
            stream_lengths=self.stream_lengths
            and tuple(self.stream_lengths[index] for index in indices),
        )


def _lengths(vectors: Float[Tensor, "slot d_model"]) -> tuple[float, ...]:
    return tuple(vectors.float().norm(dim=-1).tolist())


@dataclass(frozen=True)
class Answer:
    """What an answerer said to one question, and what is needed to know how far to trust it."""

    question: str
    text: str
    """The answer: greedy text, the first sample, or the choice that won."""
    layers: tuple[int, ...]
    """One per slot, as in the activations that were shown; empty when none were."""
    positions: tuple[int, ...]
    provenance: Provenance | None
    """Where the shown activations come from; None when the answerer was shown text instead."""
    relative_strengths: tuple[float, ...] | None = None
    """One per slot of a difference: how long it is beside what was subtracted."""
    samples: tuple[str, ...] = ()
    """All samples, when more than one answer was drawn."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """For a forced choice: a probability for each given answer; they sum to 1."""
    controls: Mapping[str, "Answer"] = field(default_factory=dict)
    """The same question with something else in the slots, by the name of the control."""
    confidence: float | None = None
    """Probability that the text, or the guess, is right; None where nobody asked for it."""
    confidence_by: str = ""
    """How it was found, and what it was calibrated on."""
    guess: str | None = None
    """What the text would have been, where the oracle was too unsure to give it or said itself that
    it cannot tell."""
    lift: float | None = None
    """How many times likelier each token of the answer is than with nothing in the slots, as a
    geometric mean: at 1 the activations did nothing for it, and a vague answer stays close to it.
    None where nobody asked how sure the answer is, or nothing was shown."""
    warnings: tuple[str, ...] = ()
    """What a reader should know before believing the text."""
