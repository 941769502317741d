"""System-prompt questions: the model was told something; read what from what it does next.

From LatentQA's files (arXiv 2412.08686), or from plain rows of messages, question and answer. The
instruction is in the context, but its tokens are not shown: the answer must be read from what it
does to the tokens behind it. Only a LatentQA `control` row, with nothing behind, is shown whole.

Departs from the reference in two ways. What is hidden ends where the hidden turns end; the
reference renders these turns alone and drops as many tokens as that has, on Qwen3 four too many, as
its template adds empty thoughts to a last reply (`compat` "paper" does so again). And all that is
asked about one label is on one side, in whichever file it stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import DataError
from activation_oracles.models.chat import Text, encode_chat
from activation_oracles.tasks.config import Compat
from activation_oracles.tasks.sources import Messages, check_messages, encode, read_json
from activation_oracles.tasks.spool import Spool
from activation_oracles.tasks.store import json_lines
from activation_oracles.tasks.task import Split, random_for, split_of
from activation_oracles.tasks.windows import Layers, turn_window
from activation_oracles.types import Example

WHAT_WAS_SAID = (
    "What was the assistant told to do?",
    "What instruction is the assistant following?",
    "Which instructions was the model given?",
    "What does the system prompt say?",
    "Please state the assistant's instructions.",
)
"""Asked where no questions come with the data; the answer is the instruction itself."""


@dataclass(frozen=True)
class Asked:
    """A chat and one question about it."""

    messages: Messages
    num_hidden: int
    """Leading messages whose tokens are never shown."""
    question: str
    answer: str
    key: str
    """The instruction, or the label of several: decides the side of the split, so that neither an
    instruction nor an answer is on both."""
    source: str


@dataclass(frozen=True)
class SystemPrompt:
    """Examples from chats with questions."""

    asked: Sequence[Asked]
    tokenizer: PreTrainedTokenizerBase
    layers: Layers
    name: str = "system_prompt"
    max_tokens: int = 512
    """Longer chats are left out."""
    held_out_fraction: float = 0.02
    compat: Compat = "none"

    def examples(self, split: Split, *, seed: int) -> Iterator[Example]:
        """Yield the examples of every question, in order."""
        for number, one in enumerate(self.asked):
            if split_of(one.key, self.held_out_fraction) != split:
                continue
            text = encode_chat(self.tokenizer, one.messages)
            if len(text.turns) != len(one.messages):
                raise DataError(
                    f"{one.source}: this model's chat template rewrites the messages, so the "
                    "instruction's tokens cannot be told from the others."
                )
            if len(text.token_ids) > self.max_tokens:
                continue
            start = self._first_shown(one, text)
            numbers = random_for(seed, self.name, str(number), one.source)
            for layers in self.layers.draw(numbers):
                positions = turn_window(range(start, len(text.token_ids)), numbers)
                yield Example(
                    context=text.token_ids,
                    positions=positions,
                    layers=layers,
                    question=one.question,
                    answer=one.answer,
                    task=self.name,
                    source=one.source,
                )

    def _first_shown(self, one: Asked, text: Text) -> int:
        if not one.num_hidden:
            return 0
        if self.compat == "none":
            return text.turns[one.num_hidden - 1].end
        start = len(encode(self.tokenizer, one.messages[: one.num_hidden]))
        if start >= len(text.token_ids):
            raise DataError(f"{one.source} has no token left behind what `paper` hides.")
        return start


def read_latentqa(stimuli: str | Path, qa: str | Path | None = None) -> list[Asked]:
    """Read one of LatentQA's stimulus files, with its questions by label.

    Args:
        stimuli: a JSON list of objects with `label` and either `system` (then `stimulus_user`), or
            `control_user` and perhaps `control_model`, `stimulus_user`, `stimulus_model`.
        qa: a JSON object from label to a list of [question, answer]; without it, what is asked is
            the instruction itself, in five wordings by turns.

    Raises:
        DataError: a file is missing or has another form, or a label has no questions.
    """
    records = read_json(stimuli)
    questions = read_json(qa) if qa else None
    if not isinstance(records, list) or not isinstance(questions, dict | None):
        raise DataError(
            f"{stimuli} is a list of stimuli and {qa} an object of questions by label; they are "
            f"{type(records).__name__} and {type(questions).__name__}."
        )
    asked = []
    for number, record in enumerate(records, start=1):
        where = f"{Path(stimuli).name}:{number}"
        messages, num_hidden = _stimulus(record, where)
        key = messages[0]["content"]
        if questions is None:
            pairs: Any = [(WHAT_WAS_SAID[number % len(WHAT_WAS_SAID)], key)]
        elif record.get("label") in questions:
            pairs = questions[record["label"]]
            key = record["label"]
        else:
            raise DataError(f"{where} has label {record.get('label')!r}, which {qa} does not know.")
        asked += [Asked(messages, num_hidden, q, answer, key, where) for q, answer in pairs]
    return asked


def read_asked(path: str | Path) -> Sequence[Asked]:
    """Read JSON lines of `messages`, `question` and `answer`.

    Leading system messages are hidden; `hidden` says of how many leading messages otherwise.

    Raises:
        DataError: the file is missing, or a line has another form; its number is named.
    """
    asked = Spool(Asked, (_asked(row, where) for row, where in json_lines(path)))
    if not asked:
        raise DataError(f"{path} holds no questions.")
    return asked


def _asked(row: Mapping[str, Any], where: str) -> Asked:
    messages = check_messages(row.get("messages"), where)
    leading = next((n for n, one in enumerate(messages) if one["role"] != "system"), len(messages))
    hidden = row.get("hidden", leading)
    words = (row.get("question"), row.get("answer"))
    if not all(isinstance(one, str) and one for one in words) or not (
        isinstance(hidden, int) and 0 <= hidden < len(messages)
    ):
        raise DataError(
            f"{where} needs a `question`, an `answer`, and fewer `hidden` messages than it "
            f"has; got {words}, {hidden} of {len(messages)}."
        )
    told = messages[0]["content"]
    return Asked(messages, hidden, row["question"], row["answer"], told, Path(where).name)


def _stimulus(record: Mapping[str, str], where: str) -> tuple[Messages, int]:
    """Return the chat of a stimulus, and how many of its leading messages are hidden.

    As published: a bare instruction is shown whole; with a reply to it, instruction and reply are
    hidden, and what follows is shown. A system message is hidden.
    """
    roles = (
        ("system", "system"),
        ("control_user", "user"),
        ("control_model", "assistant"),
        ("stimulus_user", "user"),
        ("stimulus_model", "assistant"),
    )
    messages = tuple(
        {"role": role, "content": record[key]} for key, role in roles if record.get(key)
    )
    if not messages or messages[-1]["role"] == "system":
        raise DataError(
            f"{where} has no message of a user; its keys are {sorted(record)}, expected some of "
            f"{[key for key, _ in roles]}."
        )
    if messages[0]["role"] == "system":
        return messages, 1
    return messages, 2 if len(messages) > 2 else 0
