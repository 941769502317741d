"""Is an answer right? One function a rule: 1.0 right, 0.0 wrong, None not scorable.

None is never counted as zero: a question that a rule cannot judge is left out of the score and
counted beside it.
"""

import re
import string
import unicodedata
from collections import Counter
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


def token_f1(said: str, true: str) -> float | None:
    """Judge how many words the two share, in any order: SQuAD's F1, articles kept.

    For answers that are whole passages. Common words alone give some tenths: read it beside a
    control.
    """
    ours, theirs = Counter(_words(said)), Counter(_words(true))
    if not theirs:
        return None
    num_shared = (ours & theirs).total()
    return 2 * num_shared / (ours.total() + theirs.total())


def squad_f1(said: str, true: str) -> float | None:
    """Judge how many words the two share as SQuAD does: without articles and punctuation.

    As in its official script (Rajpurkar et al. 2016): `don't` is one word, `dont`; where nothing is
    left of one of them, only nothing is right.
    """
    if not plain(true):
        return None
    ours, theirs = Counter(_squad_words(said)), Counter(_squad_words(true))
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


GRADES: dict[str, Grade] = {
    "exact": exact,
    "contains": contains,
    "yes_no": yes_no,
    "token_f1": token_f1,
    "squad_f1": squad_f1,
}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", plain(text))


def _squad_words(text: str) -> list[str]:
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def _first_word(text: str) -> str:
    return next(iter(_words(text)), "")
