"""Prompts with what they are shown, cut where they differ: what is run once serves all.

All begin with the same few words, in as many versions as there are layers; questions about one
reading show the same vectors behind them. So prompts are cut into openings, heads and tails.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from activation_oracles.oracle.prompt import Prompt

ROWS_PER_BATCH = 128


@dataclass(frozen=True, eq=False)
class Asked:
    """A prompt and what it is shown."""

    prompt: Prompt
    vectors: Float[Tensor, "slot d_model"] | None
    strengths: Float[Tensor, " slot"] | None = None
    """Times the oracle's own, one per slot; None writes all alike."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Prompts up to their answers, cut where they differ."""

    openings: list[Prompt]
    """What stands before the first slot, each once; empty where it is not cut off."""
    heads: list[Asked]
    """What follows, up to the last slot and as far as questions begin alike; each reading once."""
    tails: list[Prompt]
    """The rest, one for each prompt; empty where no reading is asked two questions."""
    opening_of: list[int]
    """For each head, its opening."""
    head_of: list[int]
    """For each prompt, its head."""

    @property
    def num_columns(self) -> int:
        """Columns of all three when each is padded to its longest."""
        heads = [one.prompt for one in self.heads]
        parts = (self.openings, heads, self.tails)
        return sum(max((one.answer_start for one in part), default=0) for part in parts)


def cut(asked: Sequence[Asked]) -> Parts:
    """Cut prompts so that what they begin alike with stands there once."""
    groups = by_reading(asked)
    readings = [[prompt_ids(asked[row]) for row in rows] for rows in groups]
    is_shared = len(groups) < len(asked)
    ends = [num_alike(ids) if is_shared else len(ids[0]) for ids in readings]
    begins = [asked[rows[0]].prompt.slots[0] for rows in groups]
    openings = [ids[0][:begin] for ids, begin in zip(readings, begins, strict=True)]
    distinct = list(dict.fromkeys(openings))
    if len(distinct) == len(groups) or not all(openings):
        # Nothing to share, or nothing there.
        begins, openings, distinct = [0] * len(groups), [], []
    head_of = {row: head for head, rows in enumerate(groups) for row in rows}
    rows = range(len(asked))
    return Parts(
        openings=[_bare(ids) for ids in distinct],
        heads=[
            _between(asked[rows[0]], begin, end)
            for rows, begin, end in zip(groups, begins, ends, strict=True)
        ],
        tails=[_bare(prompt_ids(asked[row])[ends[head_of[row]] :]) for row in rows if is_shared],
        opening_of=[distinct.index(one) for one in openings],
        head_of=[head_of[row] for row in rows],
    )


def uncut(asked: Sequence[Asked]) -> Parts:
    """Leave prompts whole."""
    rows = list(range(len(asked)))
    heads = [_between(one, 0, one.prompt.answer_start) for one in asked]
    return Parts([], heads, [], [], rows)


def by_reading(asked: Sequence[Asked]) -> list[list[int]]:
    """Put the prompts together that show the same vectors behind the same words."""
    groups: dict[Hashable, list[int]] = {}
    for row, one in enumerate(asked):
        shown = one.vectors
        same = None if shown is None else (shown.data_ptr(), shown.shape, shown.stride())
        weights = None if one.strengths is None else tuple(one.strengths.tolist())
        head = one.prompt.ids[: one.prompt.slots[-1] + 1]
        groups.setdefault((same, weights, head, one.prompt.slots), []).append(row)
    return list(groups.values())


def run_together(asked: Sequence[Asked], each: int) -> Iterator[list[int]]:
    """Put prompts together, of so many rows each: one reading's, and of like lengths."""
    groups = sorted(by_reading(asked), key=lambda rows: asked[rows[0]].prompt.answer_start)
    order = [row for rows in groups for row in rows]
    most = max(1, ROWS_PER_BATCH // each)
    # Of equal size: a few rows take nearly as long as many.
    size = -(-len(order) // max(1, -(-len(order) // most)))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def prompt_ids(one: Asked) -> tuple[int, ...]:
    """Return a prompt up to where its answer begins."""
    return one.prompt.ids[: one.prompt.answer_start]


def num_alike(texts: Sequence[tuple[int, ...]]) -> int:
    """Return with how many tokens all texts begin, where each keeps one or more of its own."""
    shortest = min(map(len, texts)) - 1
    first = texts[0]
    return next(
        (at for at in range(shortest) if any(one[at] != first[at] for one in texts)), shortest
    )


def followed_by(one: Asked, ids: tuple[int, ...]) -> Asked:
    """Return a prompt with these tokens as its answer."""
    whole = prompt_ids(one) + ids
    return replace(one, prompt=replace(one.prompt, ids=whole, answer_end=len(whole)))


def _between(one: Asked, begin: int, end: int) -> Asked:
    """Return a prompt's tokens from `begin` to `end`, with all its slots."""
    ids = one.prompt.ids[begin:end]
    slots = tuple(slot - begin for slot in one.prompt.slots)
    return replace(one, prompt=Prompt(ids, slots, len(ids), len(ids)))


def _bare(ids: tuple[int, ...]) -> Prompt:
    return Prompt(ids, (), len(ids), len(ids))
