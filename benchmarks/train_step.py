"""A training step: this trainer beside a plain implementation of the published loop.

Both learn from the same batches in one process, by turns, on one network with an adapter each that
starts from the same weights. Loss and gradient norm must agree in every timed step; dropout is off,
as no two ways of padding could draw the same. The plain loop reads a text again for every question,
padded on the left to the batch's longest; computes blocks again in the backward pass, and logits
for every token and word; writes vectors example by example. It is spared what it could do without:
prompts are tokenized beforehand, and reading stops after the deepest layer.

The mixture has the published shares, sharing of texts and windows over random words. The limit is
what the algorithm needs (each text read once, no padding, logits where there is a label) at the
rate at which this machine multiplies matrices. Times are CPU seconds on a CPU. Peak memory is that
of the longest batch, each side in a process of its own: resident on a CPU, allocated on a GPU.

One file, though a long one, so that both loops and what they are given are read side by side.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import torch
import tyro
from peft import LoraConfig
from torch import Tensor, nn
from torch.profiler import profile
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen3Config

from activation_oracles.models.blocks import decoder_blocks, residual
from activation_oracles.models.load import LanguageModel
from activation_oracles.models.read import read
from activation_oracles.oracle.collate import IGNORED
from activation_oracles.oracle.prompt import Prompt
from activation_oracles.tasks import store
from activation_oracles.training import loop
from activation_oracles.training.ahead import working_ahead
from activation_oracles.training.config import Lora, TrainConfig
from activation_oracles.training.merging import merging
from activation_oracles.training.parts import Share, lay_out
from activation_oracles.training.preflight import longest
from activation_oracles.training.prepare import Run, prepare
from activation_oracles.training.readahead import Vectors, depth, shares
from activation_oracles.training.readahead import read as read_window
from activation_oracles.types import Example
from activation_oracles.world.load import load_demo

Batch = list[int]
"""Indices of examples."""
Memory = tuple[int, int]
"""Bytes held before the first step, and at most."""
Steps = list[tuple[float, float]]
"""Loss and gradient norm, step by step."""

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
PERCENTS = (25, 50, 75)
SHARES = {"context": 0.569, "classification": 0.368, "latentqa": 0.063}
"""Of the examples, as published."""
LONGEST = 512


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


class Mixture:
    """Draws texts, each with all that is asked of it, until there are enough examples."""

    def __init__(self, model: LanguageModel, seed: int) -> None:
        self._random = Random(seed)
        self._tokenizer = model.tokenizer
        self._layers = [int(model.num_layers * percent / 100) for percent in PERCENTS]
        pieces = [(str(model.tokenizer.decode([n])), n) for n in range(len(model.tokenizer))]
        self._words = [n for piece, n in pieces if piece[:1] == " " and piece[1:].isalpha()]

    def draw(self, count: int) -> list[Example]:
        examples: list[Example] = []
        made = dict.fromkeys(SHARES, 0)
        while len(examples) < count:
            family = min(SHARES, key=lambda name: made[name] / SHARES[name])
            asked = list(getattr(self, f"_{family}")(f"{family} {made[family]}"))
            made[family] += len(asked)
            examples += asked
        return examples[:count]

    def _ids(self, count: int) -> tuple[int, ...]:
        return tuple(self._random.choices(self._words, k=count))

    def _said(self, count: int) -> str:
        return str(self._tokenizer.decode(list(self._ids(count)))).strip()

    def _context(self, source: str) -> Iterator[Example]:
        """Three layers, each with one vector and with up to 50; the text ends with the last."""
        draw = self._random.randint
        text = self._ids(min(LONGEST, max(110, int(self._random.lognormvariate(6.0, 0.8)))))
        for layer in self._layers:
            for most in (1, 50):
                ahead, shown = draw(1, 50), draw(1, most)
                start = draw(1, len(text) - shown - ahead)
                end = start + shown
                yield Example(
                    text[:end], tuple(range(start, end)), (layer,),
                    f"Can you predict the next {ahead} tokens that come after this?",
                    str(self._tokenizer.decode(list(text[end : end + ahead]))).strip(),
                    "context", source,
                )  # fmt: skip

    def _classification(self, source: str) -> Iterator[Example]:
        """Two questions on one vector, or one on up to 50, at three layers."""
        text = self._ids(self._random.randint(12, 60))
        questions, most = self._random.choice(((2, 1), (1, 50)))
        for _ in range(questions):
            question = f"Answer with 'Yes' or 'No' only. {self._said(8)}?"
            for layer in self._layers:
                end = len(text) - self._random.randint(0, 4)
                start = max(0, end - self._random.randint(1, most))
                yield Example(
                    text, tuple(range(start, end)), (layer,), question,
                    self._random.choice(("Yes", "No")), "classification", source,
                )  # fmt: skip

    def _latentqa(self, source: str) -> Iterator[Example]:
        """Two questions with long answers, on a few vectors or all, each at some layer."""
        text = self._ids(self._random.randint(20, 100))
        for _ in range(2):
            start = self._random.choice((0, len(text) - self._random.randint(2, 4)))
            yield Example(
                text, tuple(range(start, len(text) - 1)), (self._random.choice(self._layers),),
                f"{self._said(10)}?", self._said(20), "latentqa", source,
            )  # fmt: skip


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


class Ours:
    """This trainer's own steps, without its checkpoints and scores."""

    def __init__(self, run: Run) -> None:
        self.reading = 0.0
        """Seconds in which windows of texts were read."""
        self._run = run
        self._parameters = list(run.parameters.values())
        self._optimizer = torch.optim.AdamW(self._parameters, fused=True)
        self._thread = ExitStack()
        num_ahead = depth(run.config, run.oracle.model.device)
        ahead = self._thread.enter_context(working_ahead(num_ahead))
        self._shares = shares(run, 0, ahead)

    def learn(self, window: Sequence[Batch], wanted: Sequence[Batch]) -> Steps:
        """Read a window, the next one in the run's order, and learn from its `wanted` batches."""
        run = self._run
        done: Steps = []
        with checkpointing(run, wanted=run.config.gradient_checkpointing):
            for number in range(len(window)):
                start = clock()
                share, vectors = next(self._shares)
                self.reading += (clock() - start) if number == 0 else 0.0
                if [index for part in share.parts for index in part.indices] in wanted:
                    done.append(self.step(share, vectors))
        return done

    def warm_up(self, batch: Batch) -> None:
        """Run as a step does, but for the update."""
        share, vectors = lay_out(self._run, batch), read_window(self._run, batch)
        with checkpointing(self._run, wanted=self._run.config.gradient_checkpointing):
            loop._learn(self._run, share, vectors)  # pyright: ignore[reportPrivateUsage]
        self._optimizer.zero_grad()

    def end(self) -> None:
        """End the thread that lays out ahead."""
        self._shares.close()
        self._thread.close()

    def step(self, share: Share, vectors: Vectors) -> tuple[float, float]:
        config = self._run.config
        loss = loop._learn(self._run, share, vectors)  # pyright: ignore[reportPrivateUsage]
        norm = loop._step(  # pyright: ignore[reportPrivateUsage]
            self._optimizer, self._parameters, config.learning_rate, config.clip_norm
        )
        return float(loss), float(norm)


class Plain:
    """The published loop, written down plainly."""

    def __init__(self, run: Run) -> None:
        self._run, self._model = run, run.oracle.model
        lora = run.config.lora
        settings = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        self._adapter = self._model.new_adapter(settings, name="plain")
        self._parameters = self._model.adapter_parameters(self._adapter)
        for own, other in zip(self._parameters, run.parameters.values(), strict=True):
            own.data.copy_(other.data)
        self._optimizer = torch.optim.AdamW(self._parameters, lr=run.config.learning_rate)
        self._prompts = prompts_of(run)

    def learn(self, window: Sequence[Batch], wanted: Sequence[Batch]) -> Steps:
        """Learn from the `wanted` batches of a window."""
        with checkpointing(self._run, wanted=True):
            return [self._step(batch) for batch in window if batch in wanted]

    def warm_up(self, batch: Batch) -> None:
        """Run as a step does, but for the update."""
        with checkpointing(self._run, wanted=True):
            self._backward(batch)
        self._optimizer.zero_grad()

    def _step(self, batch: Batch) -> tuple[float, float]:
        loss = self._backward(batch)
        norm = nn.utils.clip_grad_norm_(self._parameters, self._run.config.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.item(), norm.item()

    def _backward(self, batch: Batch) -> Tensor:
        vectors = self._read([self._run.examples[index] for index in batch])
        prompts = [self._prompts[index] for index in batch]
        starts = [prompt.answer_start for prompt in prompts]
        rows = [prompt.ids for prompt in prompts]
        answers = [(IGNORED,) * at + ids[at:] for at, ids in zip(starts, rows, strict=True)]
        width = max(map(len, rows))
        columns = [[slot + width - len(prompt.ids) for slot in prompt.slots] for prompt in prompts]
        block = self._model.blocks.stack[self._run.config.injection_block]
        with self._model.training(self._adapter), adding(block, columns, vectors):
            loss: Tensor = self._model.network(
                input_ids=left_padded(rows, self._model.pad_id),
                attention_mask=left_padded([(1,) * len(ids) for ids in rows], 0),
                labels=left_padded(answers, IGNORED),
                use_cache=False,
            ).loss
            loss.backward()
        return loss.detach()

    def _read(self, examples: Sequence[Example]) -> list[Tensor]:
        contexts = [example.context for example in examples]
        mask = left_padded([(1,) * len(context) for context in contexts], 0)
        layers = sorted({layer for example in examples for layer in example.layers})
        ids = left_padded(contexts, self._model.pad_id)
        with self._model.using(None):
            streams = read(self._model.network, self._model.blocks, ids, mask, layers=layers)
        found: list[Tensor] = []
        for row, example in enumerate(examples):
            shift = ids.shape[1] - len(example.context)
            columns = [position + shift for position in example.positions]
            found.append(streams[example.layers[0]][row, columns])
        return found


def left_padded(rows: Sequence[Sequence[int]], padding: int) -> Tensor:
    width = max(map(len, rows))
    padded = [torch.tensor([padding] * (width - len(row)) + list(row)).to(DEVICE) for row in rows]
    return torch.stack(padded)


@contextmanager
def adding(
    block: nn.Module, columns: Sequence[list[int]], vectors: Sequence[Tensor]
) -> Generator[None]:
    """Add vectors to a block's output, norm-matched, in place and example by example."""

    def write(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        stream = residual(output)
        for row, (where, shown) in enumerate(zip(columns, vectors, strict=True)):
            found = stream[row, where]
            strength = found.detach().float().norm(dim=-1, keepdim=True)
            added = nn.functional.normalize(shown.float(), dim=-1) * strength
            stream[row, where] = found + added.to(stream.dtype)
        return output

    handle = block.register_forward_hook(write)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def checkpointing(run: Run, *, wanted: bool) -> Generator[None]:
    """Run as `loop.steps` does: with or without checkpoints, and with our adapter merged."""
    network = run.oracle.model.network
    recomputing = loop._checkpointing(network, wanted=wanted)  # pyright: ignore[reportPrivateUsage]
    # Merging leaves passes under another adapter as they are.
    with recomputing, merging(network, run.oracle.adapter):
        yield


def prompts_of(run: Run) -> list[Prompt]:
    template = run.oracle.card.template(run.oracle.model)
    return [
        template.build(one.layers, len(one.positions), one.question, one.answer)
        for one in run.examples
    ]


class Work:
    """Counts the matrix operations of a batch: two for every weight and token, and attention's."""

    def __init__(self, run: Run) -> None:
        self._run, self.prompts = run, prompts_of(run)
        network, block = run.oracle.model.network, run.oracle.model.blocks.stack[0]
        sizes = {name: weight.numel() for name, weight in block.named_parameters()}
        self.base = sum(size for name, size in sizes.items() if "base_layer.weight" in name)
        self._lora = sum(size for name, size in sizes.items() if f".{run.oracle.adapter}." in name)
        config = network.config
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._heads = config.num_attention_heads * head
        self._output = network.lm_head.weight.numel()
        self.blocks = run.oracle.model.num_layers

    def needed(self, window: Sequence[Batch]) -> int:
        """Each text once as deep as is asked for, no padding, logits at labels, nothing twice."""
        texts: dict[str, list[Example]] = {}
        prompts = [self.prompts[index] for batch in window for index in batch]
        for example in (self._run.examples[index] for batch in window for index in batch):
            texts.setdefault(example.source, []).append(example)
        reading = sum(
            (1 + max(max(one.layers) for one in some))
            * self._pass(max(len(one.context) for one in some), base=1)
            for some in texts.values()
        )
        learning = sum(self._pass(len(one.ids), base=2, lora=3, seen=3) for one in prompts)
        labels = sum(len(one.ids) - one.answer_start for one in prompts)
        return reading + self.blocks * learning + 4 * self._output * labels

    def spent(self, window: Sequence[Batch]) -> int:
        """What the plain loop does."""
        total = 0
        for batch in window:
            examples = [self._run.examples[index] for index in batch]
            deepest = max(max(one.layers) for one in examples)
            reading = self._pass(max(len(one.context) for one in examples), base=1)
            width = max(len(self.prompts[index].ids) for index in batch)
            learning = self._pass(width, base=3, lora=4, seen=4)
            per_row = (1 + deepest) * reading + self.blocks * learning + 4 * self._output * width
            total += len(batch) * per_row
        return total

    def _pass(self, tokens: int, *, base: int, lora: int = 0, seen: int = 1) -> int:
        """Of one block: passes through its weights, through its adapter, and of attention."""
        weights = 2 * tokens * (base * self.base + lora * self._lora)
        return weights + seen * 2 * tokens * tokens * self._heads


def clock() -> float:
    if not ON_GPU:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(work: Callable[[], object]) -> float:
    start = clock()
    work()
    return clock() - start


def matrix_rate(dtype: torch.dtype) -> float:
    """Return the operations a second of a matrix product large enough for this machine."""
    size = 8192 if ON_GPU else 1024
    left, right = (torch.randn(size, size, device=DEVICE, dtype=dtype) for _ in range(2))
    return 2 * size**3 / statistics.median([seconds(lambda: left @ right) for _ in range(9)])


def peak_memory(setting: Setting, shape: str, side: str) -> Memory:
    """Learn from a window's longest batch; our side reads the whole window, as in training."""
    with TemporaryDirectory() as folder:
        run = prepared(replace(setting, turns=1), shape, folder)
        ours = Ours(run)
        sides = {"ours": ours, "plain": Plain(run)}
        sides[side].warm_up(shortest(run))
        held = torch.cuda.memory_allocated() if ON_GPU else most_resident()
        window = next(run.windows(0))
        sides[side].learn(window, [list(longest(window, run.known.lengths))])
        ours.end()
        return held, torch.cuda.max_memory_allocated() if ON_GPU else most_resident()


def shortest(run: Run) -> Batch:
    """Return as few examples as make a batch: libraries are loaded when they are first used."""
    order = sorted(range(len(run.examples)), key=run.known.context_lengths.__getitem__)
    return order[: run.config.accumulate]


def most_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def in_own_process(setting: Setting, shape: str, side: str) -> Memory:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(peak_memory, setting, shape, side).result()


def check(ours: Steps, plain: Steps, *, half: bool) -> str:
    """Refuse two sides that do not compute the same; say how far apart they are."""
    pairs = list(zip(ours, plain, strict=True))
    loss, norm = (max(abs(a[i] - b[i]) / abs(b[i]) for a, b in pairs) for i in (0, 1))
    assert loss < (2e-2 if half else 1e-5), f"losses differ by {loss:.1e} of their size"
    assert norm < (1e-1 if half else 1e-4), f"gradient norms differ by {norm:.1e} of their size"
    return f"losses agree to {loss:.0e}, gradient norms to {norm:.0e}, in {len(pairs)} steps each"


@dataclass(frozen=True)
class Timed:
    """What one shape's turns took."""

    seconds: Mapping[str, list[float]]
    """Of every turn, by side."""
    rate: float
    """Operations a second of a matrix product."""
    reading: float
    """Share of our time."""
    agreement: str


def measure(run: Run, ours: Ours, plain: Plain) -> Timed:
    for side in (plain, ours):
        side.warm_up(shortest(run))
    half = run.config.autocast or run.oracle.model.network.dtype == torch.bfloat16
    sides: dict[str, Ours | Plain] = {"plain": plain, "ours": ours}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    steps: dict[str, Steps] = {name: [] for name in sides}
    rates: list[float] = []
    for window in run.windows(0):
        rates.append(matrix_rate(torch.bfloat16 if half else torch.float32))
        for name, side in sides.items():
            start = clock()
            steps[name] += side.learn(window, window)
            taken[name].append(clock() - start)
    return Timed(
        taken,
        statistics.median(rates),
        ours.reading / sum(taken["ours"]),
        check(steps["ours"], steps["plain"], half=half),
    )


def report(run: Run, timed: Timed, memory: Mapping[str, Memory]) -> None:
    work, windows = Work(run), list(run.windows(0))
    count = len(run.examples) / len(windows)
    operations = {
        "plain": sum(map(work.spent, windows)) / len(run.examples),
        "ours": sum(map(work.needed, windows)) / len(run.examples),
    }
    speed = {side: count / statistics.median(taken) for side, taken in timed.seconds.items()}
    limit = timed.rate / operations["ours"]
    print(describe(run, work))
    print(
        "      examples/s  of the limit  Gop/example  of matrix rate  peak memory  above the model"
    )
    for side, each in operations.items():
        print(
            f"{side:<6}{speed[side]:10.3g}{speed[side] / limit:14.0%}{each / 1e9:13.3g}"
            f"{speed[side] * each / timed.rate:16.0%}{memory_columns(memory.get(side))}"
        )
    print(
        f"ratio {speed['ours'] / speed['plain']:.2f}, where counted operations allow "
        f"{operations['plain'] / operations['ours']:.2f}; {timed.agreement}"
    )
    print(
        f"limit {limit:.3g} examples/s, at {timed.rate / 1e9:.3g} Gop/s; reading takes "
        f"{timed.reading:.0%} of our time"
    )


def memory_columns(memory: Memory | None) -> str:
    if memory is None:
        return f"{'-':>13}{'-':>17}"
    held, most = memory
    return f"{most / 1e6:10.0f} MB{(most - held) / 1e6:14.0f} MB"


def describe(run: Run, work: Work) -> str:
    model, examples = run.oracle.model, run.examples
    contexts = statistics.mean(len(one.context) for one in examples)
    prompts = statistics.mean(len(prompt.ids) for prompt in work.prompts)
    texts = len({one.source for one in examples})
    config = run.config
    return (
        f"\n{model.name}: {work.blocks} blocks of {work.base / 1e6:.3g} M weights, "
        f"{model.network.dtype} on {DEVICE}, {torch.get_num_threads()} thread(s)\n"
        f"{len(examples)} examples of {texts} texts, windows of {config.window} batches of "
        f"{config.batch_size}; contexts of {contexts:.0f} tokens, prompts of {prompts:.0f}\n"
        f"ours: accumulate {config.accumulate}, part_tokens {config.part_tokens}, "
        f"gradient_checkpointing {config.gradient_checkpointing}, autocast {config.autocast}"
    )


def show_profile(run: Run, ours: Ours) -> None:
    """Print which operations one of our steps spends its time in, reading of its texts aside."""
    batch = next(run.windows(0))[0]
    share, vectors = lay_out(run, batch), read_window(run, batch)
    with checkpointing(run, wanted=run.config.gradient_checkpointing), profile() as found:
        ours.step(share, vectors)
    key = f"self_{'device' if ON_GPU else 'cpu'}_time_total"
    print(found.key_averages().table(sort_by=key, row_limit=15, max_name_column_width=40))


def compare(setting: Setting, shape: str, memory: Mapping[str, Memory]) -> None:
    with TemporaryDirectory() as folder:
        run = prepared(setting, shape, folder)
        ours, plain = Ours(run), Plain(run)
        report(run, measure(run, ours, plain), memory)
        if setting.profile:
            show_profile(run, ours)
        ours.end()


def main() -> None:
    setting = tyro.cli(Setting, description=__doc__)
    unknown = set(setting.shapes) - set(SHAPES)
    if unknown:
        sys.exit(f"There is no shape {sorted(unknown)}; there are {sorted(SHAPES)}.")
    # First of all: on Linux a process counts as its own what its parent held at most.
    memory: dict[str, dict[str, Memory]] = {shape: {} for shape in setting.shapes}
    for shape in setting.shapes if setting.memory else ():
        memory[shape] = {side: in_own_process(setting, shape, side) for side in ("plain", "ours")}
    for shape in setting.shapes:
        compare(setting, shape, memory[shape])


if __name__ == "__main__":
    main()
