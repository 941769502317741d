"""The same question under every condition: the organism's activations, and what else they might be.

An oracle that answers as well from the base model's activations of the same text has read the text;
one that answers as well from nothing has guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from activation_oracles.evals.grade import contains, exact
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Example
from activation_oracles.world.interviews import Query, donors

CONDITIONS = ("read", "difference", "base", "donor", "random", "nothing", "asked in text")
"""`read`: the activations in question. `difference`: those minus the base model's. `base`: the base
model's, of the same text. `donor`: another organism's or text's, of its own text."""
_LONGEST_ANSWER = 6


@dataclass(frozen=True)
class Said:
    """What was said to one query under one condition."""

    query: Query
    condition: str
    answer: str
    score: float
    """1 right, 0 wrong."""


def ask_all(
    oracle: Oracle,
    targets: Mapping[str, Target],
    queries: Sequence[Query],
    conditions: Sequence[str] = CONDITIONS,
) -> list[Said]:
    """Ask every query under every condition.

    Args:
        oracle: who answers.
        targets: by organism's name; the empty name is the base model.
        queries: what to ask.
        conditions: some of `CONDITIONS`.
    """
    said: list[Said] = []
    for condition in conditions:
        if condition == "asked in text":
            answers = _asked_in_text(targets, queries)
            grade = contains
        else:
            examples, vectors = _shown(targets, queries, condition)
            answers = oracle.answer(examples, vectors, max_new_tokens=_LONGEST_ANSWER)  # pyright: ignore[reportArgumentType] - None shows nothing
            grade = exact
        for query, answer in zip(queries, answers, strict=True):
            score = grade(answer, query.example.answer)
            assert score is not None
            said.append(Said(query, condition, answer, score))
    return said


def _shown(
    targets: Mapping[str, Target], queries: Sequence[Query], condition: str
) -> tuple[list[Example], list[Tensor | None]]:
    examples = [query.example for query in queries]
    if condition == "nothing":
        return examples, [None] * len(queries)
    if condition == "base":
        return examples, list(targets[""].vectors(examples))
    if condition == "difference":
        before = targets[""].vectors(examples)
        after = _own_vectors(targets, [query.organism for query in queries], examples)
        return examples, [
            ours - theirs for ours, theirs in zip(after, before, strict=True) if ours is not None
        ]
    if condition == "donor":
        lent = donors(queries)
        examples = [
            replace(other.example, question=query.example.question, answer=query.example.answer)
            for query, other in zip(queries, lent, strict=True)
        ]
        return examples, _own_vectors(targets, [other.organism for other in lent], examples)
    vectors = _own_vectors(targets, [query.organism for query in queries], examples)
    if condition == "random":
        generator = torch.Generator().manual_seed(0)
        vectors = [
            torch.randn(matrix.shape, generator=generator)
            for matrix in vectors
            if matrix is not None
        ]
    return examples, list(vectors)


def _own_vectors(
    targets: Mapping[str, Target], names: Sequence[str], examples: Sequence[Example]
) -> list[Tensor | None]:
    """Read every example from its own organism, all of one organism together."""
    vectors: list[Tensor | None] = [None] * len(examples)
    for name in dict.fromkeys(names):
        rows = [row for row, own in enumerate(names) if own == name]
        read = targets[name].vectors([examples[row] for row in rows])
        for row, matrix in zip(rows, read, strict=True):
            vectors[row] = matrix
    return vectors


def _asked_in_text(targets: Mapping[str, Target], queries: Sequence[Query]) -> list[str]:
    answers = [""] * len(queries)
    for name in dict.fromkeys(query.organism for query in queries):
        rows = [row for row, query in enumerate(queries) if query.organism == name]
        chats = [_followed_by_question(queries[row]) for row in rows]
        replies = targets[name].generate_all(chats, max_new_tokens=12)
        for row, reply in zip(rows, replies, strict=True):
            answers[row] = reply
    return answers


def _followed_by_question(query: Query) -> list[dict[str, str]]:
    *before, last = query.talk
    chat = [{"role": one.role, "content": one.content} for one in before]
    if last.role == "user":
        both = f"Read this.\n{last.content}\n{query.example.question}"
        return [*chat, {"role": "user", "content": both}]
    said = {"role": last.role, "content": last.content}
    return [*chat, said, {"role": "user", "content": query.example.question}]
