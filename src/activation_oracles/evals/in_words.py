"""The rival that needs no activations: the subject itself, asked in words where the talk stands."""

from collections.abc import Mapping, Sequence

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case, followed_by_question
from activation_oracles.models.target import Target
from activation_oracles.types import Example

_BATCH = 64


class InWords:
    """Puts each case's question to its subject, as the user's next words in the talk."""

    name = "subject asked in words"
    control: str | None = "text, no activations"

    def __init__(self, targets: Mapping[str, Target], *, max_new_tokens: int = 20) -> None:
        """Ask these subjects, by name, for so many tokens at most."""
        self._targets = targets
        self._max_new_tokens = max_new_tokens

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return each subject's greedy reply.

        Raises:
            DataError: an example has no talk.
        """
        cases = [one for one in examples if isinstance(one, Case) and one.talk]
        if len(cases) < len(examples):
            raise DataError(
                f"{len(examples) - len(cases)} of {len(examples)} examples have no talk to go on "
                "from: they cannot be asked in words this way."
            )
        said = [""] * len(cases)
        # Like lengths together: a batch costs what its longest talk costs.
        order = sorted(range(len(cases)), key=lambda row: (cases[row].subject, _length(cases[row])))
        for name in dict.fromkeys(one.subject for one in cases):
            rows = [row for row in order if cases[row].subject == name]
            for start in range(0, len(rows), _BATCH):
                batch = rows[start : start + _BATCH]
                replies = self._targets[name].generate_all(
                    [followed_by_question(cases[row]) for row in batch],
                    max_new_tokens=self._max_new_tokens,
                )
                for row, reply in zip(batch, replies, strict=True):
                    said[row] = reply.strip()
        return said


def _length(case: Case) -> int:
    return sum(len(content) for _, content in case.talk) + len(case.question)
