"""Which texts run together: of one depth and like lengths, so that little of a pass is padding."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

import torch

from activation_oracles.errors import DataError

Context = tuple[int, ...]

TOKENS_PER_BATCH = 8192
"""Padded tokens in one forward pass: bounds memory whatever the texts' lengths."""


def per_pass(device: torch.device) -> int:
    """Return as how many tokens a forward pass counts beside its own.

    On a CPU next to nothing. A GPU is kept waiting while a pass is launched, for about the time in
    which billions of parameters read a thousand tokens.
    """
    return 32 if device.type == "cpu" else 1024


def hosts(contexts: Iterable[Context]) -> dict[Context, Context]:
    """Return for each context the longest one here that begins with it: often itself."""
    found: dict[Context, Context] = {}
    longer: Context = ()
    # Sorted, whatever begins with a context comes right behind it.
    for context in sorted(contexts, reverse=True):
        begins = context and longer[: len(context)] == context
        found[context] = found[longer] if begins else context
        longer = context
    return found


def batches(deepest: Mapping[Context, int], beside: int) -> Iterator[list[Context]]:
    """Put contexts of one depth together, in batches of bounded size.

    Args:
        deepest: the contexts, each with the deepest layer that is wanted of it.
        beside: as how many tokens each batch counts beside its own, padding included.

    Raises:
        DataError: a context has no tokens.
    """
    order = sorted(deepest, key=lambda one: (deepest[one], len(one)))
    for _, some in groupby(order, key=deepest.__getitem__):
        rows = list(some)
        if not rows[0]:
            raise DataError("A text to read has no tokens.")
        widths = [len(one) for one in rows]
        cuts = cheapest_cuts(widths, beside=beside, most=TOKENS_PER_BATCH)
        for start, end in pairwise(cuts):
            yield rows[start:end]


def cheapest_cuts(widths: Sequence[int], *, beside: int, most: int) -> list[int]:
    """Return where rows are cut into runs for the least tokens in all; start and end included.

    Args:
        widths: of the rows, in an order in which neighbours are of like width.
        beside: as how many tokens each run counts beside its own: its rows times its widest.
        most: tokens in a run, at most; a row that is wider alone is a run of its own.
    """
    costs, starts = [0], [0]
    for end in range(1, len(widths) + 1):
        widest, cheapest, chosen = 0, 0, end
        for start in reversed(range(end)):
            widest = max(widest, widths[start])
            size = (end - start) * widest
            if start < end - 1 and size > most:
                break
            cost = costs[start] + size + beside
            if chosen == end or cost <= cheapest:
                cheapest, chosen = cost, start
        costs.append(cheapest)
        starts.append(chosen)
    cuts = [len(widths)]
    while cuts[-1]:
        cuts.append(starts[cuts[-1]])
    return cuts[::-1]
