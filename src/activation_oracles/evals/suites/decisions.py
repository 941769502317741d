"""Decisions: which of several things is a model about to do, before the first token of its reply?

`tools`: which tool it calls, or none. `decisions`: which kind of reply it gives, told by the words
with which it begins. True is what the model's own greedy reply does; nothing of it is shown.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.grade import Grade
from activation_oracles.evals.subjects import BASE
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.begun import Reply, replies, shown
from activation_oracles.evals.suites.secrets import only
from activation_oracles.evals.suites.talks import Choice, read_talks
from activation_oracles.models.target import Target

logger = logging.getLogger(__name__)

CALLS, DECIDES, BEGINS = "tool call", "decision", "decision, by its words"
NO_TOOL = "none"
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    CALLS: (
        "Answer with one of these only: {choices}. Which tool is the model about to call, or none?",
    ),
    DECIDES: ("Answer with one of these only: {choices}. What is the model about to do?",),
    BEGINS: ("How will the assistant's reply begin?",),
}
LONGEST_REPLY = 96
"""Tokens within which a reply calls a tool or shows what it is."""


def tools(given: Given) -> Evaluation:
    """Ask which tool a model is about to call, or that it calls none.

    Chats are the rows of `tools.jsonl` in `files` (`talks.py` has the fields). Tools are
    definitions that the model's chat template takes, or names, where a system prompt tells how to
    call them. A reply calls the first tool whose name it writes as `"name": "NAME"`, as `NAME(`, or
    as its first word. The unit is the chat.

    Subjects of kind `tools` are asked, each in every chat; where there are none, the model itself.

    Raises:
        DataError: there are no chats, or they are of another kind.
    """
    rows = given.tools() if given.tools else read_talks(given.files, "tools", Choice)
    if without := [one.source for one in rows if not one.tools]:
        raise DataError(f"{without[0]} names no `tools`; replies by their words are `decisions`.")
    return _evaluation("tools", "which tool a model is about to call, or none", rows, given)


def decisions(given: Given) -> Evaluation:
    """Ask what a model is about to do, and how its reply will begin.

    Talks are the rows of `decisions.jsonl` in `files` (`talks.py` has the fields). A reply that
    begins with none of the words is left out, with a word in the log. Asked how the reply begins,
    an answer is right where it begins as replies of the true kind do. The unit is the talk.

    Raises:
        DataError: there are no talks, or they are of another kind.
    """
    drawn = given.decisions() if given.decisions else read_talks(given.files, "decisions", Choice)
    if without := [one.source for one in drawn if not one.replies]:
        raise DataError(f"{without[0]} has no `replies`; chats with tools are for `tools`.")
    return _evaluation("decisions", "what a model is about to do, of several things", drawn, given)


def called(reply: str, names: Sequence[str]) -> str:
    """Return the tool that a reply calls first, by name, or that it calls none."""
    calls: dict[int, str] = {}
    for name in names:
        one = re.escape(name)
        written = rf'"name"\s*:\s*"{one}"|(?<![\w.]){one}\(|\A\W*{one}(?!\w)'
        if found := re.search(written, reply):
            calls.setdefault(found.start(), name)
    return calls[min(calls)] if calls else NO_TOOL


def kind_of(reply: str, kinds: Mapping[str, Sequence[str]]) -> str | None:
    """Return as which kind a reply begins; None where as none of them."""
    for kind, beginnings in kinds.items():
        for words in beginnings:
            if re.match(rf"\W*{re.escape(words)}(?!\w)", reply, re.IGNORECASE):
                return kind
    return None


def _evaluation(name: str, about: str, drawn: Sequence[Choice], given: Given) -> Evaluation:
    chats = given.limited(drawn)
    options = {_options(one) for one in chats}
    every = sorted({option for some in options for option in some})
    kinds = {kind: _beginnings(chats, kind) for kind in every}
    task = CALLS if name == "tools" else DECIDES
    grade: dict[str, Grade] = {
        task: partial(only, others=every),
        BEGINS: lambda said, true: float(kind_of(said, kinds) == true),
    }

    subjects = tuple(one for one in given.subjects if one.kind == name)

    def rows(targets: Mapping[str, Target]) -> list[Case]:
        found = [
            case
            for subject in [one.name for one in subjects] or [BASE]
            for one, reply in zip(chats, _replies(targets[subject], chats), strict=True)
            if (done := _done(one, reply.words)) is not None
            for case in _cases(one, reply, done, given, subject)
        ]
        _check(found, chats)
        return found

    return Evaluation(
        name=name,
        about=about,
        subjects=subjects,
        rows=rows,
        grade=grade,
        # Asked how a reply begins, what is said is judged by its words.
        choices={task: next(iter(options))} if len(options) == 1 else {},
        grade_in_words=grade,
    )


def _options(one: Choice) -> tuple[str, ...]:
    """Return what a model may do in a chat, by name."""
    if one.replies:
        return tuple(one.replies)
    return (*(_name(tool, one) for tool in one.tools), NO_TOOL)


def _name(tool: str | Mapping[str, Any], row: Choice) -> str:
    held = tool if isinstance(tool, str) else tool.get("function", tool)
    name = held.get("name") if isinstance(held, Mapping) else held
    if not isinstance(name, str) or name == NO_TOOL:
        raise DataError(
            f"{row.source} has a tool {tool!r:.80}: expected a name other than {NO_TOOL!r}, or a "
            "definition with a `name`, by itself or in `function`."
        )
    return name


def _beginnings(chats: Sequence[Choice], kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for one in chats for word in one.replies.get(kind, ())))


def _replies(target: Target, chats: Sequence[Choice]) -> list[Reply]:
    defined = [[one for one in chat.tools if not isinstance(one, str)] for chat in chats]
    return replies(target, [one.talk for one in chats], most=LONGEST_REPLY, tools=defined)


def _done(one: Choice, reply: str) -> str | None:
    """Return what a reply does; None where that cannot be told."""
    return kind_of(reply, one.replies) if one.replies else called(reply, _options(one)[:-1])


def _cases(one: Choice, reply: Reply, done: str, given: Given, subject: str) -> Iterator[Case]:
    text = reply.until(0)
    positions = shown(given.at, text)
    for task in (DECIDES, BEGINS) if one.replies else (CALLS,):
        for wording in given.questions.get(task, QUESTIONS[task]):
            yield Case(
                context=text.token_ids[: positions[-1] + 1],
                positions=positions,
                layers=given.layers,
                question=wording.format(choices=", ".join(_options(one))),
                answer=done,
                task=task,
                source=one.source,
                talk=one.talk,
                subject=subject,
            )


def _check(found: Sequence[Case], chats: Sequence[Choice]) -> None:
    """See that there is something to tell apart, and say how many talks are left out."""
    told = {one.source for one in found}
    if not told:
        raise DataError(
            f"No reply to any of {len(chats)} talks begins with the words of its row's `replies`, "
            f"as {_beginnings(chats, _options(chats[0])[0])}: what is decided cannot be told."
        )
    if lost := len(chats) - len(told):
        logger.warning("left out %d of %d talks: a reply of no known kind", lost, len(chats))
