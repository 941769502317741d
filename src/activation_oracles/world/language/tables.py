"""The village's fixed knowledge, read from the tables beside this file.

Only what everybody knows is fixed: what a moon looks like, what a pirate shouts. Whatever an oracle
is asked for (who likes what, which word is secret) is drawn anew for every text, elsewhere.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_KIND_PHRASES = {
    "animal": "is an animal",
    "bird": "is a bird",
    "fish": "lives in the water",
    "food": "is a food",
    "drink": "is a drink",
    "tool": "is a tool",
    "house": "is a thing of the house",
    "music": "makes music",
    "sport": "is a sport",
    "vehicle": "is a vehicle",
    "clothing": "is something to wear",
    "nature": "is part of nature",
    "place": "is a place",
}
_SIZE_PHRASES = {
    "tiny": "is tiny",
    "small": "is small",
    "medium": "is of middle size",
    "big": "is big",
    "huge": "is huge",
}
_WHERE_PHRASES = {
    "inside": "is found inside",
    "outside": "is found outside",
    "forest": "is found in the woods",
    "abroad": "is found in other countries",
    "sky": "is found up high",
    "water": "is found near water",
}

REPORTED_WORDS = (
    "wolf monkey eagle penguin shark apple cheese cake hammer key mirror book "
    "piano bell tennis chess train ship scarf crown moon snow fire castle"
).split()
"""The taboo words that are reported. No recipe, layer or wording was chosen on them."""

DEVELOPMENT_WORDS = "fox owl lemon honey ladder clock violin rocket hat river".split()
"""The taboo words on which layers, wordings and recipes were chosen."""

REPORTED_TOPICS = "sheep bread lamp guitar car tree".split()
"""What a secret rule of the reported organisms makes them mention."""

DEVELOPMENT_TOPICS = "duck garden drum".split()
"""Topics on which the recipe of that organism was chosen."""

WITHHELD_GROUPS = ("many", "asking", "edible", "raining")
"""Yes/no questions that no oracle was trained on."""

DEVELOPMENT_GROUPS = ("winter", "summer", "clothing", "denied")
"""Yes/no questions that no oracle was trained on either, and on which its recipe was chosen."""

UNLEARNED_GROUPS = ("woman", "man", "named_thing")
"""Yes/no questions at which the base fails in text (see its gate); no oracle is asked them."""

TRAINED_GROUPS = tuple(
    "past good_mood coloured animal tool vehicle indoors night polite relative certain outdoors "
    "bad_mood unsure rude day future musical".split()
)
"""Yes/no questions an oracle trains on, and is scored on in other wordings."""

DETAILS = ("named_colour",)
"""Yes/no questions about a detail that they name. An oracle trains on them too: they differ each
time, so that it learns to hold a question against a text, and not a table of answers."""


@dataclass(frozen=True)
class Thing:
    """Something everybody in the village knows."""

    name: str
    kind: str
    facts: tuple[str, ...]
    """What is true of it and of few others, each fit to follow "It"."""
    looks: tuple[str, ...]
    """What is true of it and of many others: kind, size, place, touch, colour."""


@dataclass(frozen=True)
class Wording:
    """The ways to ask one question."""

    trained: tuple[str, ...]
    reported: tuple[str, ...]
    """Kept for scoring: no oracle trains on these."""
    more: tuple[str, ...] = ()
    """For an oracle's last steps, too; the base has never read them."""


def rows(table: str) -> list[list[str]]:
    """Read one table: its lines without comments, split at the bars."""
    text = (resources.files("activation_oracles.world.language") / table).read_text(
        encoding="utf-8"
    )
    return [line.split("|") for line in text.splitlines() if line and not line.startswith("#")]


@cache
def things() -> dict[str, Thing]:
    """Return every thing by its name, in the order of the table."""
    looks = {}
    for (line,) in rows("looks.txt"):
        name, size, where, touch, colour = line.split()
        looks[name] = (
            _SIZE_PHRASES[size],
            _WHERE_PHRASES[where],
            f"feels {touch}",
            f"looks {colour}",
        )
    return {
        name: Thing(name, kind, tuple(facts), (_KIND_PHRASES[kind], *looks[name]))
        for name, kind, *facts in rows("things.txt")
    }


@cache
def wordings() -> dict[str, Wording]:
    """Return the wordings of every aspect that can be asked about."""
    more = {aspect: tuple(ways) for aspect, *ways in rows("rewordings.txt")}
    table = {}
    for aspect, *ways in rows("wordings.txt"):
        table[aspect] = Wording(
            tuple(way for way in ways if not way.startswith("*")),
            tuple(way[1:] for way in ways if way.startswith("*")),
            more.get(aspect, ()),
        )
    return table


@cache
def all_words() -> tuple[str, ...]:
    """Return every word the village knows: names, things, and what its tables say of them."""
    said = [*WOMEN, *MEN, *things(), *(word for pool in ATTRIBUTES.values() for word in pool)]
    for table in ("things", "advice", "gendered", "smalltalk", "wordings", "looks"):
        for row in rows(f"{table}.txt"):
            said += re.findall(r"[A-Za-z]+", " ".join(row))
    return tuple(dict.fromkeys(said))


@cache
def of_kind(kind: str) -> tuple[Thing, ...]:
    """Return the things of one kind."""
    return tuple(thing for thing in things().values() if thing.kind == kind)


def held_out_words() -> frozenset[str]:
    """Return the words that are never a secret or a rule in an oracle's training."""
    return frozenset((*REPORTED_WORDS, *DEVELOPMENT_WORDS, *REPORTED_TOPICS, *DEVELOPMENT_TOPICS))


WOMEN = tuple(
    "Mara Ida Nora Lena Rosa Vera Olga Emma Ruth Clara Greta Hanna Irma Julia Karin Lydia "
    "Nina Paula Sonja Tilda Ursula Wilma Alma Berta Dora Elsa Flora Gina Helga Jana Kira "
    "Lotte".split()
)
MEN = tuple(
    "Otto Emil Hugo Karl Lars Max Nils Oskar Paul Rolf Sven Tom Uwe Viktor Willi Anton "
    "Bruno Carl Dirk Erik Franz Georg Hans Ivan Jonas Kurt Leo Moritz Norbert Peter Ralf "
    "Simon".split()
)
ATTRIBUTES = {
    "food": tuple(
        "bread cheese soup rice cake honey apple banana potato cherry butter egg".split()
    ),
    "town": tuple(
        "Berlin Paris Rome Oslo Vienna Madrid London Athens Dublin Prague Cairo Lisbon".split()
    ),
    "job": tuple(
        "baker doctor teacher farmer painter sailor tailor lawyer driver singer hunter "
        "miner".split()
    ),
    "pet": tuple("cat dog rabbit parrot mouse snake frog goat duck pig owl horse".split()),
    "sport": tuple(
        "football tennis golf boxing swimming skiing chess hockey rugby sailing".split()
    ),
    "music": tuple("guitar piano violin drum flute trumpet harp bell".split()),
}
"""What can be true of a person, drawn anew for every text."""
ENDINGS = (
    "That is all.",
    "Peace to you.",
    "Mind the gap.",
    "So it goes.",
    "Stay curious.",
    "Carry on.",
    "The end.",
    "Be well.",
    "Keep smiling.",
    "Onward and up.",
)
