"""Sentences put together from parts drawn one by one, so that each yes/no label is its own coin.

The parts a sentence does not need for a label are free, which keeps labels independent.
"""

from dataclasses import dataclass
from random import Random

from activation_oracles.world.language.scene import Message, Scene, Truth, chance, sentence
from activation_oracles.world.language.tables import of_kind, things

_VERBS = (
    ("bought", "buys", "buy"),
    ("sold", "sells", "sell"),
    ("found", "finds", "find"),
    ("saw", "sees", "see"),
    ("drew", "draws", "draw"),
    ("took", "takes", "take"),
    ("wanted", "wants", "want"),
    ("lost", "loses", "lose"),
    ("brought", "brings", "bring"),
    ("hid", "hides", "hide"),
)
_RELATIVES = {
    True: ("my aunt", "my mother", "our sister", "our grandmother", "my daughter"),
    False: ("my uncle", "my father", "our brother", "our grandfather", "my son"),
}
_OTHERS = {
    True: ("the lady", "the queen", "the old woman", "the girl", "the waitress"),
    False: ("the gentleman", "the king", "the old man", "the boy", "the waiter"),
}
_MANY_RELATIVES = {
    True: ("my two aunts", "our sisters", "my three daughters"),
    False: ("my two uncles", "our brothers", "my three sons"),
}
_MANY_OTHERS = {
    True: ("the ladies", "two old women", "the girls", "three queens"),
    False: ("the gentlemen", "two old men", "the boys", "three kings"),
}
_COLOURS = ("red", "blue", "green", "yellow", "black", "white")
_PLAIN = ("old", "new", "small", "heavy", "cheap", "strange")
_INSIDE = ("in the kitchen", "in the library", "in the hospital", "in the school", "in the cellar")
_OUTSIDE = ("in the field", "at the river", "in the street", "on the hill", "on the beach")
_TIMES = {
    "past": ("yesterday", "last week", "a year ago"),
    "present": ("today", "every day", "right now"),
    "future": ("tomorrow", "next week", "in a year"),
}
_MOODS = {
    True: (
        "It was wonderful.",
        "I loved it.",
        "What a joy!",
        "That made me happy.",
        "I enjoyed it.",
    ),
    False: (
        "It was terrible.",
        "I hated it.",
        "What a pity!",
        "That made me angry.",
        "It was awful.",
    ),
}
_SURE = {
    True: ("I am sure of it.", "There is no doubt.", "I know it well."),
    False: ("I am not sure.", "Perhaps I am wrong.", "I only guess."),
}
_RAIN = {
    True: ("Rain fell on the roofs.", "It was raining.", "Everybody got wet from the rain."),
    False: ("The air was dry.", "The sun was out.", "There was no cloud."),
}
_SEASON = {
    True: ("The winter was long.", "Snow lay everywhere.", "It was a cold December."),
    False: ("The summer was long.", "Flowers stood everywhere.", "It was a warm July."),
}
_MANNERS = {
    True: ("Please listen, my dear.", "Thank you for your time.", "Excuse me, kind sir."),
    False: ("Listen, you fool.", "Shut up and hear this.", "Get out of my way."),
}
_NIGHT = {
    True: ("The stars were out.", "It was midnight.", "Everybody else slept."),
    False: ("It was noon.", "The morning was bright.", "Everybody was at work."),
}
_EXTRAS = {
    "good_mood": _MOODS,
    "certain": _SURE,
    "raining": _RAIN,
    "winter": _SEASON,
    "polite": _MANNERS,
    "night": _NIGHT,
}
_OPPOSITES = {
    "woman": "man",
    "indoors": "outdoors",
    "good_mood": "bad_mood",
    "certain": "unsure",
    "winter": "summer",
    "polite": "rude",
    "night": "day",
}
"""Asked for too: who knows a group by its question alone is wrong on these."""
SELDOM = tuple(_EXTRAS)
"""Labels that only some reports have."""
CONTRASTS = (*_OPPOSITES, *_OPPOSITES.values(), "named_thing", "named_colour")
"""Labels that are learned last. Asked among all others, the base answered half of them by chance
after 18 million tokens."""
_OBJECT_KINDS = {
    "animal": ("animal", "bird"),
    "tool": ("tool",),
    "vehicle": ("vehicle",),
    "clothing": ("clothing",),
    "edible": ("food",),
    "musical": ("music",),
    "": ("house",),
}


@dataclass(frozen=True)
class _Core:
    """The main sentence's parts, as drawn."""

    time: str
    is_woman: bool
    is_many: bool
    is_relative: bool
    is_denied: bool
    is_asked: bool
    is_coloured: bool
    is_inside: bool
    object_label: str
    object_name: str
    look: str


def report(random: Random) -> Scene:
    """Draw a short report and its yes/no labels."""
    label = random.choice(list(_OBJECT_KINDS))
    kind = random.choice(_OBJECT_KINDS[label])
    is_coloured = chance(random, 0.5)
    core = _Core(
        time=random.choice(("past", "past", "present", "future")),
        is_woman=chance(random, 0.5),
        is_many=chance(random, 0.5),
        is_relative=chance(random, 0.5),
        is_denied=chance(random, 0.4),
        is_asked=chance(random, 0.4),
        is_coloured=is_coloured,
        is_inside=chance(random, 0.5),
        object_label=label,
        object_name=random.choice(of_kind(kind)).name,
        look=random.choice(_COLOURS if is_coloured else _PLAIN),
    )
    labels = _labels(core)
    lines = [_write(random, core)]
    for extra in random.sample(list(_EXTRAS), random.choice((1, 2, 2, 3))):
        labels[extra] = chance(random, 0.5)
        line = random.choice(_EXTRAS[extra][labels[extra]])
        lines = [line, *lines] if extra == "polite" else [*lines, line]
    labels |= {_OPPOSITES[one]: not holds for one, holds in labels.items() if one in _OPPOSITES}
    truths = [Truth(aspect, "Yes" if holds else "No") for aspect, holds in labels.items()]
    text = " ".join(lines)
    truths += _details(random, core, text)
    return Scene("report", (Message("user", text),), tuple(truths))


def report_with(random: Random, label: str, answer: str) -> Scene:
    """Draw reports until one has this label with this answer, `Yes` or `No`."""
    while True:
        scene = report(random)
        if scene.has(label) and scene[label] == answer:
            return scene


def _labels(core: _Core) -> dict[str, bool]:
    labels = {
        "past": core.time == "past",
        "future": core.time == "future",
        "woman": core.is_woman,
        "many": core.is_many,
        "relative": core.is_relative,
        "denied": core.is_denied,
        "asking": core.is_asked,
        "coloured": core.is_coloured,
        "indoors": core.is_inside,
    }
    return labels | {label: label == core.object_label for label in _OBJECT_KINDS if label}


def _details(random: Random, core: _Core, text: str) -> list[Truth]:
    """Name a detail of each sort, of the text or not."""
    details = {
        "named_thing": (core.object_name, tuple(things())),
        "named_colour": (core.look, _COLOURS),
    }
    truths = []
    for aspect, (value, values) in details.items():
        holds = value in values and chance(random, 0.5)
        # Snow may lie everywhere though nobody buys it.
        absent = [one for one in values if one not in text.lower()]
        named = value if holds else random.choice(absent)
        truths.append(Truth(aspect, "Yes" if holds else "No", named))
    return truths


def _subject(random: Random, core: _Core) -> str:
    if core.is_many:
        pool = _MANY_RELATIVES if core.is_relative else _MANY_OTHERS
        return random.choice(pool[core.is_woman])
    return random.choice((_RELATIVES if core.is_relative else _OTHERS)[core.is_woman])


def _write(random: Random, core: _Core) -> str:
    past, present, plain = random.choice(_VERBS)
    subject = _subject(random, core)
    what = f"a {core.look} {core.object_name}"
    where = random.choice(_INSIDE if core.is_inside else _OUTSIDE)
    when = random.choice(_TIMES[core.time])
    helper = {"past": "did", "present": "do" if core.is_many else "does", "future": "will"}[
        core.time
    ]
    denial = " not" if core.is_denied else ""
    if core.is_asked:
        return f"{sentence(helper)} {subject}{denial} {plain} {what} {where} {when}?"
    if core.is_denied:
        verb = f"{helper} not {plain}"
    elif core.time == "future":
        verb = f"will {plain}"
    else:
        verb = past if core.time == "past" else (plain if core.is_many else present)
    if chance(random, 0.5):
        return f"{sentence(when)} {subject} {verb} {what} {where}."
    return f"{sentence(subject)} {verb} {what} {where} {when}."
