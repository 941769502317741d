"""Questions about conversations, read at their turns: what is wanted, what comes next, who speaks.

A better conversational data set gained most in arXiv 2606.02609: people's and models' turns, with
questions about them that a language model wrote. As there (the data pipelines of
japhba/activation_oracles) a question is read once at the user's turn and once at the assistant's,
half the time at the whole turn, half at a drawn part of it; here it may also say where. Files of
the published form (`entries`, rendered for one model) are read, and JSON lines of messages. Of
chats that come without questions it is asked who speaks, what the user said before, and how the
assistant begins its reply; these questions are our own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from random import Random
from typing import Literal

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError
from activation_oracles.models.chat import Text, Turn, encode_chat
from activation_oracles.models.positions import resolve
from activation_oracles.tasks.context import answer_of
from activation_oracles.tasks.entries import Entry, encode_entry
from activation_oracles.tasks.later_config import AboutChat
from activation_oracles.tasks.sources import Document, Messages, check_messages, read_documents
from activation_oracles.tasks.spool import Spool
from activation_oracles.tasks.store import json_lines
from activation_oracles.tasks.task import Split, random_for, split_of
from activation_oracles.tasks.windows import Layers
from activation_oracles.types import Example

SPEAKER = "Who is speaking here?"
REQUEST = "What did the user say just before this?"
REPLY = "How will the assistant's reply begin?"
KEYS = {"question", "answer", "at"}

Found = tuple[Sequence[int], str, str]
"""Tokens that are shown, a question and its answer."""


@dataclass(frozen=True)
class Talk:
    """A conversation and one question about it."""

    messages: Messages
    question: str
    answer: str
    at: tuple[str, ...]
    """Where it is read, one example for each; empty leaves it to the task."""
    source: str


@dataclass(frozen=True)
class Conversations:
    """Examples from conversations with questions, and from chats without."""

    talks: Sequence[Talk]
    chats: Sequence[Document]
    """Texts among them make no examples."""
    entries: Sequence[Entry]
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    name: str = "conversation"
    at: tuple[str, ...] = ("last user turn", "last assistant turn")
    asks: tuple[AboutChat, ...] = ("speaker", "request", "reply")
    max_answer: int = 20
    """Of what is said in a chat at most so many tokens are asked for."""
    max_tokens: int = 1024
    """Longer conversations are left out."""
    held_out_fraction: float = 0.02

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield examples: of each question, of each chat, of each entry; some make none.

        Raises:
            DataError: a question is read at a place that its conversation does not have, or a
                conversation's turns cannot be told apart.
        """
        yield from self._of_talks(split, seed)
        yield from self._of_chats(split, seed)
        yield from self._of_entries(split, seed)

    def _of_talks(self, split: Split, seed: int) -> Iterator[Example]:
        for number, talk in enumerate(self.talks):
            document = Document(talk.messages, talk.source)
            text = self._text(document, split)
            if text is None:
                continue
            for at in talk.at or self.at:
                numbers = random_for(seed, self.name, str(number), at, talk.source)
                shown = _at(text, talk, at, numbers)
                if shown:
                    found = (shown, talk.question, talk.answer)
                    yield from self._made(text.token_ids, found, numbers, "", talk.source)

    def _of_chats(self, split: Split, seed: int) -> Iterator[Example]:
        for chat in self.chats:
            text = self._text(chat, split)
            if text is None:
                continue
            for ask in self.asks:
                numbers = random_for(seed, self.name, ask, chat.source)
                found = self._about(text, ask, numbers)
                if found:
                    yield from self._made(text.token_ids, found, numbers, ask, chat.source)

    def _of_entries(self, split: Split, seed: int) -> Iterator[Example]:
        for number, entry in enumerate(self.entries):
            if split_of(entry.key, self.held_out_fraction) != split:
                continue
            ids, shown = encode_entry(self.tokenizer, entry)
            if shown and len(ids) <= self.max_tokens:
                numbers = random_for(seed, self.name, "entry", str(number), entry.source)
                found = (shown, entry.question, entry.answer)
                yield from self._made(ids, found, numbers, entry.kind, entry.source)

    def _text(self, document: Document, split: Split) -> Text | None:
        """Return a conversation of this side as the target reads it, if it is not too long."""
        if isinstance(document.content, str):
            return None
        if split_of(document.words, self.held_out_fraction) != split:
            return None
        text = encode_chat(self.tokenizer, document.content)
        if not text.turns:
            raise DataError(
                f"{document.source}: this model's chat template rewrites the messages, so their "
                "tokens cannot be told apart."
            )
        return text if len(text.token_ids) <= self.max_tokens else None

    def _made(
        self, ids: tuple[int, ...], found: Found, numbers: Random, what: str, source: str
    ) -> Iterator[Example]:
        positions, question, answer = found
        for layers in self.layers.draw(numbers):
            yield Example(
                context=ids[: positions[-1] + 1],
                positions=tuple(positions),
                layers=layers,
                question=question,
                answer=answer,
                task=f"{self.name}/{what}" if what else self.name,
                source=source,
            )

    def _about(self, text: Text, ask: AboutChat, numbers: Random) -> Found | None:
        """Draw a place in a chat, and what is asked there; None where it has no such place."""
        turns = [turn for turn in text.turns if turn.content_start < turn.content_end]
        if ask == "speaker" and turns:
            # Not a turn among all: whoever speaks oftener would be the better guess.
            role = numbers.choice(sorted({turn.role for turn in turns}))
            turn = numbers.choice([one for one in turns if one.role == role])
            return part(_words(turn), numbers), SPEAKER, f"The {role}."
        pairs = [
            (user, reply)
            for user, reply in pairwise(turns)
            if (user.role, reply.role) == ("user", "assistant")
        ]
        if not pairs:
            return None
        user, reply = numbers.choice(pairs)
        asked = _words(user if ask == "request" else reply)
        if ask == "request" and len(asked) > self.max_answer:
            return None
        answer = answer_of(self.tokenizer, text.token_ids, asked[: self.max_answer])
        if answer is None:
            return None
        if ask == "request":
            return part(_words(reply), numbers), REQUEST, answer
        # Where the reply is about to begin, or in what it replies to.
        before = (reply.content_start - 1,)
        return before if numbers.random() < 0.5 else part(_words(user), numbers), REPLY, answer


def part(tokens: Sequence[int], numbers: Random) -> Sequence[int]:
    """Return all of a turn's tokens or a drawn part, half and half, as published."""
    if numbers.random() < 0.5:
        return tokens
    width = numbers.randint(1, len(tokens))
    start = numbers.randint(0, len(tokens) - width)
    return tokens[start : start + width]


def read_talks(
    path: str | Path, *, unit: Literal["blocks", "lines"] = "blocks"
) -> tuple[Sequence[Talk], Sequence[Document]]:
    """Read conversations with questions, and chats without.

    A line of a `.jsonl` file holds `messages`, and perhaps `questions`: a list of objects with
    `question`, `answer` and perhaps `at`, a place or several (see `models.positions`). One
    question's may also stand in the line itself. Other files hold chats alone.

    Raises:
        DataError: the file is missing, or a line has another form; its number is named.
    """
    if Path(path).suffix != ".jsonl":
        return (), read_documents(path, unit=unit)

    def rows() -> Iterator[tuple[Document, object, str]]:
        for row, where in json_lines(path):
            own = {key: row[key] for key in sorted(KEYS & set(row))}
            document = Document(check_messages(row.get("messages"), where), Path(where).name)
            yield document, row.get("questions", [own] if own else []), where

    talks = Spool(Talk, chain.from_iterable(_talks(*row) for row in rows()))
    return talks, Spool(Document, (document for document, asked, _ in rows() if not asked))


def _talks(document: Document, asked: object, where: str) -> Iterator[Talk]:
    messages = document.content
    assert not isinstance(messages, str)
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise DataError(f"{where}: questions is a list of objects, got {asked!r:.100}.")
    for one in asked:
        at = one.get("at", [])
        places = [at] if isinstance(at, str) else at
        words = (one.get("question"), one.get("answer"))
        good = set(one) <= KEYS and isinstance(places, list)
        if not good or not all(isinstance(said, str) and said for said in (*words, *places)):
            raise DataError(
                f"{where}: a question has `question`, `answer`, and perhaps `at`, a place or a "
                f"list of them, got {one!r:.200}."
            )
        yield Talk(messages, one["question"], one["answer"], tuple(places), document.source)


def _at(text: Text, talk: Talk, at: str, numbers: Random) -> Sequence[int]:
    """Return the tokens of a place: all of them where the question names it, else a part."""
    try:
        tokens = resolve(at, text)
    except DataError as error:
        if talk.at:
            raise DataError(f"{talk.source}: {error}") from error
        return ()
    return tokens if talk.at else part(tokens, numbers)


def _words(turn: Turn) -> range:
    return range(turn.content_start, turn.content_end)
