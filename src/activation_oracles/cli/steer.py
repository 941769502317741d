"""`ao steer`: what a model writes with directions added to its stream, beside what it writes."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from activation_oracles.cli.reading import words
from activation_oracles.errors import ConfigError, DataError
from activation_oracles.files import naming_what_fails, writing

if TYPE_CHECKING:
    from activation_oracles.models.chat import Chat
    from activation_oracles.models.push import Push
    from activation_oracles.models.target import Target
    from activation_oracles.types import Activations

CAUTION = (
    "ao steer: a steered model may say what it was trained not to say, and what it says is no "
    "evidence of what it would say by itself. For research; see docs/steer.md."
)


@dataclass(frozen=True, kw_only=True)
class Steer:
    """Let a model go on with prompts as it is, and with vectors added to its stream."""

    target: str
    """Folder or hub id of the model to steer."""
    vector: tuple[str, ...]
    """Saved vectors (Activations.save), all added at once; each slot of a file at its layer."""
    strength: tuple[float, ...] = (1.0,)
    """How strong: one for all vectors or one each. Below 0 pushes away."""
    sweep: tuple[float, ...] = ()
    """Try these multiples of the strengths, as `--sweep -1 -0.5 0.5 1`."""
    unit: Literal["residual", "absolute"] = "residual"
    """Strengths are multiples of the stream's length at each token, or of the vector as it is."""
    layer: int | None = None
    """Add after this block, counted from 0; by default the layer that a vector is saved with."""
    where: Literal["all", "prompt", "generated"] = "all"
    """At which tokens. The last of the prompt makes the first new one, and belongs to both."""
    prompt: tuple[str, ...] = ()
    """What the model goes on with: plain words, or @FILE."""
    prompts: str | None = None
    """Or a file: .jsonl with `prompt` or `messages` in each line, or plain text, a prompt a
    line."""
    plain: bool = False
    """Go on with the words themselves; by default they are a user's message, where the model has
    chats."""
    adapter: str | None = None
    """Folder or hub id of an adapter to steer the model under."""
    max_new_tokens: int = 64
    """It writes at most so many."""
    temperature: float = 0.0
    """0 takes the likeliest token; above, tokens are drawn."""
    seed: int = 0
    """Of the draws."""
    batch_size: int = 16
    """Texts and strengths at once."""
    out: str | None = None
    """A .jsonl file: one line for each prompt and strength, with where the vectors come from."""
    dtype: str = "auto"
    """As float32 or bfloat16; auto keeps the checkpoint's."""
    quantize: Literal["8bit", "4bit"] | None = None
    """Load the weights in 8 or 4 bits, through bitsandbytes."""
    attention: str | None = None
    """transformers' attention implementation; by default the architecture's own."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = None
    """Instead of a device: spread over all that there are, then main memory, then disk."""

    def __post_init__(self) -> None:
        if len(self.strength) not in (1, len(self.vector)):
            raise ConfigError(
                f"Give one --strength, or one for each --vector: got {len(self.strength)} for "
                f"{len(self.vector)}."
            )

    def run(self) -> None:
        """Print what is written at each strength, and the caution on stderr."""
        print(CAUTION, file=sys.stderr)
        asked = self.asked()
        from transformers.utils import logging

        from activation_oracles.models.doses import doses
        from activation_oracles.models.target import Target
        from activation_oracles.types import Activations

        if not sys.stderr.isatty():
            logging.disable_progress_bar()
        vectors = [Activations.load(one) for one in self.vector]
        pushes = self.pushes(vectors)
        target = Target.from_pretrained(
            self.target,
            adapter=self.adapter,
            dtype=self.dtype,
            device=self.device,
            device_map=self.device_map,
            attention=self.attention,
            quantize=self.quantize,
        )
        for line in strangers(self.vector, vectors, target):
            print(line, file=sys.stderr)
        chats = target.model.tokenizer.chat_template is not None and not self.plain
        factors = [0.0, *(one for one in self.sweep or (1.0,) if one != 0)]
        written = doses(
            target,
            pushes,
            [_source(one, chats=chats) for one in asked],
            factors,
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            seed=self.seed,
        )
        for one, texts in zip(asked, written, strict=True):
            print("\n".join(told(one, factors, texts)))
        if self.out is not None:
            about = self.about(vectors, pushes, target)
            save(Path(self.out), asked, factors, written, about)

    def pushes(self, vectors: "Sequence[Activations]") -> "list[Push]":
        """Return what is added: a push for each slot of each file."""
        from activation_oracles.models.push import pushes_of

        return [
            push
            for one, strength in zip(vectors, self._strengths, strict=True)
            for push in pushes_of(
                one, strength=strength, unit=self.unit, where=self.where, layer=self.layer
            )
        ]

    def asked(self) -> "list[str | Chat]":
        """Return the prompts.

        Raises:
            DataError: there is none, or the file is missing or malformed.
        """
        found: list[str | Chat] = [words(one) for one in self.prompt]
        if self.prompts is not None:
            found += listed(self.prompts)
        if not found or not all(found):
            raise DataError("There is nothing to go on with. Give --prompt, or --prompts FILE.")
        return found

    def about(
        self, vectors: "Sequence[Activations]", pushes: "Sequence[Push]", target: "Target"
    ) -> dict[str, Any]:
        """Return what every line of the file says of the run."""
        added = [
            {"file": file, "strength": strength, "provenance": asdict(one.provenance)}
            for file, one, strength in zip(self.vector, vectors, self._strengths, strict=True)
        ]
        return {
            "vectors": added,
            "layers": [one.layer for one in pushes],
            "unit": self.unit,
            "where": self.where,
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            "target": asdict(target.provenance),
        }

    @property
    def _strengths(self) -> tuple[float, ...]:
        return self.strength if len(self.strength) > 1 else self.strength * len(self.vector)


def listed(name: str) -> "list[str | Chat]":
    """Return the prompts of a file: JSON lines with `prompt` or `messages`, or a prompt a line.

    Raises:
        DataError: the file cannot be read, or a line is not such a line.
    """
    lines = words(f"@{name}").splitlines()
    if not name.endswith(".jsonl"):
        return [line for line in lines if line.strip()]
    found: list[str | Chat] = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{name}, line {number} is not JSON: {error}.") from error
        held = row.get("prompt", row.get("messages")) if isinstance(row, dict) else None
        if not isinstance(held, str | list) or not held:
            raise DataError(f"{name}, line {number} holds neither `prompt` nor `messages`.")
        found.append(held)
    return found


def strangers(
    files: Sequence[str], vectors: "Sequence[Activations]", target: "Target"
) -> list[str]:
    """Return a line for each vector that was read from other weights than those steered."""
    here = target.model.fingerprint
    return [
        f"ao steer: {file} comes from {one.provenance.model}, whose weights are not those of "
        f"{target.model.name}; a direction need not mean the same there."
        for file, one in zip(files, vectors, strict=True)
        if one.provenance.fingerprint not in (here, "unknown")
    ]


def told(asked: "str | Chat", factors: Sequence[float], texts: Sequence[str]) -> list[str]:
    """Return the lines that show one prompt: the unsteered continuation, then each strength."""
    said = asked if isinstance(asked, str) else str(asked[-1].get("content", ""))
    names = ["unsteered", *(f"x {factor:g}" for factor in factors[1:])]
    width = max(map(len, names))
    shown = (" ".join(text.split()) for text in texts)
    lines = [f"  {name:<{width}}  {text}" for name, text in zip(names, shown, strict=True)]
    return [f"> {' '.join(said.split())}", *lines, ""]


def save(
    path: Path,
    asked: "Sequence[str | Chat]",
    factors: Sequence[float],
    written: Sequence[Sequence[str]],
    about: dict[str, Any],
) -> None:
    """Write one line for each prompt and strength; the whole file, or none of it."""
    rows = (
        {"prompt": one, "factor": factor, "text": text, "unsteered": texts[0], **about}
        for one, texts in zip(asked, written, strict=True)
        for factor, text in zip(factors, texts, strict=True)
    )
    with naming_what_fails(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as part:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _source(asked: "str | Chat", *, chats: bool) -> "str | Chat":
    if isinstance(asked, str) and chats:
        return [{"role": "user", "content": asked}]
    return asked


@dataclass(frozen=True, kw_only=True)
class ExportVector:
    """Write saved vectors as a control vector for llama.cpp (GGUF), which repeng reads too.

    It adds them as they are, times their strength, to the output of their blocks at every token;
    strengths in multiples of the stream's length have no counterpart there. See docs/steer.md.
    """

    vector: tuple[str, ...]
    """Saved vectors (Activations.save); slots of one layer are added up."""
    out: str
    """The .gguf file."""
    model_type: str
    """The architecture's name in the model's config.json, as llama or qwen3."""
    strength: tuple[float, ...] = ()
    """By what each vector is multiplied, one each; by default 1."""

    def run(self) -> None:
        """Write the file, and print its name and the blocks that it pushes after."""
        print(CAUTION, file=sys.stderr)
        from activation_oracles.models.exporting import save_gguf
        from activation_oracles.types import Activations

        vectors = [Activations.load(one) for one in self.vector]
        save_gguf(self.out, vectors, strengths=self.strength, model_type=self.model_type)
        layers = sorted({layer for one in vectors for layer in one.layers})
        print(f"{self.out}: after blocks {', '.join(map(str, layers))}")
