"""Train the base model from nothing on the village's language.

One thread a process, float32; of several processes (`together`) each takes its share of every
batch, so their number does not change what is learned. Matrices by Muon, the rest by AdamW; the
rate falls from the start, because a flat rate was measured to waste the run. Texts are drawn on the
fly from the seed, so a run resumed from its checkpoint sees what it would have seen.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from random import Random

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from torch.distributed import all_reduce
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from activation_oracles.world.checkpoint import resume, save
from activation_oracles.world.language.documents import (
    CONTRASTING,
    COPYING,
    DRILLS,
    MIXTURE,
    Document,
    documents,
)
from activation_oracles.world.muon import Muon
from activation_oracles.world.tokenizer import END, START, STOP, render
from activation_oracles.world.workers import share

_FEWEST_ROWS = 4
_MIXTURES = {
    "DRILLS": DRILLS,
    "COPYING": COPYING,
    "MIXTURE": MIXTURE,
    "CONTRASTING": CONTRASTING,
}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What is learned up to some point, and in which helpings."""

    mixture: str
    """One of the mixtures of `language.documents`, by its name there."""
    until: int
    """Up to how many tokens, counted from the very start."""
    tokens_per_batch: int
    share_of_others: float
    """How many of the tokens of others count in the loss. The assistant's all do."""
    anew: float | None = None
    """Of which share of the peak the rate starts falling anew; None lets it go on falling."""


PHASES = (
    # Measured: with large batches, or with the drills' unforeseeable words in the loss, nothing is
    # looked up after two million tokens; so, after a quarter of a million.
    Phase(mixture="DRILLS", until=1_000_000, tokens_per_batch=1_250, share_of_others=0.0),
    Phase(mixture="COPYING", until=4_000_000, tokens_per_batch=2_500, share_of_others=0.05),
    Phase(mixture="MIXTURE", until=18_000_000, tokens_per_batch=5_000, share_of_others=0.3),
    Phase(
        mixture="CONTRASTING",
        until=20_500_000,
        tokens_per_batch=5_000,
        share_of_others=0.3,
        anew=0.25,
    ),
)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Everything that decides the base model."""

    seed: int = 7
    phases: tuple[Phase, ...] = PHASES
    documents_per_chunk: int = 1_500
    """How many documents are drawn at once and sorted by length into batches."""
    peak_rate: float = 5e-3
    num_warmup_steps: int = 60
    weight_decay: float = 0.05
    width: int = 128
    num_layers: int = 8
    feed_forward: int = 384
    steps_per_checkpoint: int = 100

    @property
    def num_tokens(self) -> int:
        """How many tokens it is trained on, padding not counted."""
        return self.phases[-1].until

    @property
    def num_steps(self) -> int:
        """About how many steps that takes."""
        starts = [0, *(phase.until for phase in self.phases)]
        return sum(
            (phase.until - start) // phase.tokens_per_batch
            for start, phase in zip(starts, self.phases, strict=False)
        )

    def phase_at(self, num_tokens: int) -> Phase:
        """Return the phase in which so many tokens have been seen."""
        return next((one for one in self.phases if num_tokens < one.until), self.phases[-1])


@dataclass(frozen=True)
class Step:
    """How far a run is."""

    index: int
    num_tokens: int
    """Tokens seen so far."""
    loss: float


@dataclass(frozen=True, eq=False)
class _Batch:
    ids: Int[Tensor, "batch pos"]
    counts: Bool[Tensor, "batch pos"]
    num_tokens: int


def new_base(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Make the untrained model: a small Qwen3."""
    torch.manual_seed(config.seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=config.feed_forward,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.width // 32,
            num_key_value_heads=config.width // 64,
            head_dim=32,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=_id(tokenizer, STOP),
            eos_token_id=_id(tokenizer, END),
            bos_token_id=None,
        )
    )


def pretrain(
    config: PretrainConfig, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> Iterator[Step]:
    """Train, one step for each turn of the loop; the finished model lies in `folder / "model"`.

    A checkpoint in the folder is taken up where it ended.
    """
    model = new_base(config, tokenizer)
    optimizers = _optimizers(model, config)
    state = resume(folder, model, optimizers)
    model.train()
    rank, _ = share()
    while state["tokens"] < config.num_tokens:
        for batch in _chunk(config, tokenizer, state)[state["batch"] :]:
            loss = _step(model, optimizers, batch, rate_at(config, state["tokens"], state["step"]))
            state["tokens"] += batch.num_tokens
            state["step"] += 1
            state["batch"] += 1
            if rank == 0 and state["step"] % config.steps_per_checkpoint == 0:
                save(folder, model, optimizers, state)
            yield Step(state["step"], state["tokens"], loss)
        state["chunk"] += 1
        state["batch"] = 0
        state["chunk_start"] = state["tokens"]
    if rank:
        return
    model.bfloat16().save_pretrained(folder / "model")
    (folder / "pretrain.json").write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")


def encode_counted(
    tokenizer: PreTrainedTokenizerFast,
    texts: list[Document],
    random: Random,
    share_of_others: float,
) -> list[tuple[list[int], list[bool]]]:
    """Turn documents into token ids, and whether each counts: all that the assistant says does."""
    encoded = tokenizer([render(text) for text in texts], add_special_tokens=False)["input_ids"]
    start, end = _id(tokenizer, START), _id(tokenizer, END)
    assistant = tokenizer("assistant", add_special_tokens=False)["input_ids"][0]
    rows = []
    for ids in encoded:
        counts = []
        is_reply = ids[0] != start
        for index, token in enumerate(ids):
            counts.append(is_reply or random.random() < share_of_others)
            if token == assistant and index and ids[index - 1] == start:
                is_reply = True
            elif token == end:
                is_reply = False
        rows.append((ids, counts))
    return rows


def _id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    index = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(index, int)
    return index


def _chunk(
    config: PretrainConfig, tokenizer: PreTrainedTokenizerFast, state: dict[str, int]
) -> list[_Batch]:
    random = Random(f"{config.seed}/{state['chunk']}")
    phase = config.phase_at(state["chunk_start"])
    mixture = _MIXTURES[phase.mixture]
    drawn = list(islice(documents(random.getrandbits(60), mixture), config.documents_per_chunk))
    rows = encode_counted(tokenizer, drawn, random, phase.share_of_others)
    rows.sort(key=lambda row: len(row[0]))
    groups: list[list[tuple[list[int], list[bool]]]] = [[]]
    for row in rows:
        if groups[-1] and len(row[0]) * (len(groups[-1]) + 1) > phase.tokens_per_batch:
            groups.append([])
        groups[-1].append(row)
    # What is left at the end of a chunk may be too few rows to be shared out.
    whole = [group for group in groups if len(group) >= _FEWEST_ROWS]
    batches = [_pad(group, _id(tokenizer, STOP)) for group in whole]
    random.shuffle(batches)
    return batches


def _pad(rows: list[tuple[list[int], list[bool]]], pad: int) -> _Batch:
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
    counts = torch.tensor([counts + [False] * (longest - len(counts)) for _, counts in rows])
    return _Batch(ids, counts, sum(len(ids) for ids, _ in rows))


def _step(
    model: Qwen3ForCausalLM, optimizers: list[torch.optim.Optimizer], batch: _Batch, rate: float
) -> float:
    rank, processes = share()
    ids, counts = batch.ids[rank::processes], batch.counts[rank::processes, 1:]
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    # Logits only where the loss counts: the vocabulary is the widest matrix of so small a model.
    logits = model.lm_head(hidden[counts])
    loss = nn.functional.cross_entropy(logits, ids[:, 1:][counts], reduction="sum")
    loss = loss / batch.counts[:, 1:].sum()
    loss.backward()
    if processes > 1:
        _add_gradients(model, loss.detach())
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _add_gradients(model: Qwen3ForCausalLM, loss: Tensor) -> None:
    """Add up the gradients of all processes, and their losses with them."""
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    parts = [*gradients, loss]
    flat = torch.cat([part.flatten() for part in parts])
    all_reduce(flat)
    for part, whole in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
        part.copy_(whole.view_as(part))


def rate_at(config: PretrainConfig, num_tokens: int, step: int) -> float:
    """Return the rate: up over the warm-up, then down in a line, and so again for each new fall."""
    start, end, share, reached = 0, config.num_tokens, 1.0, 0
    for phase in config.phases:
        if phase.anew is not None:
            if num_tokens < reached:
                end = reached
                break
            start, share = reached, phase.anew
        reached = phase.until
    left = share * (end - num_tokens) / (end - start)
    warm = min(1.0, (step + 1) / config.num_warmup_steps)
    return config.peak_rate * warm * max(left, 0.01)


def _optimizers(model: Qwen3ForCausalLM, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    matrices = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    chosen = {id(weight) for weight in matrices}
    rest = [weight for weight in model.parameters() if id(weight) not in chosen]
    muon = Muon(matrices, rate=config.peak_rate, momentum=0.95, weight_decay=config.weight_decay)
    return [muon, torch.optim.AdamW(rest, lr=config.peak_rate, betas=(0.9, 0.98), weight_decay=0.0)]
