"""What an oracle may be asked with, checked before anything runs: readings, questions, choices."""

from collections.abc import Sequence

from activation_oracles.errors import DataError, MismatchError
from activation_oracles.types import Activations


def listed(activations: Activations | Sequence[Activations], *, weighed: bool) -> list[Activations]:
    """Return one reading or several as a list.

    Raises:
        DataError: there are none.
        MismatchError: slots are to be written by their relative strength (`weighed`), and a reading
            has none.
    """
    readings = [activations] if isinstance(activations, Activations) else list(activations)
    if not readings:
        raise DataError("There are no activations to ask about.")
    if weighed and any(one.stream_lengths is None for one in readings):
        raise MismatchError(
            "Only a difference of two readings (`after - before`) has a relative strength to "
            "be written in proportion to. Ask the oracle itself about other activations."
        )
    return readings


def listed_questions(questions: str | Sequence[str]) -> list[str]:
    """Return one question or several as a list.

    Raises:
        DataError: there are none, or one is empty.
    """
    wordings = [questions] if isinstance(questions, str) else list(questions)
    if not wordings or not all(wording.strip() for wording in wordings):
        raise DataError("A question is empty. Ask something, as 'What is the secret word?'.")
    return wordings


def one_each(question: str | Sequence[str], count: int) -> list[str]:
    """Return a question for each of `count` readings: the same one, or those that are given.

    Raises:
        DataError: one is empty, or they are neither one nor as many.
    """
    asked = listed_questions(question)
    if isinstance(question, str):
        return asked * count
    if len(asked) != count:
        raise DataError(f"{count} readings want one question, or one each; got {len(asked)}.")
    return asked


def check_choices(choices: Sequence[str]) -> None:
    """Refuse what is no choice.

    Raises:
        DataError: fewer than two choices, an empty one, or two that are equal.
    """
    some = [choice for choice in choices if choice.strip()]
    if len(set(some)) != len(choices) or len(choices) < 2:
        raise DataError(f"A forced choice needs two or more different answers, got {choices}.")
