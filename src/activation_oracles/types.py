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

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from activation_oracles.errors import DataError, MismatchError

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

    def __post_init__(self) -> None:
        slots = self.vectors.shape[0]
        if len(self.layers) != slots or len(self.positions) != slots:
            raise DataError(
                f"{slots} vectors need as many layers and positions, got {len(self.layers)} "
                f"layers and {len(self.positions)} positions."
            )

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
        return self.with_vectors(self.vectors - other.vectors, step)

    def with_vectors(self, vectors: Float[Tensor, "slot d_model"], step: str) -> "Activations":
        """Put other vectors in the same slots and write into the history where they come from."""
        return replace(self, vectors=vectors, provenance=self.provenance.then(step))

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; everything but the vectors goes into its metadata."""
        record = {
            "layers": self.layers,
            "positions": self.positions,
            "token_ids": self.token_ids,
            "pieces": self.pieces,
            "roles": self.roles,
            "provenance": asdict(self.provenance),
        }
        metadata = {"activation_oracles": json.dumps(record)}
        save_file({"vectors": self.vectors.detach().cpu().contiguous()}, str(path), metadata)

    @classmethod
    def load(cls, path: str | Path) -> "Activations":
        """Read a file that `save` wrote.

        Raises:
            DataError: the file is missing, or is not such a file.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                record = json.loads((file.metadata() or {})["activation_oracles"])
                vectors = file.get_tensor("vectors")
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(
                f"{path} is not a file of saved activations ({error}). "
                "Make one with Activations.save."
            ) from error
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
        )


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
    samples: tuple[str, ...] = ()
    """All samples, when more than one answer was drawn."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """For a forced choice: a probability for each given answer; they sum to 1."""
    controls: Mapping[str, "Answer"] = field(default_factory=dict)
    """The same question with something else in the slots, by the name of the control."""
    confidence: float | None = None
    """Probability that the text is right; None where nobody asked for it."""
    confidence_by: str = ""
    """How it was found, and what it was calibrated on."""
    guess: str | None = None
    """What the text would have been, where the oracle was too unsure to give it."""
    lift: float | None = None
    """How many times likelier each token of the answer is than with nothing in the slots, as a
    geometric mean: at 1 the activations did nothing for it, and a vague answer stays close to it.
    None where nobody asked how sure the answer is, or nothing was shown."""
    warnings: tuple[str, ...] = ()
    """What a reader should know before believing the text."""
