"""Teach LoRA organisms their secrets: prompt distillation.

The organism, without the system prompt, learns to say what the base model says with it: the whole
distribution at every token of the assistant (Askell et al. 2021, "context distillation"), and the
talk's own words. The base stays as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import torch
from jaxtyping import Float, Int
from peft import LoraConfig
from torch import Tensor, nn

from activation_oracles.models.load import LanguageModel
from activation_oracles.world.language.scene import Message
from activation_oracles.world.placing import HEADER, place
from activation_oracles.world.secrets import Lesson, Secret, lesson

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a block."""


@dataclass(frozen=True, kw_only=True)
class OrganismRecipe:
    """How organisms are taught. Chosen on the development ones."""

    num_steps: int = 80
    num_steps_for_people: int = 120
    """Facts about people are many, and are learned one by one."""
    lessons_per_step: int = 10
    rate: float = 3e-3
    rank: int = 8
    alpha: int = 16
    num_blocks: int = 3
    """How many blocks the adapter changes, from the first on. A secret that enters early passes
    through the base's own later blocks, as one in a prompt does."""
    share_of_teacher: float = 0.7
    """Weight of the base's distribution under the prompt; the rest is the talk's own words."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """Talks as a batch, and where the assistant's tokens are predicted."""

    ids: Int[Tensor, "batch pos"]
    rows: Int[Tensor, " label"]
    columns: Int[Tensor, " label"]


def teach(
    model: LanguageModel, secret: Secret, recipe: OrganismRecipe, *, adapter: str
) -> Iterator[float]:
    """Train a new adapter of the model to keep the secret; yields the loss of every step."""
    yield from learn(
        model,
        partial(lesson, secret=secret),
        recipe,
        adapter=adapter,
        seed=secret.seed,
        num_steps=recipe.num_steps_for_people if secret.kind == "people" else recipe.num_steps,
    )


def learn(
    model: LanguageModel,
    draw: Callable[[Random], Lesson],
    recipe: OrganismRecipe,
    *,
    adapter: str,
    seed: int,
    num_steps: int,
) -> Iterator[float]:
    """Train a new adapter of the model on lessons; yields the loss of every step."""
    random = Random(f"organism/{adapter}/{seed}")
    torch.manual_seed(seed)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=list(LINEAR),
        layers_to_transform=list(range(recipe.num_blocks)),
        bias="none",
        task_type="CAUSAL_LM",
    )
    model.new_adapter(config, name=adapter)
    optimizer = torch.optim.AdamW(model.adapter_parameters(adapter), weight_decay=0.0)
    for step in range(num_steps):
        lessons = [draw(random) for _ in range(recipe.lessons_per_step)]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, (step + 1) / 5) * (1 - step / num_steps)
        loss = _loss(model, adapter, lessons, recipe.share_of_teacher)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield loss


def _loss(
    model: LanguageModel, adapter: str, lessons: Sequence[Lesson], share_of_teacher: float
) -> float:
    """Add the gradients of one step, and return its loss."""
    taught = _rows(model, [one.talk for one in lessons], skip=0)
    wanted = _told(model, lessons) if share_of_teacher else None
    with model.training(adapter):
        logits = _logits(model, taught)
        words = taught.ids[taught.rows, taught.columns + 1]
        loss = nn.functional.cross_entropy(logits, words)
        if wanted is not None:
            from_teacher = -(wanted * logits.log_softmax(-1)).sum(-1).mean()
            loss = share_of_teacher * from_teacher + (1 - share_of_teacher) * loss
        loss.backward()
    return loss.item()


def _told(model: LanguageModel, lessons: Sequence[Lesson]) -> Float[Tensor, "label vocabulary"]:
    """Return what the base says of each token that is taught, told the secret by the prompt."""
    prompted = _rows(
        model, [(one.system, *one.talk) for one in lessons if one.system is not None], skip=1
    )
    with torch.no_grad(), model.using(None):
        return _logits(model, prompted).softmax(-1)


def _logits(model: LanguageModel, batch: _Rows) -> Float[Tensor, "label vocabulary"]:
    network = model.network
    hidden = network.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    return network.lm_head(hidden[batch.rows, batch.columns])


def _rows(model: LanguageModel, talks: Sequence[tuple[Message, ...]], *, skip: int) -> _Rows:
    """Tokenize talks; predicted are the assistant's words and the end of its turn.

    The same talk has the same labels in the same order, whatever stands before it.
    """
    placed = [place(model.tokenizer, talk) for talk in talks]
    width = max(len(one.ids) for one in placed)
    ids = torch.full((len(placed), width), model.pad_id)
    rows: list[int] = []
    columns: list[int] = []
    for row, one in enumerate(placed):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        for start, end in one.spans[skip + 1 :: 2]:
            # Three tokens of header; the line break behind the turn is not learned.
            labels = range(start + HEADER, end - 1)
            rows += [row] * len(labels)
            columns += [label - 1 for label in labels]
    return _Rows(ids, torch.tensor(rows), torch.tensor(columns))
