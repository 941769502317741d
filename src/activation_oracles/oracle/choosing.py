"""Forced choice: which of some given answers the oracle finds most likely."""

from collections.abc import Sequence

import torch

from activation_oracles.oracle.asking import Asker, Shown


def probabilities(
    asker: Asker, shown: Sequence[Shown], question: str, choices: Sequence[str]
) -> list[dict[str, float]]:
    """Return, for each reading, a probability for each choice; they sum to 1.

    A choice's score is the mean log-probability of its tokens, and the probabilities are the
    softmax of the scores: exact where every choice is one token. Where lengths differ, the token
    that ends the answer counts too, or a choice that begins another could never lose to it.
    """
    asked = [asker.show(one, question, answer=choice) for one in shown for choice in choices]
    rows = asker.likelihood(asked)
    lengths = [one.prompt.answer_end - one.prompt.answer_start for one in asked]
    ending = len(set(lengths)) > 1
    scores = torch.tensor(
        [
            sum(row[: length + ending]) / max(1, length + ending)
            for row, length in zip(rows, lengths, strict=True)
        ],
        dtype=torch.float64,
    ).view(len(shown), len(choices))
    return [dict(zip(choices, row, strict=True)) for row in scores.softmax(dim=-1).tolist()]
