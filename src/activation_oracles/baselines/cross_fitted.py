"""Probes where there is nothing to fit them to but the rows that are asked, and no other.

Rows are parted by unit, so that no text, person or prompt is on both sides. A row whose true
answer no other unit has cannot be learnt from them: it is unscored, and not missed.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from activation_oracles.baselines.probe import Probe, unknown
from activation_oracles.types import Example

NUM_PARTS = 4


@dataclass(frozen=True)
class CrossFitted:
    """Answers each row by a probe that was fitted to rows of other units."""

    probe: Probe
    unit: Callable[[Example], str]
    """What of a row is independent of others."""

    @property
    def name(self) -> str:
        """Who answers: the probe and what it sees."""
        return self.probe.name

    @property
    def control(self) -> str | None:
        """What is put in place of what should be read; None for the real thing."""
        return self.probe.control

    def answer(self, examples: Sequence[Example]) -> list[str | None]:
        """Return one answer an example; None where other units do not teach its answer.

        Raises:
            ConfigError: scikit-learn is not installed.
        """
        said: list[str | None] = [None] * len(examples)
        for part in self._parts(examples):
            held = set(part)
            others = [one for row, one in enumerate(examples) if row not in held]
            rows = self._taught(part, examples, others)
            if rows:
                texts = self.probe.fit(others).answer([examples[row] for row in rows])
                for row, text in zip(rows, texts, strict=True):
                    said[row] = text
        return said

    def _parts(self, examples: Sequence[Example]) -> list[list[int]]:
        """Part the rows, all of one unit together; of few units, each stands alone."""
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, one in enumerate(examples):
            rows[self.unit(one)].append(row)
        units = sorted(rows)
        Random(self.probe.seed).shuffle(units)
        count = NUM_PARTS if len(units) > 2 * NUM_PARTS else len(units)
        return [[row for unit in units[part::count] for row in rows[unit]] for part in range(count)]

    def _taught(
        self, part: Sequence[int], examples: Sequence[Example], others: Sequence[Example]
    ) -> list[int]:
        """Return the rows of a part whose task, layers, wording and answer others have."""
        answers = {(one.task, one.layers, one.answer) for one in others}
        lost = set(unknown([examples[row] for row in part], others))
        return [
            row
            for row in part
            if (one := examples[row]) not in lost and (one.task, one.layers, one.answer) in answers
        ]
