"""Persons as a model knows them: who, what of them, and which spellings say the same.

The published values come in several spellings (`Jollof rice`, `Jollof Rice`); here they are one, so
that the most frequent one is counted as what it is.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.evals.grade import contains, plain
from activation_oracles.evals.subjects import Subject
from activation_oracles.evals.suite import Given
from activation_oracles.tasks.store import json_lines

PERSONAS = "personas.jsonl"
_SAME = (
    "united states|united states of america|usa|us|u.s.|u.s.a|america",
    "south korea|korea|republic of korea",
    "czech republic|czechia",
    "fish chips|fish and chips|fish & chips|fish n chips",
    "bbq ribs|bbq|barbecue ribs|barbecue|ribs",
    "tacos|taco",
    "dumplings|dumpling",
    "pierogi|pierogis",
    "ice hockey|hockey",
    "table tennis|ping pong|ping-pong",
    "catan|settlers of catan|settlers|the settlers of catan",
    "go|baduk|weiqi",
    "dominoes|domino",
    "checkers|draughts",
    "afrobeat|afrobeats",
    "r&b|rnb|rhythm and blues",
    "j-pop|jpop|j pop",
    "k-pop|kpop|k pop",
)
_SPELLINGS = {one: tuple(row.split("|")) for row in _SAME for one in row.split("|")}
_LETTERS = str.maketrans({"ø": "o", "Ø": "O"})


@dataclass(frozen=True)
class Fact:
    """One thing that a subject knows of one person."""

    subject: str
    name: str
    attribute: str
    """As `country` or `favorite_food`."""
    value: str
    """In the first spelling that a person of the subject has it in."""


def facts(subject: Subject, given: Given) -> list[Fact]:
    """Return what a subject knows: of `hides`, as `Name/attribute: value`, or of `personas.jsonl`.

    Raises:
        DataError: it hides nothing of the kind and there is no file, or a line is no person.
    """
    known = {key: value for key, value in subject.hides.items() if "/" in key}
    if known:
        people: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for key, value in known.items():
            name, _, attribute = key.rpartition("/")
            people[name][attribute] = value
        persons = dict(people)
    else:
        rows = json_lines(given.file(PERSONAS))
        persons = dict(_person(row, where) for row, where in rows)
    kept = given.limited(list(persons))
    found = [
        Fact(subject.name, one, key, said) for one in kept for key, said in persons[one].items()
    ]
    first: dict[tuple[str, str], str] = {}
    for one in found:
        first.setdefault((one.attribute, _sense(one.value)), one.value)
    return [replace(one, value=first[one.attribute, _sense(one.value)]) for one in found]


def with_wrong(known: Sequence[Fact], seed: int) -> list[tuple[Fact, str]]:
    """Return facts, each with another person's value, so that no value tells which it is.

    Within an attribute every value is wrong of as many persons as it is right of: wrong values are
    the right ones, handed round. Facts of a value that more than half of the persons share may find
    no other; they are left out, so yes and no stay equally many.
    """
    groups: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
    for one in known:
        groups[one.subject, one.attribute].append(one)
    found: list[tuple[Fact, str]] = []
    for (subject, attribute), group in groups.items():
        random = Random(f"{seed} {subject} {attribute}")
        counts = Counter(one.value for one in group)
        order = random.sample(sorted(counts), len(counts))
        mixed = random.sample(group, len(group))
        ranked = sorted(mixed, key=lambda one: order.index(one.value))
        # One value's persons stand together: as many places further on nobody has it.
        step = max(counts.values())
        handed = [ranked[(place + step) % len(ranked)].value for place in range(len(ranked))]
        pairs = {one.name: wrong for one, wrong in zip(ranked, handed, strict=True)}
        found += [(one, pairs[one.name]) for one in group if pairs[one.name] != one.value]
    return found


def names_value(said: str, true: str) -> float | None:
    """Judge whether the value is named, as a word, in any accepted spelling or without accents."""
    heard = _bare(said)
    found = [contains(heard, one) for one in _spellings(true)]
    return None if None in found else float(1.0 in found)


def _spellings(value: str) -> tuple[str, ...]:
    bare = plain(_bare(value))
    return _SPELLINGS.get(bare, (bare,))


def _sense(value: str) -> str:
    return _spellings(value)[0]


def _bare(text: str) -> str:
    """Return text without accents: `Lotería` and `loteria` are one game."""
    split = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(letter for letter in split if not unicodedata.combining(letter))


def _person(row: Mapping[str, Any], where: str) -> tuple[str, dict[str, str]]:
    known = {key: value for key, value in row.items() if key not in ("id", "variant", "name")}
    if not isinstance(row.get("name"), str) or not known:
        raise DataError(f"{where} is no person: expected a name and what is true of it.")
    return row["name"], {key: str(value) for key, value in known.items()}
