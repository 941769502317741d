"""Everything that decides a training run, with the published defaults (arXiv 2512.15674).

Building a config downloads nothing and touches no disk. The docstrings are also the `--help`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from activation_oracles.tasks.config import DataConfig
from activation_oracles.tasks.settings import Settings

MADE = "data"
"""Folder inside a run's own for examples that it makes."""

DECIDES_NOTHING = frozenset(
    {
        *("output", "resume", "log_every", "save_every", "evaluate_every", "evaluate_examples"),
        *("trackers", "store", "store_gib", "shard", "device_map", "ahead"),
    }
)
"""Fields that may differ between a run and its continuation: they leave the weights alone, those of
the store, `shard` and `device_map` to rounding."""


ALL = "all-linear"


class Lora(Settings):
    """The adapter that is trained."""

    rank: int = Field(default=64, ge=1)
    """Rank of each update."""
    alpha: float = Field(default=128, gt=0)
    """Updates are scaled by alpha / rank."""
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """On the adapter's input. 0 is faster, by a third where rank is near the model's width."""
    layers: str | tuple[str, ...] = ALL
    """Names of the layers it adapts; `all-linear` is every linear layer inside the text blocks."""
    blocks: tuple[int, ...] | None = None
    """In which blocks, counted from 0; in all by default. A few behind the one that vectors are
    written after can turn them into what words leave there, and leave the rest to the base."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names in `layers`, be they one or several."""
        return (self.layers,) if isinstance(self.layers, str) else self.layers


class Practice(Settings):
    """Learning from the oracle's own answers, by what they are worth."""

    samples: int = Field(default=0, ge=0)
    """Answers that are drawn to each question, and compared with each other: two or more. At 0 the
    oracle learns from the true answers instead."""
    temperature: float = Field(default=1.0, gt=0)
    max_new_tokens: int = Field(default=20, ge=1)
    """Length at which an answer is cut."""
    wrong: float = Field(default=1.0, ge=0)
    """What a wrong answer costs; a right one earns 1."""
    abstained: float = Field(default=0.2, ge=-1, le=1)
    """What saying that it cannot tell earns, where there was something to tell. An oracle that is
    right with probability p does best to answer where p - (1 - p) wrong is more than this."""
    grade: Literal["exact", "contains", "yes_no", "token_f1"] = "exact"
    """The rule that says how right an answer is, by its name in `evals.grade`."""
    closeness: float = Field(default=0.05, ge=0)
    """How much each token's divergence from the oracle that it started as costs."""


class Grounding(Settings):
    """Holding what an oracle makes of vectors to what its base makes of the words they stand for.

    Behind the slots, the bare model's stream with those words in their place is the aim: what reads
    slots like words can be asked whatever the base can be asked of words, also what no example
    asks.
    """

    weight: float = Field(default=0.0, ge=0)
    """Times the mean, over all examples of a batch, of how far both streams are apart: the squared
    distance in squared lengths of the aim, over the tokens from the first slot on. 0 does
    without."""
    tasks: tuple[str, ...] = ()
    """Whose examples are held, by a task's name or what stands before its slash; by default all
    tasks'. Leave out those whose answers are not in the words that are shown."""
    slots: int = Field(default=8, ge=1)
    """Held are examples of one layer that show so many tokens or more, one behind the other."""
    block: int | None = Field(default=None, ge=0)
    """After which block; by default the last one that the adapter changes."""


class Noise(Settings):
    """Random directions added to readings in training: streams of other models are unlike these."""

    share: float = Field(default=0.0, ge=0, le=1)
    """Of all times that a reading is shown: how often noise is added to it. 0 does without."""
    strength: float = Field(default=1.0, gt=0)
    """The most that is added, in lengths of each vector; how much is drawn evenly, up to that."""


class TrainConfig(Settings):
    """A training run: which model, on which examples, how."""

    model: str
    """Hub id or folder of the model that is both read (adapter off) and trained as the oracle."""
    data: tuple[str, ...] = ()
    """Folders made by `ao data build`, or .jsonl or .parquet files of examples; all are trained on
    together."""
    mixture: DataConfig | None = None
    """What examples are made of where `data` names none: they go into `data` inside `output`."""
    start: str | None = None
    """Folder or hub id of an oracle of this model to learn on from; by default a fresh adapter.
    `lora` and the injection must be as they were for it."""
    practice: Practice = Practice()
    """With `samples`, learn from the oracle's own answers, graded against the true ones, and not
    from those; wants a `start` that answers already."""
    grounding: Grounding = Grounding()
    """With a `weight`, learn to read slots like words, beside answering."""
    noise: Noise = Noise()
    """With a `share`, show some readings with noise; words that slots are held to have none."""
    output: str
    """Folder for the oracle, its settings, metrics and checkpoints."""
    resume: bool = False
    """Go on from the last checkpoint in `output`, to the same weights as an uninterrupted run."""

    lora: Lora = Lora()
    placeholder: str | None = None
    """Text of the single token that vectors are written over; by default the published ` ?`, or
    the first of a few others that is one token for this model."""
    header: Literal["percent"] | None = None
    """What the prompt calls a layer: `percent`, its depth, which says the same of a deeper model;
    by default, as published, its block's number."""
    injection_block: int = Field(default=1, ge=0)
    """Block of the oracle after which vectors are written in."""
    strength: float = Field(default=1.0, gt=0)
    """How strongly, in norms of what they are added to."""
    injection_mode: Literal["add", "replace"] = "add"
    """Add vectors to the stream, or put them in its place. Replacing was published first and given
    up: norms grew in training."""

    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak rate. 1e-5 suits billions of parameters; models under ten million want about 1e-3."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of all steps over which the rate rises from 0; then it falls to 0, both in a line."""
    batch_size: int = Field(default=16, ge=1)
    """Examples in one optimizer step, over all processes and parts."""
    accumulate: int = Field(default=1, ge=1)
    """Parts in which each process runs its share of a batch: the same step in less memory."""
    part_tokens: int | None = Field(default=None, ge=1)
    """Or parts of at most so many tokens, padding included, cut where that leaves least to compute.
    A longer example is a part of its own."""
    epochs: int = Field(default=1, ge=1)
    """Passes over the examples, each in another order."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many steps, with the schedule fitted to them."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients longer than this are shortened to it."""
    seed: int = Field(default=42, ge=0)
    """Decides initial weights, the order of examples, and dropout."""
    window: int = Field(default=20, ge=1)
    """Batches whose texts are read together, and within which like lengths are grouped."""
    store: str | None = None
    """Folder that keeps what is read, for further epochs, runs and evaluations of one target; texts
    it holds are not read again. By default nothing is kept."""
    store_gib: float | None = Field(default=None, gt=0)
    """How large that folder may grow; a run that would need more is refused before it starts."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the base model; the adapter stays in fp32. Half-precision fp16 gradients underflow."""
    quantize: Literal["8bit", "4bit"] | None = None
    """Base weights in 8 or 4 bits, through bitsandbytes, on each device whole; the adapter stays in
    fp32."""
    shard: bool = False
    """Share the base weights out over processes (FSDP2), for models that one device cannot hold.
    Each block is gathered when it runs: slower, and all processes read and answer in step."""
    device: str | None = None
    """As `cpu` or `cuda:0`; a GPU where there is one, by default."""
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = None
    """Instead of a device: one process spreads the model over all that there are, block after
    block."""
    attention: str | None = None
    """transformers' attention implementation; by default the architecture's own."""
    autocast: bool = False
    """Compute the oracle's pass in bf16, also on a CPU; texts are always read in `dtype`."""
    gradient_checkpointing: bool = False
    """Compute blocks again in the backward pass: a third slower, far less memory."""
    compile: bool = False
    """Compile the oracle's blocks with torch.compile: the same step to rounding, after a wait."""

    ahead: int | None = Field(default=None, ge=0)
    """Batches whose prompts a thread writes before they are needed; 0 is no thread. By default 8 on
    a GPU and none on a CPU, which the thread would only share."""

    evaluate_every: int = Field(default=1000, ge=1)
    """Steps between evaluations on the held-out examples; one more comes at the end."""
    evaluate_examples: int = Field(default=100, ge=0)
    """Held-out examples of each task in an evaluation; 0 evaluates nothing."""
    save_every: int = Field(default=1000, ge=1)
    """Steps between checkpoints."""
    log_every: int = Field(default=10, ge=1)
    """Steps between lines in metrics.jsonl."""
    trackers: tuple[str, ...] = ()
    """Where else the figures of metrics.jsonl go: tensorboard, trackio, wandb."""

    @model_validator(mode="after")
    def _has_data(self) -> "TrainConfig":
        if bool(self.data) == (self.mixture is not None):
            raise ValueError("give `data`, folders of examples, or a `mixture` to make them of")
        return self

    @model_validator(mode="after")
    def _cut_one_way(self) -> "TrainConfig":
        if self.part_tokens is not None and self.accumulate > 1:
            raise ValueError("batches are cut by `accumulate` or by `part_tokens`, not by both")
        return self

    @model_validator(mode="after")
    def _grounds_where_it_can(self) -> "TrainConfig":
        if self.grounding.weight and (self.practice.samples or self.shard):
            raise ValueError(
                "`grounding` goes with true answers on whole models: without `practice` or `shard`"
            )
        return self

    @model_validator(mode="after")
    def _compiles_in_one_place(self) -> "TrainConfig":
        if self.compile and self.device_map is not None:
            raise ValueError(
                "`compile` takes a model on one device, not one spread by `device_map`"
            )
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the examples lie, or will: folders and files."""
        return self.data or (str(Path(self.output) / MADE),)

    def deciding(self) -> dict[str, Any]:
        """Return the settings on which the final weights depend, flat, by dotted name."""
        values = self.model_dump(mode="json", exclude=set(DECIDES_NOTHING))
        nested = values.pop("lora")
        return {**values, **{f"lora.{name}": value for name, value in nested.items()}}

    @classmethod
    def usual(cls) -> dict[str, Any]:
        """Return the defaults of these settings: what a run from before one of them was new had."""
        return cls(model="any", data=("any",), output="any").deciding()


def rate_at(config: TrainConfig, step: int, num_steps: int) -> float:
    """Return the learning rate of a step, counted from 0: up over the warm-up, then down to 0.

    The published schedule to the letter, so the very first step moves nothing.
    """
    warmup = int(num_steps * config.warmup)
    if step < warmup:
        return config.learning_rate * step / warmup
    return config.learning_rate * max(0, num_steps - step) / max(1, num_steps - warmup)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others laid over them, nested ones one by one."""
    result = dict(below)
    for name, value in above.items():
        held = result.get(name)
        if isinstance(held, Mapping) and isinstance(value, Mapping):
            result[name] = merged(held, value)
        else:
            result[name] = value
    return result
