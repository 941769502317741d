"""What is measured, and our run on it, ready for its first step."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen3Config

from activation_oracles.models.blocks import decoder_blocks
from activation_oracles.models.load import LanguageModel
from activation_oracles.tasks import store
from activation_oracles.training.config import Lora, TrainConfig
from activation_oracles.training.prepare import Run, prepare
from activation_oracles.world.load import load_demo
from training_step.mixture import Mixture

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")


def qwen(width: int, inner: int, blocks: int, heads: int, *, tied: bool = True) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=151936, hidden_size=width, intermediate_size=inner, num_hidden_layers=blocks,
        num_attention_heads=heads, num_key_value_heads=8, head_dim=128, tie_word_embeddings=tied,
    )  # fmt: skip


SMOL = LlamaConfig(
    vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
    num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
)  # fmt: skip
SHAPES: Mapping[str, PretrainedConfig | None] = {
    "demo": None,
    "135M": SMOL,
    "0.6B": qwen(1024, 3072, 28, 16),
    "4B": qwen(2560, 9728, 36, 32),
    "8B": qwen(4096, 12288, 36, 32, tied=False),
}
"""`demo` is the model that is shipped; the others are random, in bf16 on a GPU and else in fp32."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured."""

    shapes: tuple[str, ...] = tuple(SHAPES) if ON_GPU else ("demo", "135M")
    """Which of demo, 135M, 0.6B, 4B and 8B."""
    window: int | None = None
    """Batches whose texts we read together; by default 20, as published, but 3 where a large model
    runs on a CPU."""
    turns: int | None = None
    """Windows that each side learns from; by default 3, or 1 where a large model runs on a CPU."""
    batch_size: int = 16
    accumulate: int = 1
    """Parts in which we run a batch."""
    part_tokens: int | None = None
    """Or the tokens, padding included, in each of our parts."""
    gradient_checkpointing: bool = False
    """Whether we compute blocks again as well; the plain loop always does."""
    autocast: bool = ON_GPU
    """Whether our oracle's pass is in bf16, its fp32 adapter included."""
    memory: bool = True
    """Measure peak memory, in two more processes."""
    profile: bool = False
    """Print the operations that take most of our time, from one more step."""
    seed: int = 0

    def sized(self, shape: str) -> tuple[int, int]:
        small = ON_GPU or shape == "demo"
        return self.window or (20 if small else 3), self.turns or (3 if small else 1)


def build_model(shape: str, seed: int) -> LanguageModel:
    demo, config = load_demo().model, SHAPES[shape]
    if config is None:
        return demo
    torch.manual_seed(seed)
    with torch.device(DEVICE):
        dtype = torch.bfloat16 if ON_GPU else torch.float32
        network = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    # Its words are the first of a larger vocabulary, whose logits cost what they cost.
    return LanguageModel(network, demo.tokenizer, shape, decoder_blocks(network))


def prepared(setting: Setting, shape: str, folder: str) -> Run:
    """Return our run, ready for its first step, on examples that it has read from disk."""
    model = build_model(shape, setting.seed)
    window, turns = setting.sized(shape)
    manifest = store.Manifest(seed=setting.seed, command=__file__, tokenizer=model.tokenizer_hash)
    examples = Mixture(model, setting.seed).draw(setting.batch_size * window * turns)
    store.write(folder, {"train": examples}, manifest)
    config = TrainConfig(
        model=model.name, data=(folder,), output=f"{folder}/run", device=str(DEVICE),
        lora=Lora(dropout=0.0), batch_size=setting.batch_size, accumulate=setting.accumulate,
        part_tokens=setting.part_tokens, window=window, autocast=setting.autocast,
        seed=setting.seed, evaluate_examples=0,
        gradient_checkpointing=setting.gradient_checkpointing,
    )  # fmt: skip
    run = prepare(config, model)
    for name, parameter in run.parameters.items():
        # A fresh adapter changes nothing, and would hide most mistakes.
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.02)
    return run
