"""The model that is read: texts or chats in, the stream at chosen layers and tokens out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack, overload

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import GenerationConfig

from activation_oracles.errors import DataError
from activation_oracles.models.batching import batches, hosts, per_pass
from activation_oracles.models.chat import Chat, Text, encode_chat, encode_text
from activation_oracles.models.continuing import continuations
from activation_oracles.models.load import How, LanguageModel, load
from activation_oracles.models.positions import Selector, resolve
from activation_oracles.models.read import read
from activation_oracles.models.sharding import in_step
from activation_oracles.types import READING, Activations, Example, Provenance


@dataclass(frozen=True)
class Place:
    """What one reading wants of one context."""

    context: tuple[int, ...]
    layers: tuple[int, ...]
    positions: tuple[int, ...]


class Target:
    """A language model under one adapter, or none, that is read and never under the oracle's."""

    def __init__(self, model: LanguageModel, adapter: str | None = None) -> None:
        if adapter is not None:
            model.adapters.identity(adapter)
        self.model = model
        self.adapter = adapter

    @classmethod
    def from_pretrained(
        cls, name: str, *, adapter: str | None = None, **how: Unpack[How]
    ) -> "Target":
        """Load a target from a folder or hub id, and an adapter for it where one is given."""
        model = load(name, **how)
        return cls(model, model.add_adapter(adapter) if adapter else None)

    @property
    def provenance(self) -> Provenance:
        """Where this target's activations come from."""
        model = self.model
        return Provenance(
            model=model.name,
            fingerprint=model.fingerprint,
            adapter=model.adapters.identity(self.adapter) if self.adapter else None,
            dtype=str(model.network.dtype).removeprefix("torch."),
            attention=str(model.network.config._attn_implementation),  # pyright: ignore[reportPrivateUsage]
            tokenizer=model.tokenizer_hash,
            quantization=model.quantization,
        )

    def text(self, source: str | Chat, *, add_generation_prompt: bool | None = None) -> Text:
        """Return a text or chat as this target reads it: ids, pieces, roles and turns."""
        if isinstance(source, str):
            return encode_text(self.model.tokenizer, source)
        return encode_chat(
            self.model.tokenizer, source, add_generation_prompt=add_generation_prompt
        )

    def encode(self, source: str | Chat) -> tuple[int, ...]:
        """Return the token ids of a text or chat."""
        return self.text(source).token_ids

    @overload
    def read(  # pyright: ignore[reportOverlappingOverload] - a str is a sequence of str
        self,
        source: str | Chat,
        *,
        layers: Sequence[int] | int,
        positions: Selector = "all",
        add_generation_prompt: bool | None = None,
    ) -> Activations: ...
    @overload
    def read(
        self,
        source: Sequence[str] | Sequence[Chat],
        *,
        layers: Sequence[int] | int,
        positions: Selector = "all",
        add_generation_prompt: bool | None = None,
    ) -> list[Activations]: ...
    def read(
        self,
        source: str | Chat | Sequence[str] | Sequence[Chat],
        *,
        layers: Sequence[int] | int,
        positions: Selector = "all",
        add_generation_prompt: bool | None = None,
    ) -> Activations | list[Activations]:
        """Read the residual stream after `layers` at `positions`.

        Args:
            source: a text, a chat (messages with role and content), or a list of either.
            layers: blocks, counted from 0; layer N is the stream after block N.
            positions: which tokens; see `activation_oracles.models.positions`.
            add_generation_prompt: for chats; by default, where the assistant has not spoken last.

        Returns:
            One `Activations`, or a list of them for a list.

        Raises:
            ConfigError: the model has no such layer.
            DataError: a text is empty, or a position lies outside it.
        """
        wanted = (layers,) if isinstance(layers, int) else tuple(dict.fromkeys(layers))
        self.model.blocks.check_layers(wanted)
        single = isinstance(source, str) or _is_chat(source)
        sources: Sequence[str | Chat] = [source] if single else source  # pyright: ignore
        texts = [self.text(one, add_generation_prompt=add_generation_prompt) for one in sources]
        places = [Place(text.token_ids, wanted, resolve(positions, text)) for text in texts]
        provenance = self.provenance
        readings = [
            _activations(text, place, vectors.cpu(), provenance)
            for text, place, vectors in zip(texts, places, self._gather(places), strict=True)
        ]
        return readings[0] if single else readings

    def vectors(self, examples: Sequence[Example]) -> list[Float[Tensor, "_ d_model"]]:
        """Return the vectors that examples ask for, layer-major, on the model's device.

        Each distinct context runs once, up to the deepest layer that any example wants of it. One
        that another begins with is read there: what follows a token does not change it.

        Raises:
            DataError: an example shows something that is not read, as a random direction.
        """
        check_readings(examples)
        return self._gather(
            [Place(example.context, example.layers, example.positions) for example in examples]
        )

    def generate(
        self,
        source: str | Chat,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """Let the target go on: greedily at temperature 0, else sampled from the seed."""
        return self.generate_all(
            [source], max_new_tokens=max_new_tokens, temperature=temperature, seed=seed
        )[0]

    def generate_all(
        self,
        sources: Sequence[str | Chat],
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """As `generate`, for many texts in one batch."""
        model = self.model
        ids = [self.text(source, add_generation_prompt=True).token_ids for source in sources]
        settings = model.decoding(max_new_tokens, temperature)
        new = self.continued(ids, settings, seed)
        return model.tokenizer.batch_decode([list(one) for one in new], skip_special_tokens=True)

    def continued(
        self, prompts: Sequence[tuple[int, ...]], settings: GenerationConfig, seed: int = 0
    ) -> list[tuple[int, ...]]:
        """Return the ids that this target writes behind each prompt, in one batch.

        Raises:
            DataError: there is no prompt, or one of them has no tokens.
        """
        return continuations(self.model, self.adapter, prompts, settings, seed)

    def _gather(self, places: Sequence[Place]) -> list[Float[Tensor, "_ d_model"]]:
        """Run every distinct context once, by depth and length; cut out what each place wants."""
        longest = hosts({place.context for place in places})
        contexts: dict[tuple[int, ...], list[int]] = {}
        for index, place in enumerate(places):
            contexts.setdefault(longest[place.context], []).append(index)
        # A pass runs to the deepest layer that any of its texts is read at.
        deepest = {
            context: max(max(places[index].layers) for index in wanted)
            for context, wanted in contexts.items()
        }
        passes = (
            (batch, sorted({n for c in batch for i in contexts[c] for n in places[i].layers}))
            for batch in batches(deepest, per_pass(self.model.device))
        )
        found: dict[int, Tensor] = {}
        for batch, layers in in_step(self.model, passes):
            asked = [(row, index) for row, c in enumerate(batch) for index in contexts.get(c, ())]
            found |= self._cut(batch, layers, asked, places)
        return [found[index] for index in range(len(places))]

    def _cut(
        self,
        batch: Sequence[tuple[int, ...]],
        layers: Sequence[int],
        asked: Sequence[tuple[int, int]],
        places: Sequence[Place],
    ) -> dict[int, Tensor]:
        """Run one batch, and cut out what the places of each of its rows want."""
        streams = self._streams(batch, layers)
        picked = {layer: _picked(streams.pop(layer), layer, asked, places) for layer in layers}
        # Of a model that is spread over devices, each block has its own.
        device = self.model.device
        return {
            index: torch.cat([picked[n][index].to(device) for n in places[index].layers])
            for _, index in asked
        }

    def _streams(
        self, batch: Sequence[tuple[int, ...]], layers: Sequence[int]
    ) -> dict[int, Tensor]:
        model = self.model
        width = max(map(len, batch))
        ids = torch.full((len(batch), width), model.pad_id)
        for row, context in enumerate(batch):
            ids[row, : len(context)] = torch.tensor(context)
        place = ids.to(model.device, non_blocking=True)
        with model.using(self.adapter):
            return read(model.network, model.blocks, place, None, layers=layers)


class Difference:
    """What one target's activations hold that another's do not: `after - before`, slot by slot."""

    def __init__(self, after: Target, before: Target) -> None:
        self.after = after
        self.before = before

    def read(
        self, source: str | Chat, *, layers: Sequence[int] | int, positions: Selector = "all"
    ) -> Activations:
        """Read both on the same text and subtract."""
        after = self.after.read(source, layers=layers, positions=positions)
        return after - self.before.read(source, layers=layers, positions=positions)


def check_readings(examples: Iterable[Example]) -> None:
    """Refuse examples that show what no target reads.

    Raises:
        DataError: an example shows a stand-in, or vectors of the user's own.
    """
    for example in examples:
        if example.shown != READING:
            raise DataError(
                f"An example of task {example.task!r} from {example.source} shows "
                f"{example.shown!r}, which no model reads from a text. Leave out examples "
                f"that show anything but {READING!r} here; training knows what they show."
            )


def _is_chat(source: object) -> bool:
    return isinstance(source, Sequence) and bool(source) and isinstance(source[0], Mapping)


def _picked(
    stream: Float[Tensor, "batch pos d_model"],
    layer: int,
    asked: Sequence[tuple[int, int]],
    places: Sequence[Place],
) -> dict[int, Tensor]:
    """Cut out what each place wants of one layer, all at once, as each copy makes a device wait."""
    wanted = [(row, index) for row, index in asked if layer in places[index].layers]
    if not wanted:
        # A layer that only another process wants, where weights are shared out.
        return {}
    counts = [len(places[index].positions) for _, index in wanted]
    rows = [row for (row, _), count in zip(wanted, counts, strict=True) for _ in range(count)]
    columns = [column for _, index in wanted for column in places[index].positions]
    at = torch.tensor([rows, columns]).to(stream.device, non_blocking=True)
    cut = stream[at[0], at[1]].split(counts)
    return {index: part for (_, index), part in zip(wanted, cut, strict=True)}


def _activations(text: Text, place: Place, vectors: Tensor, provenance: Provenance) -> Activations:
    per_layer = len(place.positions)
    return Activations(
        vectors=vectors,
        layers=tuple(layer for layer in place.layers for _ in range(per_layer)),
        positions=place.positions * len(place.layers),
        token_ids=text.token_ids,
        pieces=text.pieces,
        roles=text.roles,
        provenance=provenance,
    )
