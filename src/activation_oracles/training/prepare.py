"""Everything a run needs, made and checked before its first step: data, model, oracle, order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import set_seed
from peft import LoraConfig
from torch import nn

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.models.load import How, LanguageModel, load
from activation_oracles.models.sharding import is_sharded, load_sharded
from activation_oracles.models.target import Target
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.oracle.prompt import PUBLISHED_PREFIX, RELATIVE_PREFIX
from activation_oracles.tasks import store
from activation_oracles.tasks.rows import Rows, joined
from activation_oracles.training.config import ALL, TrainConfig
from activation_oracles.training.evaluate import choose
from activation_oracles.training.grounding import check_grounding
from activation_oracles.training.mixture import check_blocks, check_layers, make_data
from activation_oracles.training.order import windows
from activation_oracles.training.slots import Slots, fill
from activation_oracles.training.starting import hash_of, named, started
from activation_oracles.training.survey import Survey, survey
from activation_oracles.types import Example

SETTINGS = "config.yaml"
HALF = torch.float16


@dataclass(frozen=True, eq=False)
class Run:
    """A training run, ready for its first step."""

    config: TrainConfig
    output: Path
    oracle: Oracle
    teacher: Oracle | None
    """The oracle that it began as, where it did not begin fresh; it never changes."""
    slots: Slots
    """What fills the slots: readings of the same network with no adapter, or what stands in."""
    examples: Sequence[Example]
    known: Survey
    held_out: Sequence[Example]
    """What it is evaluated on."""
    parameters: dict[str, nn.Parameter]
    """What is trained, by name."""
    identity: dict[str, Any]
    """What must be equal for a run to be continued: settings, data, base weights."""

    @property
    def settings(self) -> TrainConfig:
        """The settings that repeat this run from its start."""
        return self.config.model_copy(update={"resume": False})

    @property
    def num_steps(self) -> int:
        """Optimizer steps in the whole run."""
        in_all = self.config.epochs * (len(self.examples) // self.config.batch_size)
        return min(in_all, self.config.max_steps or in_all)

    def windows(self, epoch: int) -> Iterator[list[list[int]]]:
        """Yield an epoch's batches of example indices, by window."""
        return windows(
            self.known.lengths,
            self.known.texts,
            batch_size=self.config.batch_size,
            window=self.config.window,
            seed=self.config.seed,
            epoch=epoch,
        )


def prepare(config: TrainConfig, model: LanguageModel | None = None) -> Run:
    """Load and check everything; the data and the folder before the model, as they fail faster.

    Args:
        config: the settings.
        model: the model, where it is loaded already; it must be the one that the settings name.

    Raises:
        ConfigError: settings that do not fit together, or an output folder that is in use.
        DataError: the data cannot be read, or are too few.
        MismatchError: the data were made for another model.
    """
    # Without being told, it takes several processes without a GPU for as many runs of their own.
    processes = PartialState(cpu=config.device == "cpu" or not torch.accelerator.is_available())
    parts = processes.num_processes * config.accumulate
    if config.batch_size % parts:
        raise ConfigError(
            f"batch_size {config.batch_size} cannot be shared out evenly over "
            f"{processes.num_processes} processes x accumulate {config.accumulate}."
        )
    if config.practice.samples == 1 or (config.practice.samples and config.start is None):
        raise ConfigError(
            "Practice compares two or more of the oracle's own answers: set practice.samples to 2 "
            "or more, and name an oracle that answers already as `start`."
        )
    _check_output(config)
    make_data(config, model)
    examples = _read(config, "train")
    if len(examples) < config.batch_size:
        raise DataError(
            f"{len(examples)} training examples do not fill one batch of {config.batch_size}."
        )
    held_out = choose(_read(config, "held_out"), config.evaluate_examples, config.seed)
    if model is None:
        model = _load(config)
    check_blocks(config, model.num_layers)
    check_layers(config, model.network)
    check_grounding(config, model.num_layers, examples)
    known, of_held_out = (survey(some, model.tokenizer) for some in (examples, held_out))
    for some in (known, of_held_out):
        _check_data(config, model, some)
    slots = fill(config, Target(model), examples, (known, of_held_out))
    # The same first weights on every process, then different dropout.
    set_seed(config.seed)
    oracle = Oracle.new(
        model, _card(config, model, known), _lora(config, model), adapter=_free(model)
    )
    teacher = None if config.start is None else started(config.start, oracle, _free(model))
    set_seed(config.seed + 1 + processes.process_index)
    return Run(
        config=config,
        output=Path(config.output),
        oracle=oracle,
        teacher=teacher,
        slots=slots,
        examples=examples,
        known=known,
        held_out=held_out,
        parameters=named(model, oracle.adapter),
        identity={
            **config.deciding(),
            "data": [store.fingerprint(source) for source in config.sources],
            "model": model.fingerprint,
            **slots.identity,
            **({} if teacher is None else {"start": hash_of(teacher)}),
        },
    )


def _load(config: TrainConfig) -> LanguageModel:
    processes = PartialState()
    how: How = {
        "dtype": config.dtype,
        "attention": config.attention,
        "quantize": config.quantize,
    }
    if config.device_map is not None:
        if processes.num_processes > 1 or config.shard:
            raise ConfigError(
                "device_map spreads the model over the devices of one process. Start one, without "
                "`shard`; or leave it out, and set `shard` to share the model out over processes."
            )
        how["device_map"] = config.device_map
    if config.shard:
        assert processes.device is not None
        return load_sharded(config.model, processes.device, **how)
    how["device"] = config.device
    if config.device is None and processes.num_processes > 1:
        how["device"] = str(processes.device)
    return load(config.model, **how)


def _check_output(config: TrainConfig) -> None:
    if (Path(config.output) / SETTINGS).exists() and not config.resume:
        raise ConfigError(
            f"{config.output} holds a run already. Continue it with `resume`, or name another."
        )


def _read(config: TrainConfig, split: store.Split) -> Rows:
    return joined([store.read(source, split) for source in config.sources])


def _check_data(config: TrainConfig, model: LanguageModel, known: Survey) -> None:
    """Refuse data of another model: ids would mean other words, layers other depths."""
    if model.network.dtype == HALF:
        raise ConfigError(
            f"{model.name!r} is in fp16, where gradients underflow. Set dtype to bfloat16 or "
            "float32."
        )
    if config.shard and not is_sharded(model):
        raise ConfigError(
            "shard is set, but the model that was handed over lies whole in each process. Load it "
            "with `load_sharded`, or leave the setting out."
        )
    if config.quantize not in (None, model.quantization):
        raise ConfigError(
            f"quantize is {config.quantize}, but the model that was handed over is quantised as "
            f"{model.quantization}. Load it with `quantize`, or leave the setting out."
        )
    for source in config.sources:
        if Path(source).is_dir():
            made_with = store.read_manifest(source)["tokenizer"]
            if made_with != model.tokenizer_hash:
                raise MismatchError(
                    f"{source} was made with another tokenizer ({made_with}) than that of "
                    f"{model.name!r} ({model.tokenizer_hash}). Build it again for this model."
                )
    deepest, highest = max(map(max, known.layers), default=0), known.highest_token
    vocabulary = model.network.config.get_text_config(decoder=True).vocab_size
    if deepest >= model.num_layers or highest >= vocabulary:
        raise MismatchError(
            f"The data read layer {deepest} and hold token {highest}; {model.name!r} has "
            f"{model.num_layers} layers and {vocabulary} tokens. Build the data for this model."
        )


def _card(config: TrainConfig, model: LanguageModel, known: Survey) -> Card:
    bare = Card.for_model(
        model,
        placeholder=config.placeholder,
        prefix=RELATIVE_PREFIX if config.header == "percent" else PUBLISHED_PREFIX,
        block=config.injection_block,
        strength=config.strength,
        mode=config.injection_mode,
    )
    shown = {"layers": known.layers, "drawn_set_sizes": known.drawn_set_sizes}
    return bare.model_copy(update={**shown, "percents": ()})


def _lora(config: TrainConfig, model: LanguageModel) -> LoraConfig:
    lora = config.lora
    some = None if lora.blocks is None else sorted(set(lora.blocks))
    made = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=lora.dropout,
        target_modules=ALL if lora.layers == ALL else list(lora.names),
        bias="none",
        task_type="CAUSAL_LM",
    )
    if some is not None:
        # Afterwards: PEFT takes blocks with names only, and `all-linear` becomes names where it is
        # put into the model. The pattern, because experts are numbered too.
        made.layers_to_transform = some
        made.layers_pattern = model.blocks.path.rpartition(".")[2]
    return made


def _free(model: LanguageModel) -> str:
    """Return an adapter name that is free, and leaves `oracle` to whoever loads the result."""
    taken = model.adapters.names
    return next(name for n in range(len(taken) + 1) if (name := f"learner{n}") not in taken)
