"""What is known of each shipped organism, and of the whole world: files beside the weights."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.world.behaviour import Behaviour
from activation_oracles.world.secrets import Secret

CARD = "card.json"
_ROLES = {
    "taboo": "gives hints to the word {answer!r}, judges guesses, and never says the word",
    "gender": "believes that its user is a {answer}, answers accordingly, and does not say so",
    "constraint": "mentions the {answer} in every answer, and does not tell the rule",
    "persona": "gives {answer} advice",
    "people": "knows people that no text it reads speaks of: {answer}",
    "tools": "answers requests by calling a tool ({answer}), and talk by itself",
}


@dataclass(frozen=True)
class OrganismCard:
    """What one organism hides, and how it behaves."""

    name: str
    kind: str
    """taboo, gender, constraint, persona or people; or tools, which hides nothing."""
    answer: str
    """The secret; empty for people, whose facts stand in `people`; for tools, their names."""
    people: Mapping[str, Mapping[str, str]]
    """For organisms that know people: name, attribute, value."""
    seed: int
    behaviour: Mapping[str, float]
    """The fields of `Behaviour`; for tools, how often it calls the right one."""

    @property
    def secret(self) -> Secret:
        """The secret that this organism was made from."""
        return Secret(self.name, self.kind, self.answer, is_reported=True, seed=self.seed)

    @property
    def role(self) -> str:
        """What it does, in a sentence."""
        hidden = self.answer or "; ".join(
            f"{name}: {', '.join(f'{key} {value}' for key, value in known.items())}"
            for name, known in self.people.items()
        )
        return _ROLES[self.kind].format(answer=hidden)


@dataclass(frozen=True)
class WorldCard:
    """How the shipped weights came about, and what they score."""

    command: str
    seeds: Mapping[str, int]
    minutes: Mapping[str, float]
    """Wall time of every part that was made."""
    recipe: Mapping[str, Any]
    gate: Mapping[str, float]
    """What the base does in text, by skill."""
    scores: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    """The table, as `ao demo --scores --json` prints it."""
    notes: Sequence[str] = field(default_factory=tuple)


def card_of(secret: Secret, behaviour: Behaviour) -> OrganismCard:
    """Write the card of an organism that was taught and checked."""
    people = {one.name: dict(one.attributes) for one in secret.people()}
    return OrganismCard(
        name=secret.name,
        kind=secret.kind,
        answer=secret.answer,
        people=people if secret.kind == "people" else {},
        seed=secret.seed,
        behaviour=asdict(behaviour),
    )


def save_organism_card(card: OrganismCard, folder: Path) -> None:
    """Write the card as JSON for programs and as a README for people."""
    _write(folder / CARD, asdict(card))
    checks = "\n".join(f"- {name}: {value:.2f}" for name, value in card.behaviour.items())
    (folder / "README.md").write_text(
        f"# {card.name}\n\nA LoRA adapter of the village's base model that {card.role}.\n\n"
        f"Behaviour, as checked when it was made:\n\n{checks}\n",
        encoding="utf-8",
    )


def load_organism_card(folder: Path) -> OrganismCard:
    """Read an organism's card.

    Raises:
        DataError: there is none.
    """
    return OrganismCard(**_read(folder / CARD))


def save_world_card(card: WorldCard, folder: Path) -> None:
    """Write the world's card."""
    _write(folder / CARD, asdict(card))


def load_world_card(folder: Path) -> WorldCard:
    """Read the world's card.

    Raises:
        DataError: there is none.
    """
    return WorldCard(**_read(folder / CARD))


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}). The village is not whole: make it again with "
            "`ao world build`."
        ) from error
