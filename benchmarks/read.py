"""Reading activations: `Target.vectors` beside a full forward with `output_hidden_states`.

Both run in one process, by turns, on one random model and the same texts. The arithmetic limit is
what skipping blocks and padding alone can give: (blocks x padded tokens) of the one way over the
other; the output layer, which only the full forward runs, comes on top. Times are CPU seconds.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from activation_oracles.models.blocks import decoder_blocks
from activation_oracles.models.load import LanguageModel
from activation_oracles.models.target import Target
from activation_oracles.types import Example

VOCABULARY = 4096


@dataclass(frozen=True)
class Setting:
    """What is read."""

    num_layers: int = 16
    width: int = 128
    layer: int = 4
    """The published 25 % of the depth."""
    num_texts: int = 64
    longest: int = 256
    rows: int = 16
    """Texts in one batch of the full forward, in the order they come."""
    repeats: int = 3


def build_model(setting: Setting) -> LanguageModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=setting.width,
        intermediate_size=3 * setting.width,
        num_hidden_layers=setting.num_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    network = LlamaForCausalLM(config).eval()
    words = {f"w{index}": index for index in range(VOCABULARY)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w0")), pad_token="w0"
    )
    return LanguageModel(network, tokenizer, "random", decoder_blocks(network))


def draw_examples(setting: Setting) -> list[Example]:
    random = Random(0)
    examples: list[Example] = []
    for index in range(setting.num_texts):
        length = random.randint(8, setting.longest)
        context = tuple(random.randrange(VOCABULARY) for _ in range(length))
        positions = tuple(range(length - 5, length))
        examples.append(
            Example(context, positions, (setting.layer,), "?", "", "benchmark", str(index))
        )
    return examples


def read_in_full(
    model: LanguageModel, examples: Sequence[Example], setting: Setting
) -> list[Tensor]:
    found: list[Tensor] = []
    for start in range(0, len(examples), setting.rows):
        batch = examples[start : start + setting.rows]
        longest = max(len(example.context) for example in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, example in enumerate(batch):
            ids[row, : len(example.context)] = torch.tensor(example.context)
            mask[row, : len(example.context)] = 1
        with torch.no_grad():
            output = model.network(
                input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False
            )
        states = output.hidden_states[setting.layer + 1]
        found += [states[row, list(example.positions)] for row, example in enumerate(batch)]
    return found


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def padded_tokens(lengths: Sequence[int], rows: int) -> int:
    batches = [lengths[start : start + rows] for start in range(0, len(lengths), rows)]
    return sum(len(batch) * max(batch) for batch in batches)


def main() -> None:
    setting = Setting()
    model, examples = build_model(setting), draw_examples(setting)
    target = Target(model)
    ours, theirs = target.vectors(examples), read_in_full(model, examples, setting)
    furthest = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
    assert furthest < 1e-4, f"the two ways disagree by {furthest}"
    fast, full = [], []
    for _ in range(setting.repeats):
        full.append(seconds(lambda: read_in_full(model, examples, setting)))
        fast.append(seconds(lambda: target.vectors(examples)))
    lengths = [len(example.context) for example in examples]
    blocks = (setting.layer + 1) / setting.num_layers
    tokens = sum(lengths) / padded_tokens(lengths, setting.rows)
    ratio = statistics.median(full) / statistics.median(fast)
    print(f"{setting.num_texts} texts, {sum(lengths)} tokens, {torch.get_num_threads()} thread(s)")
    print(f"full forward, output_hidden_states  {statistics.median(full):.2f} CPU s")
    print(f"Target.vectors, layer {setting.layer}             {statistics.median(fast):.2f} CPU s")
    print(f"ratio {ratio:.1f}; the two ways differ by at most {furthest:.0e}")
    print(
        f"arithmetic limit {1 / (blocks * tokens):.1f}: blocks run {setting.layer + 1} of "
        f"{setting.num_layers}, real tokens {tokens:.0%} of padded ones"
    )


if __name__ == "__main__":
    main()
