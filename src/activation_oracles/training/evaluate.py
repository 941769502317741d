"""How an oracle in training does on held-out examples: loss and greedy exact answers, by task."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import PartialState
from torch import Tensor

from activation_oracles.models.sharding import is_sharded
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.tasks.task import random_for
from activation_oracles.training import together
from activation_oracles.training.slots import Slots
from activation_oracles.types import Example

LONGEST_ANSWER = 20
"""Tokens that are generated, as published. Longer answers have a loss and no accuracy."""


@dataclass(frozen=True)
class HeldOutScore:
    """One task's held-out figures."""

    num_examples: int
    loss: float
    """Mean over examples of the mean over an example's labelled tokens, in nats."""
    accuracy: float | None
    """Share of greedy answers equal to the wanted one, case and final stops aside; None where no
    answer is short enough to be generated."""
    num_answers: int
    """Examples that the accuracy is over."""


def choose(examples: Sequence[Example], per_task: int, seed: int) -> list[Example]:
    """Return at most `per_task` examples of each task, the same ones for the same seed."""
    by_task: dict[str, array[int]] = {}
    for index, example in enumerate(examples):
        by_task.setdefault(example.task, array("q")).append(index)
    return [
        examples[index]
        for task, some in sorted(by_task.items())
        for index in random_for(seed, "evaluate", task).sample(some, min(per_task, len(some)))
    ]


def evaluate(
    oracle: Oracle, slots: Slots, examples: Sequence[Example], *, batch_size: int
) -> dict[str, HeldOutScore]:
    """Score an oracle on examples, shared out over all processes, without a trace on training.

    Args:
        oracle: the oracle; its adapter's weights and all random numbers stay untouched.
        slots: what examples are shown.
        examples: held-out ones, in any order.
        batch_size: how many to run at once.
    """
    processes = PartialState()
    start, width = processes.process_index, processes.num_processes
    # Weights that are shared out are gathered by all for every pass, so all make the same passes.
    together_throughout = is_sharded(oracle.model)
    if together_throughout:
        start, width = 0, 1
    scores = {}
    for task in sorted({example.task for example in examples}):
        of_task = [example for example in examples if example.task == task]
        own = of_task[start::width]
        sums = torch.zeros(3)
        for first in range(0, len(own), batch_size):
            sums += _sums(oracle, slots, own[first : first + batch_size])
        if not together_throughout:
            sums = together.total(sums.to(oracle.model.device))
        loss, right, answers = sums.tolist()
        scores[task] = HeldOutScore(
            num_examples=len(of_task),
            loss=loss / len(of_task),
            accuracy=right / answers if answers else None,
            num_answers=int(answers),
        )
    return scores


def _sums(oracle: Oracle, slots: Slots, examples: Sequence[Example]) -> Tensor:
    """Return the sum of losses, right answers, and answers short enough to be scored."""
    vectors = slots.vectors(examples)
    short = [index for index, one in enumerate(examples) if _is_short(oracle, one.answer)]
    right = 0
    if short:
        said = oracle.answer(
            [examples[index] for index in short],
            [vectors[index] for index in short],
            max_new_tokens=LONGEST_ANSWER,
        )
        pairs = zip(said, short, strict=True)
        right = sum(_plain(text) == _plain(examples[index].answer) for text, index in pairs)
    return torch.tensor([sum(oracle.losses(examples, vectors)), right, len(short)])


def _is_short(oracle: Oracle, answer: str) -> bool:
    ids = oracle.model.tokenizer.encode(answer, add_special_tokens=False)
    return len(ids) <= LONGEST_ANSWER


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!?,;:")
