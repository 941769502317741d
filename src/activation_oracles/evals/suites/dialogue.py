"""Dialogue: what was told many turns ago, is it read from the last turn alone?

Rows say what was told, and at which turn. The oracle is shown tokens of the last turn, in which it
does not stand. The same dialogue in which that turn does not tell it is the control: what is
answered there is a guess.
"""

from collections.abc import Iterator, Mapping, Sequence

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.grade import contains
from activation_oracles.evals.subjects import BASE
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.begun import replies, shown
from activation_oracles.evals.suites.moments import Moment
from activation_oracles.evals.suites.talks import Told, read_talks
from activation_oracles.models.chat import Text
from activation_oracles.models.target import Target

NOT_TOLD = "not told"

Said = tuple[tuple[str, str], ...]
"""Role and content of each message."""


def dialogue(given: Given) -> Evaluation:
    """Ask what was told at an earlier turn, of tokens of the last turn.

    Dialogues are the rows of `dialogues.jsonl` in `files` (`talks.py` has the fields). Of the last
    turn, with the header of the reply where the user spoke last, those tokens are shown that `at`
    names (`last assistant turn`: the header), and nothing that the model replies. Tasks say how
    many messages before the last it was told; one of each group has the same dialogues in which it
    was not. The unit is the dialogue.

    Raises:
        DataError: there are no dialogues.
    """
    drawn = given.dialogues() if given.dialogues else read_talks(given.files, "dialogues", Told)
    dialogues = given.limited(drawn)

    def rows(targets: Mapping[str, Target]) -> list[Case]:
        told = _read(targets[BASE], [one.talk for one in dialogues], given)
        untold = _read(targets[BASE], [without(one) for one in dialogues], given)
        found: list[Case] = []
        for one, read, control in zip(dialogues, told, untold, strict=True):
            back = len(one.messages) - 1 - one.turn
            found.append(_case(one, f"{back} turn{'s'[: back - 1]} back", read, given))
            found.append(_case(one, NOT_TOLD, control, given))
        return found

    return Evaluation(
        name="dialogue",
        about="what was told turns ago, read from the last turn alone",
        subjects=(),
        rows=rows,
        grade=contains,
    )


def without(told: Told) -> Said:
    """Return a dialogue in which it is not told.

    Where other words take the place of the turn that tells it, the rest stays. Else with what a
    user says goes the reply to it, and with a reply what it replies to.

    Raises:
        DataError: nothing would be left to read.
    """
    first = last = told.turn
    if told.untold:
        role = told.messages[first].role
        return (*told.talk[:first], (role, told.untold), *told.talk[first + 1 :])
    if told.messages[first].role == "user" and told.messages[last + 1].role == "assistant":
        last += 1
    elif told.messages[first].role == "assistant" and first > 0:
        first -= told.messages[first - 1].role == "user"
    kept = told.talk[:first] + told.talk[last + 1 :]
    if not kept or last == len(told.talk) - 1:
        raise DataError(
            f"{told.source}: without the turn that tells it, nothing is left to read. Let the "
            "dialogue go on for a turn of the user's at least."
        )
    return kept


def _read(target: Target, talks: Sequence[Said], given: Given) -> Iterator[Moment]:
    """Yield what is read of each talk: where the user spoke last, with the header of the reply."""
    opened = [one for one in talks if one[-1][0] != "assistant"]
    unsaid = iter(replies(target, opened, most=0))
    for talk in talks:
        if talk[-1][0] == "assistant":
            chat = [{"role": role, "content": content} for role, content in talk]
            yield _moment(talk, target.text(chat, add_generation_prompt=False), given)
        else:
            yield _moment(talk, next(unsaid).until(0), given)


def _moment(talk: Said, text: Text, given: Given) -> Moment:
    """Return the tokens of the last turn that has words, and of a header behind it, as named."""
    spoken = [one for one in text.turns if one.content_start < one.content_end]
    if not spoken:
        raise DataError(
            "The turns of this model's chats cannot be found, so the last one cannot be read "
            "alone: its template rewrites what is said."
        )
    positions = tuple(one for one in shown(given.at, text) if one >= spoken[-1].start)
    if not positions:
        raise DataError(
            f"{given.at!r} names no token of the last turn, by {spoken[-1].role}, of the dialogue "
            f"{talk[0][1]!r:.60}. Name tokens of it, as all or -1."
        )
    return Moment(talk, text.token_ids[: positions[-1] + 1], positions)


def _case(one: Told, when: str, read: Moment, given: Given) -> Case:
    return Case(
        context=read.context,
        positions=read.positions,
        layers=given.layers,
        question=one.question,
        answer=one.answer,
        task=f"{one.group}, {when}",
        source=f"{one.source}/{when}",
        unit=one.source,
        talk=read.talk,
    )
