"""A battery's folder: vectors as they are made, one file each, and what was found of them.

Every vector is a file that `ao steer` takes. A run that was stopped goes on with the concepts that
it lacks.
"""

import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from activation_oracles.dreams.attacks import Made, named
from activation_oracles.dreams.findings import Measured
from activation_oracles.dreams.looks import Look
from activation_oracles.errors import DataError
from activation_oracles.files import writing
from activation_oracles.types import Activations

VECTORS, MADE, FOUND, GEOMETRY = "vectors", "made.json", "found.json", "geometry.json"
_MEASURED = TypeAdapter(Measured)
_LOOKS = TypeAdapter(tuple[Look, ...])


def keep(folder: Path, made: Sequence[Made]) -> None:
    """Write all vectors made so far, and what is known of them."""
    rows: list[dict[str, Any]] = []
    for one in made:
        path = vector_file(folder, one.concept, one.name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with writing(path) as part:
                one.vector.save(part)
        rows.append(
            {
                "concept": one.concept,
                "kind": one.kind,
                "seed": one.seed,
                "reached": one.reached,
                "steps": one.steps,
                "costs": one.costs,
            }
        )
    _write(folder / MADE, json.dumps(rows, indent=1))


def kept(folder: Path) -> list[Made]:
    """Return the vectors that a run has left; none if it has not begun.

    Raises:
        DataError: a file is damaged or missing.
    """
    path = folder / MADE
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [_made(folder, row) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error!r}). Remove the folder.") from error


def write_found(folder: Path, found: Measured) -> None:
    """Write what a battery found."""
    _write(folder / FOUND, _MEASURED.dump_json(found, indent=1).decode())


def read_found(folder: Path) -> Measured:
    """Read what `write_found` wrote.

    Raises:
        DataError: there is nothing, or it is damaged.
    """
    path = folder / FOUND
    with _naming(path):
        return _MEASURED.validate_json(path.read_bytes())


def write_looks(folder: Path, looks: Sequence[Look]) -> None:
    """Write what vectors look like."""
    _write(folder / GEOMETRY, _LOOKS.dump_json(tuple(looks), indent=1).decode())


def read_looks(folder: Path) -> tuple[Look, ...]:
    """Read what `write_looks` wrote.

    Raises:
        DataError: there is nothing, or it is damaged.
    """
    path = folder / GEOMETRY
    with _naming(path):
        return _LOOKS.validate_json(path.read_bytes())


def vector_file(folder: Path, concept: str, name: str) -> Path:
    """Return where a vector lies."""
    return folder / VECTORS / _plain(concept) / f"{_plain(name)}.safetensors"


def _plain(name: str) -> str:
    return "-".join(re.findall(r"[\w]+", name.casefold()))


def _made(folder: Path, row: dict[str, Any]) -> Made:
    path = vector_file(folder, row["concept"], named(row["kind"], row["seed"]))
    return Made(vector=Activations.load(path), **row)


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Turn what a missing or damaged file raises into one error that names it."""
    try:
        yield
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} does not hold what a battery found ({error}). Remove it, and make it again "
            "with `ao redteam`."
        ) from error


def _write(path: Path, text: str) -> None:
    with writing(path) as part:
        part.write_text(text + "\n", encoding="utf-8")
