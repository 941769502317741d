"""A target under steering: how likely it is to say something, and what it says.

Many vectors, strengths and prompts go through one batch, each row pushed by its own vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from activation_oracles.dreams.terms import Dose
from activation_oracles.models.chat import Chat
from activation_oracles.models.read import logits_only_at
from activation_oracles.models.steer import steering
from activation_oracles.models.steered import Steered
from activation_oracles.models.target import Target

ROWS_PER_BATCH = 128


@dataclass(frozen=True, eq=False)
class Case:
    """A prompt, and how the target is pushed while it reads and answers it."""

    prompt: str | Chat
    vector: Float[Tensor, " d_model"] | None = None
    """None: not at all."""
    strength: float = 0.0
    """In the dose's unit."""
    reply: str = ""
    """What the target might say, for `likelihoods`; of a bare text, how it ends."""


def likelihoods(target: Target, cases: Sequence[Case], dose: Dose) -> list[float]:
    """Return the mean log-probability per token, in nats, of each case's reply.

    Without a reply it is that of the prompt's own tokens, from the second on.
    """
    # Vectors and strengths are many, prompts and replies few.
    known: dict[tuple[str, str], tuple[tuple[int, ...], int]] = {}
    for one in cases:
        if _words(one) not in known:
            known[_words(one)] = _tokens(target, one)
    rows = [known[_words(one)] for one in cases]
    order = sorted(range(len(rows)), key=lambda index: len(rows[index][0]))
    found = [0.0] * len(rows)
    for at in range(0, len(order), ROWS_PER_BATCH):
        some = order[at : at + ROWS_PER_BATCH]
        values = _scored(
            target, [rows[index] for index in some], [cases[index] for index in some], dose
        )
        for index, value in zip(some, values, strict=True):
            found[index] = value
    return found


def replies(
    target: Target, cases: Sequence[Case], dose: Dose, *, max_new_tokens: int = 24
) -> list[str]:
    """Return what the target says, greedily, to each case's prompt."""
    lengths = [len(target.text(one.prompt, add_generation_prompt=True).token_ids) for one in cases]
    order = sorted(range(len(cases)), key=lambda index: lengths[index])
    found = [""] * len(cases)
    for at in range(0, len(order), ROWS_PER_BATCH):
        some = order[at : at + ROWS_PER_BATCH]
        pushes = dose.pushes(*_pushed(target, [cases[index] for index in some]))
        texts = Steered(target, pushes).generate_all(
            [cases[index].prompt for index in some], max_new_tokens=max_new_tokens
        )
        for index, text in zip(some, texts, strict=True):
            found[index] = text.strip()
    return found


def _words(case: Case) -> tuple[str, str]:
    return repr(case.prompt), case.reply


def _tokens(target: Target, case: Case) -> tuple[tuple[int, ...], int]:
    """Return a case's token ids, and from which on they are scored."""
    if not case.reply:
        return target.encode(case.prompt), 1
    asked = target.text(case.prompt, add_generation_prompt=True).token_ids
    said = target.model.tokenizer.encode(case.reply, add_special_tokens=False)
    return (*asked, *said), len(asked)


def _pushed(
    target: Target, cases: Sequence[Case]
) -> tuple[Float[Tensor, "case d_model"], Float[Tensor, " case"]]:
    """Return each case's vector and strength; what is not pushed is at strength 0."""
    still = torch.zeros(target.model.width)
    vectors = torch.stack([still if one.vector is None else one.vector.cpu() for one in cases])
    strengths = [0.0 if one.vector is None else one.strength for one in cases]
    return vectors, torch.tensor(strengths)


def _scored(
    target: Target, rows: Sequence[tuple[tuple[int, ...], int]], cases: Sequence[Case], dose: Dose
) -> list[float]:
    model = target.model
    ids = torch.full((len(rows), max(len(tokens) for tokens, _ in rows)), model.pad_id)
    for row, (tokens, _) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    places = [
        (row, at) for row, (tokens, first) in enumerate(rows) for at in range(first, len(tokens))
    ]
    where = torch.tensor(places)
    with (
        torch.no_grad(),
        model.using(target.adapter),
        steering(model.blocks, dose.pushes(*_pushed(target, cases))),
        logits_only_at(model.network, where[:, 0], where[:, 1] - 1),
    ):
        logits = model.network(input_ids=ids.to(model.device), use_cache=False).logits[0].float()
    labels = ids[where[:, 0], where[:, 1]].to(logits.device)
    values = -nn.functional.cross_entropy(logits, labels, reduction="none").cpu()
    counts = torch.bincount(where[:, 0], minlength=len(rows))
    sums = torch.zeros(len(rows)).index_add(0, where[:, 0], values)
    return (sums / counts).tolist()
