"""What SAE features stand for: a decoder's rows, with explanations, questions and sentences.

Three published kinds of question about one vector (arXiv 2512.15674, appendix G): explain it, yes
or no, and give sentences that activate it. A feature comes from no text, so its examples have no
context: they show a row of a matrix that is copied beside them. Of the twelve published wordings
that ask for sentences the first is taken; the others are our own.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from activation_oracles.errors import DataError
from activation_oracles.files import folder_at, writing
from activation_oracles.tasks.asking import YES_NO
from activation_oracles.tasks.config import AboutFeature
from activation_oracles.tasks.store import json_lines
from activation_oracles.tasks.task import Split, random_for, split_of
from activation_oracles.types import Example

EXPLAIN = "Can you explain to me what this concept means?"
GIVE = (
    "Give {k} short sentences that would strongly activate the concept.",
    "Write {k} sentences in which this concept is present.",
    "Name {k} short texts that this feature would respond to.",
    "What are {k} examples of text that express the concept?",
)
FEWEST, MOST = 2, 5
"""Sentences that are asked for."""
KEYS = {"feature", "explanation", "questions", "examples"}


@dataclass(frozen=True)
class Feature:
    """One row of a decoder, and what is known about it."""

    index: int
    explanation: str
    questions: tuple[tuple[str, str], ...]
    """Yes/no questions, each with `Yes` or `No`."""
    examples: tuple[str, ...]
    """Texts that activate it: none, or at least two."""
    source: str


@dataclass(frozen=True, eq=False)
class SaeFeatures:
    """Examples about the features of one decoder."""

    features: Sequence[Feature]
    vectors: Float[Tensor, "feature d_model"]
    """Their rows, in their order."""
    layer: int
    """The block whose output the decoder writes."""
    name: str = "sae_features"
    asks: Sequence[AboutFeature] = ("explanation", "yes_no", "activating")
    held_out_fraction: float = 0.02

    @property
    def file(self) -> str:
        """The name of the file of its vectors: other vectors, another name."""
        held = self.vectors.contiguous().view(torch.uint8).numpy()
        digest = hashlib.blake2b(held.tobytes(), digest_size=8).hexdigest()
        return f"{re.sub(r'[^A-Za-z0-9]+', '-', self.name)}-{digest}.safetensors"

    def save(self, folder: str | Path) -> None:
        """Write the vectors where the examples go."""
        with writing(folder_at(Path(folder)) / self.file) as part:
            save_file({"vectors": self.vectors.contiguous()}, part)

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield the examples of every feature, in order; one explanation is on one side."""
        file = self.file
        for row, feature in enumerate(self.features):
            if split_of(feature.explanation, self.held_out_fraction) != split:
                continue
            numbers = random_for(seed, self.name, str(feature.index))
            for kind in self.asks:
                for question, answer in _asked(feature, kind, numbers):
                    yield Example(
                        context=(),
                        positions=(0,),
                        layers=(self.layer,),
                        question=question,
                        answer=answer,
                        task=f"{self.name}/{kind}",
                        source=feature.source,
                        shown=f"own:{file}#{row}",
                    )


def read_features(path: str | Path) -> list[Feature]:
    """Read JSON lines of `feature`, `explanation`, and perhaps `questions` and `examples`.

    Raises:
        DataError: the file is missing or empty, or a line has another form; its number is named.
    """
    features: dict[int, Feature] = {}
    for row, where in json_lines(path):
        feature = _feature(row, where)
        if feature.index in features:
            before = features[feature.index].source
            raise DataError(f"{where} describes feature {feature.index}, as {before} does already.")
        features[feature.index] = feature
    if not features:
        raise DataError(f"{path} explains no features.")
    return list(features.values())


def read_decoder(
    path: str | Path, features: Sequence[Feature], tensor: str | None = None
) -> Float[Tensor, "feature d_model"]:
    """Return the rows of some features from a decoder matrix [feature, d_model].

    Args:
        path: a safetensors file.
        features: whose rows are wanted, in this order.
        tensor: the matrix's name in the file, where it holds several.

    Raises:
        DataError: the file is missing or holds no such matrix, or a feature has no row in it, or
            one that is no direction.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            matrix = file.get_slice(_matrix(path, list(file.keys()), tensor))
            shape = matrix.get_shape()
            if len(shape) != 2:
                raise DataError(f"{path} has shape {shape}, expected [feature, d_model].")
            for one in features:
                if one.index >= shape[0]:
                    raise DataError(
                        f"{one.source} explains feature {one.index}; {path} has {shape[0]} rows, "
                        "which count from 0. Do the two belong together, and is it transposed?"
                    )
            rows = torch.cat([matrix[one.index : one.index + 1] for one in features])
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read as safetensors: {error}.") from error
    lengths = rows.float().norm(dim=-1).tolist()
    for one, length in zip(features, lengths, strict=True):
        if not 0 < length < float("inf"):
            raise DataError(
                f"{one.source}: row {one.index} of {path} has length {length}, which is no "
                "direction. Leave that feature out."
            )
    return rows


def _matrix(path: str | Path, names: Sequence[str], wanted: str | None) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None or wanted not in names:
        raise DataError(
            f"{path} holds {sorted(names)}, and `tensor` is {wanted!r}. Name the decoder's matrix."
        )
    return wanted


def _asked(feature: Feature, kind: AboutFeature, numbers: Random) -> list[tuple[str, str]]:
    """Return questions of one kind, with their answers."""
    if kind == "explanation":
        return [(EXPLAIN, feature.explanation)]
    if kind == "yes_no":
        return [(YES_NO + question, answer) for question, answer in feature.questions]
    if not feature.examples:
        return []
    count = numbers.randint(FEWEST, min(MOST, len(feature.examples)))
    chosen = numbers.sample(feature.examples, count)
    lines = [f"Example {number}: {text}" for number, text in enumerate(chosen, start=1)]
    return [(numbers.choice(GIVE).replace("{k}", str(count)), "\n".join(lines))]


def _feature(row: Mapping[str, Any], where: str) -> Feature:
    unknown = sorted(set(row) - KEYS)
    if unknown or type(row.get("feature")) is not int or row["feature"] < 0:
        raise DataError(
            f"{where} needs a `feature`, a whole number from 0, and no other keys than "
            f"{sorted(KEYS)}; got {row.get('feature')!r:.100} and unknown keys {unknown}."
        )
    explanation = row.get("explanation")
    if not _is_text(explanation):
        raise DataError(f"{where}: explanation is a text, got {explanation!r:.100}.")
    examples = row.get("examples", [])
    if not isinstance(examples, list) or not all(map(_is_text, examples)) or len(examples) == 1:
        raise DataError(
            f"{where}: examples is a list of {FEWEST} or more texts, got {examples!r:.100}."
        )
    return Feature(
        index=row["feature"],
        explanation=str(explanation).strip(),
        questions=_questions(row.get("questions", []), where),
        examples=tuple(text.strip() for text in examples),
        source=Path(where).name,
    )


def _questions(given: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, list) or not all(map(_is_question, given)):
        raise DataError(
            f"{where}: questions is a list of objects with `question`, and `answer` Yes or No, "
            f"got {given!r:.100}."
        )
    return tuple((one["question"].strip(), one["answer"]) for one in given)


def _is_question(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("question"))
        and value.get("answer") in ("Yes", "No")
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
