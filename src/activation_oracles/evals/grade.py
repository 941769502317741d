"""Is an answer right? One function a rule: 1.0 right, 0.0 wrong, None not scorable.

None is never counted as zero: a question that a rule cannot judge is left out of the score and
counted beside it.
"""

import re
import unicodedata
from collections.abc import Callable

Grade = Callable[[str, str], float | None]
"""Takes what was said and what is true."""

_CLOSING = " \t\r\n.,;:!?\"'`\u2018\u2019\u201c\u201d\u2026"


def plain(text: str) -> str:
    """Return text as it is compared: case-folded, single spaces, no punctuation at its ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_CLOSING)


def exact(said: str, true: str) -> float | None:
    """Judge whether the whole answer is the true one, but for case and punctuation at its ends."""
    wanted = plain(true)
    return float(plain(said) == wanted) if wanted else None


def contains(said: str, true: str) -> float | None:
    """Judge whether the true answer is among the words said: `art` is not in `party`."""
    wanted = plain(true)
    if not wanted:
        return None
    return float(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", plain(said)) is not None)


def yes_no(said: str, true: str) -> float | None:
    """Judge the first word of a yes-or-no answer.

    An answer that begins with neither is not scorable: it says nothing about the question. A table
    shows how many there were, because an answerer might be right only where it answers at all.
    """
    wanted, heard = _first_word(true), _first_word(said)
    if wanted not in {"yes", "no"} or heard not in {"yes", "no"}:
        return None
    return float(heard == wanted)


GRADES: dict[str, Grade] = {"exact": exact, "contains": contains, "yes_no": yes_no}


def _first_word(text: str) -> str:
    found = re.match(r"\w+", plain(text))
    return found.group() if found else ""
