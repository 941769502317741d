"""Asking: many questions in one call beside one query at a time, on the same model.

The plain way is what the published `run_oracle` does for a query: the text is read, up to the layer
and no further, then the adapter is switched on, and there come a prompt, a hook that adds the
vectors, and `generate`. `--given` leaves reading out on both sides: activations are at hand, and
the adapter is switched on once. How many answers are equal is printed. Both take turns, and medians
are compared: CPU seconds of one thread, or the GPU's wall clock.

The limit is arithmetic: how many times fewer operations ours needs, times how much faster than the
plain way's rate this machine multiplies matrices of the model's width at its best. What is measured
falls short of it by what is no such product: attention, norms, copies of the cache, Python.
"""

import argparse
import time
from collections.abc import Callable, Iterable
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
from activation_oracles.models.read import read
from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Decoding
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Activations
from activation_oracles.world.demo import USER_SAYS
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
    target: Target
    chat: list[dict[str, str]]
    layers: tuple[int, ...]
    """Several: every token of every layer is shown for itself. One: all of them together."""
    questions: tuple[str, ...]

    def read(self) -> list[Activations]:
        whole = self.target.read(self.chat, layers=self.layers, positions="all")
        return [whole[at] for at in range(len(whole))] if len(self.layers) > 1 else [whole]


def works(device: str) -> list[Work]:
    """Return a sweep over one turn, and twenty questions about it and about a dialogue of three."""
    demo = load_demo()
    target = demo.target("taboo_moon")
    turn, dialogue = (talk(target, said) for said in (["Give me a clear hint."], USER_SAYS))
    large = random_llama(demo.model.tokenizer, device)
    found: list[Work] = []
    for name, oracle, subject in (
        ("village, 1.9M, trained", demo.oracle, target),
        ("random Llama, 110M", large, Target(large.model)),
    ):
        layers = oracle.card.trained_layers
        middle = (layers[len(layers) // 2],)
        for job, chat, at, questions in (
            ("sweep", turn, layers, QUESTIONS[:1]),
            ("20 questions", turn, middle, QUESTIONS),
            ("20 questions on a dialogue", dialogue, middle, QUESTIONS),
        ):
            found.append(Work(f"{name}: {job}", oracle, subject, chat, at, questions))
    return found


def talk(target: Target, said: Iterable[str]) -> list[dict[str, str]]:
    """Return what a user says, each turn answered by the target."""
    chat: list[dict[str, str]] = []
    for line in said:
        chat.append({"role": "user", "content": line})
        chat.append({"role": "assistant", "content": target.generate(chat).strip()})
    return chat


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


def ask_plainly(work: Work, readings: list[Activations], *, given: bool) -> list[str]:
    """Answer one query after the other."""
    model, adapter = work.oracle.model, work.oracle.adapter
    pairs = [(one, question) for one in readings for question in work.questions]
    if given:
        with model.using(adapter):
            return [ask_one(work.oracle, one, one.vectors, question) for one, question in pairs]
    said: list[str] = []
    for one, question in pairs:
        vectors = read_one(work.target, one)
        with model.using(adapter):
            said.append(ask_one(work.oracle, one, vectors, question))
    return said


def read_one(target: Target, wanted: Activations) -> Tensor:
    """Read once more what a reading holds, up to its layer."""
    model, [layer] = target.model, set(wanted.layers)
    ids = torch.tensor([wanted.token_ids], device=model.device)
    with model.using(target.adapter):
        streams = read(model.network, model.blocks, ids, None, layers=[layer])
    return streams[layer][0, list(wanted.positions)]


@torch.no_grad()
def ask_one(oracle: Oracle, shown: Activations, vectors: Tensor, question: str) -> str:
    """Answer one query, under the adapter that is switched on."""
    model, card = oracle.model, oracle.card
    network: Any = model.network
    tokenizer: Any = model.tokenizer
    template = card.template(model)
    settings = model.decoding(NEW_TOKENS)
    ends = settings.eos_token_id
    held = ends if isinstance(ends, list) else []
    settings.eos_token_id = sorted({*held, *template.stop_ids})
    prompt = template.build(tuple(dict.fromkeys(shown.layers)), len(shown), question)
    ids = torch.tensor([prompt.ids[: prompt.answer_start]], device=model.device)
    hook = Adding(prompt.slots, vectors.to(model.device))
    handle = model.blocks.stack[card.block].register_forward_hook(hook)
    new = network.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
    )
    handle.remove()
    text: str = tokenizer.decode(new[0, ids.shape[1] :], skip_special_tokens=True)
    return text.strip()


def ask_together(work: Work, readings: list[Activations], *, given: bool) -> list[str]:
    """Answer all queries in one call."""
    how = Decoding(max_new_tokens=NEW_TOKENS)
    shown = readings if given else work.read()
    rows = work.oracle.ask(shown, list(work.questions), decoding=how)
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


def compare(work: Work, device: str, turns: int, *, given: bool) -> None:
    on_gpu = device != "cpu"
    readings = work.read()
    ways = [partial(way, work, readings, given=given) for way in (ask_plainly, ask_together)]
    (theirs, plainly), (ours, together) = (counted(way) for way in ways)
    equal = sum(one == other for one, other in zip(ours, theirs, strict=True))
    times = [[seconds(way, on_gpu=on_gpu) for way in ways] for _ in range(turns)]
    plain, fast = (median(one) for one in zip(*times, strict=True))
    rate = best_rate(work.oracle.model.width, device)
    count, fewer, faster = len(theirs), plainly / together, rate * plain / plainly
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
    parser.add_argument("--given", action="store_true")
    chosen = parser.parse_args()
    for work in works(chosen.device):
        compare(work, chosen.device, chosen.turns, given=chosen.given)
    if chosen.device != "cpu":
        print(torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
