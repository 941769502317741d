"""`ao_config.json`, the card beside an oracle's adapter: everything an asker must know to ask well.

On disk it is a superset of the public schema v1, under v1's names, so that other readers of that
file understand it; in Python the fields have this package's names. Unknown fields survive a round
trip; contradictions are refused.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.files import writing
from activation_oracles.models.blocks import layer_at
from activation_oracles.models.load import LanguageModel
from activation_oracles.oracle.calibrator import Calibrator, Method
from activation_oracles.oracle.depth import Depth
from activation_oracles.oracle.hub_files import find_file
from activation_oracles.oracle.prompt import PUBLISHED_PREFIX, Template, choose_placeholder
from activation_oracles.oracle.refusing import Refusal

FILE_NAME = "ao_config.json"
SCHEMA_VERSION = 2
ON_DISK = {
    "model": "model_name",
    "layers": "act_layer_combinations",
    "percents": "layer_combinations",
    "placeholder": "special_token",
    "prefix": "prefix_template",
    "block": "hook_onto_layer",
    "strength": "steering_coefficient",
    "mode": "injection_mode",
    "width": "d_model",
    "fingerprint": "base_fingerprint",
}
"""Fields whose name in the file is not theirs here; all but the last three are schema v1's."""
PUBLISHED_PERCENTS = (25, 50, 75)


class Card(BaseModel):
    """The contract between an oracle's training and everyone who asks it."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        populate_by_name=True,
        alias_generator=lambda name: ON_DISK.get(name, name),
    )

    schema_version: int = SCHEMA_VERSION
    """1 for the public schema, 2 for its superset written here."""
    model: str
    """Hub id or folder of the base model."""
    layers: tuple[tuple[int, ...], ...]
    """The layer sets trained on: `((9,), (18,))` is two single layers, `((9, 18),)` one pair."""
    percents: tuple[tuple[float, ...], ...] = ()
    """The same as percentages of the depth, where they were given so."""
    drawn_set_sizes: tuple[int, ...] = ()
    """How many layers were shown together where they were drawn for every example: any so many of
    those trained on. `layers` names some of these sets, which are too many."""
    placeholder: str = " ?"
    """Text of the single token that is written over."""
    prefix: str = PUBLISHED_PREFIX
    """The header of the prompt, in the notation of schema v1, or with `{percent}` for the depth."""
    block: int = Field(default=1, ge=0)
    """After which block of the oracle the vectors are written."""
    strength: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """s in h + s |h| v/|v|."""
    mode: Literal["add", "replace"] = "add"
    """Add to the stream or replace it."""
    num_layers: int | None = None
    """Decoder blocks of the base model; None in cards of schema v1."""
    width: int | None = None
    """Width of its residual stream."""
    fingerprint: str | None = None
    """Hash of its weights, as in the provenance of activations."""
    quantization: str | None = None
    """How its weights were quantised in training, as `8bit`; None where they were whole."""
    tokenizer_hash: str | None = None
    """Hash of its vocabulary and chat template."""
    training: dict[str, Any] = Field(default_factory=dict)
    """How it was trained: resolved configuration, data manifest, seed, versions."""
    scores: dict[str, Any] = Field(default_factory=dict)
    """What it scored when it was made, each with n and interval."""
    confidence_curves: tuple[Calibrator, ...] = ()
    """Curves from stated to calibrated confidence, at most one a method."""
    refusal: Refusal | None = None
    """When it refuses as another oracle's abstainer; None where it generates the words."""
    depth: Depth | None = None
    """What it scores by depth, and where it is best read; None where that was not measured."""

    @field_validator("confidence_curves")
    @classmethod
    def _one_a_method(cls, curves: tuple[Calibrator, ...]) -> tuple[Calibrator, ...]:
        methods = [one.method for one in curves]
        if len(set(methods)) != len(methods):
            raise ValueError(f"two curves for one method, of {methods}")
        return curves

    @model_validator(mode="after")
    def _consistent(self) -> "Card":
        if not self.layers or not all(self.layers):
            raise ValueError("act_layer_combinations names no layers")
        if self.percents:
            if [len(s) for s in self.percents] != [len(s) for s in self.layers]:
                raise ValueError(
                    f"layer_combinations {self.percents} and act_layer_combinations {self.layers} "
                    "do not have the same shape"
                )
            if self.num_layers is not None:
                expected = tuple(
                    tuple(layer_at(self.num_layers, percent) for percent in one)
                    for one in self.percents
                )
                if expected != self.layers:
                    raise ValueError(
                        f"{self.percents} % of {self.num_layers} layers are {expected}, but "
                        f"act_layer_combinations says {self.layers}"
                    )
        if self.num_layers is not None:
            deepest = max(layer for one in (*self.layers, self.usual_layers) for layer in one)
            if deepest >= self.num_layers or self.block >= self.num_layers:
                raise ValueError(
                    f"layer {deepest} or injection block {self.block} lies outside the model's "
                    f"{self.num_layers} layers"
                )
        return self

    @classmethod
    def for_model(
        cls,
        model: LanguageModel,
        *,
        percents: tuple[tuple[float, ...], ...] = ((25,), (50,), (75,)),
        **fields: Any,
    ) -> "Card":
        """Return the card of an oracle to be trained on `model`, published defaults throughout."""
        return cls(
            model=model.name,
            layers=tuple(
                tuple(layer_at(model.num_layers, percent) for percent in one) for one in percents
            ),
            percents=percents,
            placeholder=fields.pop("placeholder", None) or choose_placeholder(model.tokenizer),
            num_layers=model.num_layers,
            width=model.width,
            fingerprint=model.fingerprint,
            quantization=model.quantization,
            tokenizer_hash=model.tokenizer_hash,
            **fields,
        )

    def calibrator(self, method: Method) -> Calibrator | None:
        """Return the curve that was fitted for a method of finding confidence."""
        return next((one for one in self.confidence_curves if one.method == method), None)

    @property
    def trained_layers(self) -> tuple[int, ...]:
        """Every layer that some set holds."""
        return tuple(sorted({layer for one in self.layers for layer in one}))

    @property
    def fixed_sets(self) -> tuple[tuple[int, ...], ...]:
        """The sets of layers trained on, without those that only exemplify drawn ones."""
        return tuple(one for one in self.layers if len(one) not in self.drawn_set_sizes)

    @property
    def drawn_in_words(self) -> tuple[str, ...]:
        """What was drawn, as `any 3 of 0, 1, 2, 3`."""
        layers = ", ".join(map(str, self.trained_layers))
        return tuple(f"any {size} of {layers}" for size in self.drawn_set_sizes)

    def was_trained_on(self, layers: tuple[int, ...]) -> bool:
        """Say whether the oracle was trained on these layers, shown together if several."""
        drawn = len(layers) in self.drawn_set_sizes and set(layers) <= set(self.trained_layers)
        return drawn or layers in self.layers

    @property
    def usual_layers(self) -> tuple[int, ...]:
        """Where to read when nobody says: where it was measured to be best, or was trained."""
        recommended = self.depth.recommended if self.depth else ()
        return recommended or self.layers[len(self.layers) // 2]

    def template(self, model: LanguageModel) -> Template:
        """Return how prompts are written for `model`."""
        return Template(model.tokenizer, self.placeholder, self.prefix, model.num_layers)

    def check(self, model: LanguageModel) -> None:
        """Refuse a base model that is not the one the oracle was trained on.

        Weights that are quantised otherwise have another hash in any case: they are not compared,
        and every answer warns of it.

        Raises:
            MismatchError: depth, width, weights or tokenizer differ, or a layer does not exist.
        """
        is_alike = self.quantization == model.quantization
        own = {
            "num_layers": (self.num_layers, model.num_layers),
            "d_model": (self.width, model.width),
            "base_fingerprint": (self.fingerprint if is_alike else None, model.fingerprint),
            "tokenizer_hash": (self.tokenizer_hash, model.tokenizer_hash),
        }
        for field, (said, found) in own.items():
            if said is not None and said != found:
                raise MismatchError(
                    f"The oracle was trained on {self.model!r} with {field} {said}; "
                    f"{model.name!r} has {found}. Load the base model that its card names."
                )
        deepest = max(self.block, *self.trained_layers)
        if deepest >= model.num_layers:
            raise MismatchError(
                f"The oracle's card names layer {deepest}; {model.name!r} has "
                f"{model.num_layers} layers."
            )

    def save(self, folder: str | Path) -> None:
        """Write `ao_config.json` into a folder.

        Raises:
            DataError: it cannot be written; a card that was there before is whole.
        """
        fields = self.model_dump(mode="json", by_alias=True)
        with writing(Path(folder) / FILE_NAME) as part:
            part.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, source: str) -> "Card | None":
        """Read the card beside an adapter, in a folder or on the hub; None where there is none.

        Raises:
            ConfigError: the file contradicts itself or is not such a card.
            ModelError: there is no such folder, or the hub cannot be reached.
        """
        path = find_file(source, FILE_NAME)
        if path is None:
            return None
        try:
            # Bytes: that they are no text is one more thing that pydantic tells.
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'card'}: {one['msg']}"
                for one in error.errors()
            )
            raise ConfigError(f"{FILE_NAME} of {source!r} is refused: {problems}.") from error
