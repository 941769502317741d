"""Is an answer right? One function a rule: 1.0 right, 0.0 wrong, None not scorable.

None is never counted as zero: a question that a rule cannot judge is left out of the score and
counted beside it.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from activation_oracles.errors import ConfigError

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


def rouge_l(said: str, true: str) -> float | None:
    """Judge how much the two share in one order: ROUGE-L's F-measure, words stemmed (Lin 2004).

    By `rouge-score` (extra `eval`), which knows Latin letters and digits alone: a true answer
    without any is not scorable.

    Raises:
        ConfigError: rouge-score is not installed.
    """
    scorer = _rouge_scorer()
    if not re.search("[a-z0-9]", true.lower()):
        return None
    return float(scorer.score(true, said)["rougeL"].fmeasure)


def chrf(said: str, true: str) -> float | None:
    """Judge how many pieces of up to six characters the two share: chrF2, from 0 to 1.

    By `sacrebleu` (extra `eval`) with its defaults (Popović 2015: recall counts twice), which
    reports it times 100.

    Raises:
        ConfigError: sacrebleu is not installed.
    """
    scorer = _chrf_scorer()
    if not plain(true):
        return None
    return min(1.0, float(scorer.sentence_score(said, [true]).score) / 100)


GRADES: dict[str, Grade] = {
    "exact": exact,
    "contains": contains,
    "yes_no": yes_no,
    "token_f1": token_f1,
    "squad_f1": squad_f1,
    "rouge_l": rouge_l,
    "chrf": chrf,
}


def check_grades(names: Sequence[str]) -> None:
    """Refuse rules that are none, or whose library is missing, before anything is answered.

    Raises:
        ConfigError: naming what there is, or what to install.
    """
    if unknown := sorted(set(names) - set(GRADES)):
        raise ConfigError(f"There is no rule {unknown} to judge answers by; there are {[*GRADES]}.")
    for name in names:
        # To judge anything is to load what it takes.
        GRADES[name]("a", "a")


@cache
def _rouge_scorer() -> Any:
    return _library("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=True)


@cache
def _chrf_scorer() -> Any:
    return _library("sacrebleu.metrics").CHRF()


def _library(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            "ROUGE-L and chrF need rouge-score and sacrebleu: "
            "pip install 'activation-oracles[eval]'."
        ) from error


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", plain(text))


def _squad_words(text: str) -> list[str]:
    bare = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def _first_word(text: str) -> str:
    return next(iter(_words(text)), "")
