"""The rival that needs no activations: the subject itself, asked in words where the talk stands."""

from collections.abc import Mapping, Sequence

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case, followed_by_question
from activation_oracles.models.target import Target
from activation_oracles.types import Example

_BATCH = 64


class InWords:
    """Puts each case's question to its subject, as the user's next words in the talk."""

    control: str | None = "text, no activations"

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        max_new_tokens: int = 20,
        alone: bool = False,
        name: str = "subject asked in words",
        begun: str = "",
    ) -> None:
        """Ask these subjects, by name, for so many tokens at most.

        Args:
            targets: who is asked in each subject's place.
            max_new_tokens: length at which a reply is cut.
            alone: put the question by itself and not behind the talk.
            name: who answers, in a table.
            begun: how each reply is begun for it, which gets past a reluctance to answer; what it
                says goes on from there.
        """
        self.name = f"{name}, reply begun" if begun else name
        self._begun = begun
        self._targets = targets
        self._max_new_tokens = max_new_tokens
        self._alone = alone

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return each subject's greedy reply.

        Raises:
            DataError: an example has no talk.
        """
        cases = [one for one in examples if isinstance(one, Case) and (one.talk or self._alone)]
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
                asked = [self._asked(cases[row]) for row in batch]
                replies = self._replies(self._targets[name], asked)
                for row, reply in zip(batch, replies, strict=True):
                    said[row] = reply.strip()
        return said

    def _replies(self, target: Target, asked: list[list[dict[str, str]]]) -> list[str]:
        if not self._begun:
            return target.generate_all(asked, max_new_tokens=self._max_new_tokens)
        tokenizer = target.model.tokenizer
        begun = tokenizer.encode(self._begun, add_special_tokens=False)
        prompts = [
            (*target.text(one, add_generation_prompt=True).token_ids, *begun) for one in asked
        ]
        new = target.continued(prompts, target.model.decoding(self._max_new_tokens))
        return tokenizer.batch_decode(list(map(list, new)), skip_special_tokens=True)

    def _asked(self, case: Case) -> list[dict[str, str]]:
        if self._alone:
            return [{"role": "user", "content": case.question}]
        return followed_by_question(case)


def _length(case: Case) -> int:
    return sum(len(content) for _, content in case.talk) + len(case.question)
