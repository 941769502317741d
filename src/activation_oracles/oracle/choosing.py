"""Forced choice: which of some given answers the oracle finds most likely."""

from collections.abc import Sequence

import torch

from activation_oracles.oracle.asking import Asker, Shown


def probabilities(
    asker: Asker, shown: Sequence[Shown], choices: Sequence[str]
) -> list[dict[str, float]]:
    """Return, for each reading, a probability for each choice; they sum to 1.

    A choice's score is the mean log-probability of its tokens, and the probabilities are the
    softmax of the scores: exact where every choice is one token. Where lengths differ, the token
    that ends the answer counts too, or a choice that begins another could never lose to it.
    """
    prompts = [asker.show(one) for one in shown]
    answered = [[asker.show(one, choice).prompt for choice in choices] for one in shown]
    lengths = [one.answer_end - one.answer_start for one in answered[0]]
    ending = len(set(lengths)) > 1
    tails = [
        [one.ids[one.answer_start : one.answer_end + ending] for one in some] for some in answered
    ]
    scores = torch.tensor(
        [
            [sum(values) / max(1, len(values)) for values in some]
            for some in asker.tails(prompts, tails)
        ],
        dtype=torch.float64,
    )
    return [dict(zip(choices, row, strict=True)) for row in scores.softmax(dim=-1).tolist()]
