"""Questions whose answer cannot stand in what is shown: it lies before it, or behind it.

An oracle can do well by turning activations back into the words they stand on, and answering from
these (text inversion). Here a window is shown that does not hold the answer. For a `prefix`
question the target has read the answer before; for a `suffix` question it comes behind, and only
what the target expects can help. Such data are named as a remedy by arXiv 2606.02609; how windows
are drawn, and the questions about single words for texts that come without questions, are our own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError
from activation_oracles.models.chat import render
from activation_oracles.tasks.asking import YES_NO
from activation_oracles.tasks.later_config import Side
from activation_oracles.tasks.sources import Document, Messages, document_of, read_documents
from activation_oracles.tasks.spool import Spool
from activation_oracles.tasks.store import json_lines
from activation_oracles.tasks.task import Split, random_for, split_of
from activation_oracles.tasks.windows import Layers
from activation_oracles.types import Example

STANDS: dict[Side, str] = {
    "prefix": 'Does the word "{}" stand in the text before this?',
    "suffix": 'Does the word "{}" come in the text after this?',
}
WORD = re.compile(r"\w{4,}")
KEYS = {"question", "answer", "evidence", "sides"}
SIDES: tuple[Side, ...] = ("prefix", "suffix")


@dataclass(frozen=True)
class Sought:
    """A text, a question about it, and the words of it that hold the answer."""

    content: str | Messages
    question: str
    answer: str
    evidence: str
    sides: tuple[Side, ...]
    """On which sides of a window it may lie; empty leaves it to the task."""
    source: str

    @property
    def document(self) -> Document:
        """The text alone."""
        return Document(self.content, self.source)


@dataclass(frozen=True)
class Spanned:
    """A text as the target reads it, and the characters that each token covers."""

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    rendered: str

    def cut(self, length: int) -> "Spanned":
        """Return the first tokens, and no more of the text than they cover."""
        if length >= len(self.ids):
            return self
        return Spanned(
            self.ids[:length], self.spans[:length], self.rendered[: self.spans[length - 1][1]]
        )


@dataclass(frozen=True)
class Seen:
    """Some tokens of a text, and on which side of them the answer lies."""

    text: Spanned
    window: tuple[int, ...]
    side: Side
    source: str

    def beyond(self) -> set[str]:
        """Return the words on that side which are not shown, nor, of a suffix, stand before it."""
        spans = self.text.spans
        start, end = spans[self.window[0]][0], spans[self.window[-1]][1]
        before: set[str] = set()
        within: set[str] = set()
        behind: set[str] = set()
        for found in WORD.finditer(self.text.rendered):
            place = before if found.end() <= start else behind if found.start() >= end else within
            place.add(found.group().casefold())
        return before - within if self.side == "prefix" else behind - within - before


@dataclass(frozen=True)
class PrefixSuffix:
    """Examples from texts with questions, and from texts without."""

    sought: Sequence[Sought]
    documents: Sequence[Document]
    """Asked whether a word stands before, or comes behind."""
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    name: str = "prefix_suffix"
    sides: tuple[Side, ...] = SIDES
    widths: tuple[int, ...] = (50,)
    """One pass over the texts for each: windows of 1 to so many tokens."""
    max_tokens: int = 512
    """Longer texts are left out where they come with questions; others are cut to this length."""
    held_out_fraction: float = 0.02

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples: of each question, then of each text's words; some texts make none."""
        for number, one in enumerate(self.sought):
            if self._is_on(one.document, split):
                for side in one.sides or self.sides:
                    numbers = random_for(seed, self.name, side, str(number), one.source)
                    yield from self._found(one, side, numbers)
        others: set[str] = set()
        for document in self.documents:
            if self._is_on(document, split):
                said = {found.group().casefold() for found in WORD.finditer(document.words)}
                # Words of both would be the common ones, and a common word the better guess.
                yield from self._about_words(document, (said - others, others - said), seed)
                others = said

    def _is_on(self, document: Document, split: Split) -> bool:
        return split_of(document.words, self.held_out_fraction) == split

    def _found(self, one: Sought, side: Side, numbers: Random) -> Iterator[Example]:
        text = self._text(one.document)
        if len(text.ids) > self.max_tokens:
            return
        evidence, answers = (_places(text.rendered, said) for said in (one.evidence, one.answer))
        if not evidence:
            # As where a template rewrites what is said.
            raise DataError(f"{one.source}: {one.evidence!r} does not stand in it as it is read.")
        shown = _allowed(text, evidence[0], answers, side)
        for width in self.widths:
            if window := _window(shown, width, numbers):
                seen = Seen(text, window, side, one.source)
                yield from self._asked(seen, one.question, one.answer, numbers)

    def _about_words(
        self, document: Document, words: tuple[set[str], set[str]], seed: int
    ) -> Iterator[Example]:
        """Ask about a word on one side, and one that stands nowhere here, of the same window.

        `words` are those of this text and not of its neighbour, and those of its neighbour alone.
        """
        text = self._text(document).cut(self.max_tokens)
        inside = [at for at, (start, end) in enumerate(text.spans) if end > start]
        for width in self.widths if inside else ():
            numbers = random_for(seed, self.name, "words", str(width), document.source)
            for side in self.sides:
                seen = Seen(text, _window(inside, width, numbers), side, document.source)
                present, absent = sorted(seen.beyond() & words[0]), sorted(words[1])
                if not present or not absent:
                    continue
                for answer, some in (("Yes", present), ("No", absent)):
                    question = YES_NO + STANDS[side].format(numbers.choice(some))
                    yield from self._asked(seen, question, answer, numbers)

    def _asked(
        self, seen: "Seen", question: str, answer: str, numbers: Random
    ) -> Iterator[Example]:
        for layers in self.layers.draw(numbers):
            yield Example(
                context=seen.text.ids[: seen.window[-1] + 1],
                positions=seen.window,
                layers=layers,
                question=question,
                answer=answer,
                task=f"{self.name}/{seen.side}",
                source=seen.source,
            )

    def _text(self, document: Document) -> Spanned:
        content = document.content
        plain = isinstance(content, str)
        rendered = (
            content if plain else render(self.tokenizer, content, add_generation_prompt=False)
        )
        encoded = self.tokenizer(rendered, add_special_tokens=plain, return_offsets_mapping=True)
        spans: Any = encoded["offset_mapping"]
        ids: Any = encoded["input_ids"]
        return Spanned(tuple(ids), tuple((start, end) for start, end in spans), rendered)


def read_sought(
    path: str | Path, *, unit: Literal["blocks", "lines"] = "blocks"
) -> tuple[Sequence[Sought], Sequence[Document]]:
    """Read texts with questions, and texts without.

    A line of a `.jsonl` file holds `text` or `messages`, and perhaps `questions`: a list of objects
    with `question`, `answer`, and perhaps `evidence` (words of the text that hold the answer; by
    default the answer itself) and `sides`. One question's may also stand in the line itself. Other
    files hold texts or chats alone.

    Raises:
        DataError: the file is missing, or a line has another form, or its evidence does not stand
            in its text; its number is named.
    """
    if Path(path).suffix != ".jsonl":
        return (), read_documents(path, unit=unit)

    def rows() -> Iterator[tuple[Document, list[Any], str]]:
        for row, where in json_lines(path):
            own = {key: row.pop(key) for key in KEYS & set(row)}
            yield document_of(row, where), row.get("questions", [own] if own else []), where

    sought = Spool(Sought, chain.from_iterable(_sought(*row) for row in rows()))
    return sought, Spool(Document, (document for document, asked, _ in rows() if not asked))


def _sought(document: Document, asked: object, where: str) -> Iterator[Sought]:
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise DataError(f"{where}: questions is a list of objects, got {asked!r:.100}.")
    for one in asked:
        words = {"evidence": one.get("answer"), **one}
        sides = tuple(words.pop("sides", ()))
        good = set(words) == KEYS - {"sides"} and set(sides) <= set(SIDES)
        if not good or not all(isinstance(said, str) and said for said in words.values()):
            raise DataError(
                f"{where}: a question has `question`, `answer`, and perhaps `evidence` and "
                f"`sides` of {list(SIDES)}, got {one!r:.200}."
            )
        if not _places(document.words, words["evidence"]):
            raise DataError(
                f"{where}: {words['evidence']!r} does not stand in the text. Give `evidence`, "
                "words of the text that hold the answer."
            )
        yield Sought(document.content, **words, sides=sides, source=document.source)


def _places(text: str, words: str) -> list[tuple[int, int]]:
    """Return where words stand in a text, by characters, case aside and not inside words."""
    pattern = rf"(?<!\w){re.escape(words.strip())}(?!\w)"
    return [found.span() for found in re.finditer(pattern, text, re.IGNORECASE)]


def _allowed(
    text: Spanned, evidence: tuple[int, int], answers: Sequence[tuple[int, int]], side: Side
) -> list[int]:
    """Return the tokens that may be shown: beyond the evidence, and no part of the answer.

    Before a suffix no answer stands at all, not even one that nobody asks for.
    """
    first = min(start for start, _ in (evidence, *answers))
    return [
        at
        for at, (start, end) in enumerate(text.spans)
        if end > start
        and (start >= evidence[1] if side == "prefix" else end <= first)
        and not any(start < stop and end > begin for begin, stop in answers)
    ]


def _window(allowed: Sequence[int], max_width: int, numbers: Random) -> tuple[int, ...]:
    """Draw up to `max_width` neighbouring tokens of those allowed; none where none is."""
    if not allowed:
        return ()
    last = numbers.randrange(len(allowed))
    first = last
    for _ in range(numbers.randint(1, max_width) - 1):
        if not first or allowed[first - 1] != allowed[first] - 1:
            break
        first -= 1
    return tuple(allowed[first : last + 1])
