"""Questions about a part of a text that was rendered before: the published conversational files.

Each entry holds what the target reads, already in a model's template, cut in two: a prefix whose
tokens are not shown, and what is selected (nl_probes' synthetic QA; adamkarvonen, japhba). Tokens
are shown that touch the selected part; there a token that reaches back into the prefix is not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError
from activation_oracles.tasks.sources import read_json
from activation_oracles.tasks.spool import Spool

WORDS = ("prefix_text", "selected_text", "question", "answer")
MARK = re.compile(r"<\|\w+\|>|<(?:start|end)_of_turn>")
"""What opens and closes turns in the templates of common models."""


@dataclass(frozen=True)
class Entry:
    """A rendered text, the part of it that is shown, and a question."""

    prefix: str
    selected: str
    question: str
    answer: str
    kind: str
    """What is asked, as its author calls it; may be empty."""
    key: str
    """Decides its side: its label, where it has one, so that all about one behaviour is together;
    else the text."""
    source: str


def read_entries(path: str | Path) -> Spool[Entry]:
    """Read a published file: an object whose `entries` each have the four texts in `WORDS`.

    Those without a question or an answer are left out, as there.

    Raises:
        DataError: it is missing, or has another form.
    """
    record = read_json(path)
    entries = record.get("entries") if isinstance(record, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{path} is no object with a list of `entries`.")
    found = (
        _entry(one, f"{Path(path).name}:{number}") for number, one in enumerate(entries, start=1)
    )
    return Spool(Entry, (one for one in found if one.question and one.answer))


def encode_entry(
    tokenizer: PreTrainedTokenizerBase, entry: Entry
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the token ids of an entry, and the positions of what is selected; there may be none.

    Raises:
        DataError: it was rendered for a model with other turns.
    """
    text = entry.prefix + entry.selected
    known = tokenizer.get_vocab()
    strange = [mark for mark in MARK.findall(text) if mark not in known]
    if strange:
        raise DataError(
            f"{entry.source} was rendered for another model: {strange[0]!r} is no token of this "
            "one. Give its conversations as JSON lines of `messages`."
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans: Any = encoded["offset_mapping"]
    start = len(entry.prefix)
    shown = (at for at, (_, end) in enumerate(spans) if end > start)
    return tuple(encoded["input_ids"]), tuple(shown)  # pyright: ignore[reportArgumentType]


def _entry(one: object, where: str) -> Entry:
    fields: Mapping[str, Any] = one if isinstance(one, dict) else {}
    if not all(isinstance(fields.get(name), str) for name in WORDS):
        raise DataError(f"{where}: an entry has the texts {', '.join(WORDS)}, got {one!r:.200}.")
    prefix, selected, question, answer = (fields[name] for name in WORDS)
    kind = str(fields.get("qa_type") or "")
    key = str(fields.get("label") or prefix + selected)
    return Entry(prefix, selected, question, answer, kind, key, where)
