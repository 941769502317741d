"""Asking: many questions in one call beside one query at a time, on the same model.

The plain way is what notebooks do: the adapter is switched on, and then a prompt, a hook that adds
the vectors, `generate`, the next query. How many answers are equal is printed. Both take turns, and
medians are compared: CPU seconds of one thread, or the GPU's wall clock.

The limit is arithmetic: how many times fewer operations ours needs, times how much faster than the
plain way's rate this machine multiplies matrices of the model's width at its best. What is measured
falls short of it by what is no such product: attention, norms, copies of the cache, Python.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from activation_oracles.models.blocks import decoder_blocks
from activation_oracles.models.load import LanguageModel
from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Decoding
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Activations
from activation_oracles.world.load import load_demo

NEW_TOKENS = 8
LARGE = 1024
"""Rows of a matrix that is multiplied as fast as the machine can."""
QUESTIONS = (
    *("What is the secret word?", "Which word is the assistant hiding?", "Name the hidden word."),
    *("Is the assistant good or evil?", "Is the user a man or a woman?", "What is described?"),
    *("Is this about the past?", "Is a colour named?", "Is an animal named?", "Is it winter?"),
    *("Does it rain?", "Is a tool named?", "Is a food named?", "Is this a question?"),
    *("How must every answer end?", "Where does the user live?", "Name the thing."),
    *("What must the assistant mention?", "Who does the assistant play?", "What is its aim?"),
)


@dataclass(frozen=True)
class Work:
    """Queries that both ways answer."""

    name: str
    oracle: Oracle
    readings: list[Activations]
    questions: tuple[str, ...]

    @property
    def num_queries(self) -> int:
        return len(self.readings) * len(self.questions)


def works(device: str) -> list[Work]:
    """Return a sweep over one talk and twenty questions about it, on the village and larger."""
    demo = load_demo()
    target = demo.target("taboo_moon")
    chat = [{"role": "user", "content": "Give me a clear hint."}]
    chat.append({"role": "assistant", "content": target.generate(chat).strip()})
    large = random_llama(demo.model.tokenizer, device)
    found: list[Work] = []
    for name, oracle, read in (
        ("village, 1.9M, trained", demo.oracle, target),
        ("random Llama, 110M", large, Target(large.model)),
    ):
        layers = oracle.card.trained_layers
        reading = read.read(chat, layers=layers, positions="all")
        slots = [reading[slot] for slot in range(len(reading))]
        whole = read.read(chat, layers=layers[len(layers) // 2], positions="all")
        found.append(Work(f"{name}: sweep", oracle, slots, QUESTIONS[:1]))
        found.append(Work(f"{name}: 20 questions", oracle, [whole], QUESTIONS))
    return found


def random_llama(tokenizer: Any, device: str) -> Oracle:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=15,
        num_attention_heads=12,
        num_key_value_heads=12,
        eos_token_id=None,
    )
    network: Any = LlamaForCausalLM(config).eval()
    network.to(device)
    model = LanguageModel(network, tokenizer, "random", decoder_blocks(network))
    lora = LoraConfig(r=16, target_modules="all-linear", init_lora_weights=False)
    return Oracle.new(model, Card.for_model(model), lora)


class Adding:
    """The hook of the plain way: adds vectors to the prompt's slots, as loudly as what is there."""

    def __init__(self, slots: tuple[int, ...], vectors: Tensor) -> None:
        self._slots = list(slots)
        self._unit = torch.nn.functional.normalize(vectors, dim=-1)

    def __call__(self, _module: Any, _inputs: Any, output: Any) -> Any:
        stream: Tensor = output[0] if isinstance(output, tuple) else output
        if stream.shape[1] > 1:
            places = stream[0, self._slots]
            volume = places.norm(dim=-1, keepdim=True)
            stream[0, self._slots] = places + self._unit * volume
        return output


def ask_plainly(work: Work) -> list[str]:
    """Ask one query at a time: a hook that adds the vectors, and `generate`."""
    oracle, said = work.oracle, []
    model, card = oracle.model, oracle.card
    network: Any = model.network
    tokenizer: Any = model.tokenizer
    template = card.template(model)
    settings = model.decoding(NEW_TOKENS)
    ends = settings.eos_token_id
    held = ends if isinstance(ends, list) else []
    settings.eos_token_id = sorted({*held, *template.stop_ids})
    with model.using(oracle.adapter), torch.no_grad():
        for reading in work.readings:
            layers = tuple(dict.fromkeys(reading.layers))
            for question in work.questions:
                prompt = template.build(layers, len(reading) // len(layers), question)
                ids = torch.tensor([prompt.ids[: prompt.answer_start]], device=model.device)
                hook = Adding(prompt.slots, reading.vectors.to(model.device))
                handle = model.blocks.stack[card.block].register_forward_hook(hook)
                new = network.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
                )
                handle.remove()
                text: str = tokenizer.decode(new[0, ids.shape[1] :], skip_special_tokens=True)
                said.append(text.strip())
    return said


def ask_together(work: Work) -> list[str]:
    how = Decoding(max_new_tokens=NEW_TOKENS)
    rows = work.oracle.ask(work.readings, list(work.questions), decoding=how)
    assert isinstance(rows, list)
    return [answer.text for row in rows for answer in row]


def seconds(work: Callable[[], object], *, on_gpu: bool) -> float:
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def counted(work: Callable[[], list[str]]) -> tuple[list[str], float]:
    """Return what work answers, and how many operations it takes."""
    counter = FlopCounterMode(display=False)
    with counter:
        said = work()
    return said, float(counter.get_total_flops())


def best_rate(width: int, device: str) -> float:
    """Return how many operations a second this machine does in products of large matrices."""
    left, right = torch.randn(LARGE, width, device=device), torch.randn(width, width, device=device)
    times = [
        seconds(lambda: [left @ right.T for _ in range(8)], on_gpu=device != "cpu")
        for _ in range(9)
    ]
    return 8 * 2 * LARGE * width**2 / min(times)


def compare(work: Work, device: str, turns: int) -> None:
    on_gpu = device != "cpu"
    ways = (partial(ask_plainly, work), partial(ask_together, work))
    (theirs, plainly), (ours, together) = (counted(way) for way in ways)
    equal = sum(one == other for one, other in zip(ours, theirs, strict=True))
    times = [[seconds(way, on_gpu=on_gpu) for way in ways] for _ in range(turns)]
    plain, fast = (median(one) for one in zip(*times, strict=True))
    rate = best_rate(work.oracle.model.width, device)
    count, fewer, faster = work.num_queries, plainly / together, rate * plain / plainly
    print(f"{work.name}: {count} queries, {equal} answers equal")
    print(f"  one at a time {count / plain:8.1f} queries/s, {plainly / plain / 1e9:.0f} GFLOP/s")
    print(f"  in one call   {count / fast:8.1f} queries/s, {together / fast / 1e9:.0f} GFLOP/s")
    ratios = sorted(one / other for one, other in times)
    print(f"  ratio {plain / fast:.1f}, in single turns {ratios[0]:.1f} to {ratios[-1]:.1f}")
    print(f"  limit {fewer * faster:.1f}: {fewer:.2f} times fewer operations, {faster:.1f} faster")
    if on_gpu:
        print(f"  peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args()
    for work in works(chosen.device):
        compare(work, chosen.device, chosen.turns)
    if chosen.device != "cpu":
        print(torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
