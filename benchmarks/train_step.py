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

`training_step/sides.py` has both loops, one below the other.
"""

import resource
import statistics
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from tempfile import TemporaryDirectory

import torch
import tyro
from torch.profiler import profile
from training_step.mixture import Batch
from training_step.setting import DEVICE, ON_GPU, SHAPES, Setting, prepared
from training_step.sides import Ours, Plain, Steps, checkpointing, clock
from training_step.work import Work

from activation_oracles.training.parts import lay_out
from activation_oracles.training.preflight import longest
from activation_oracles.training.prepare import Run
from activation_oracles.training.readahead import read as read_window

Memory = tuple[int, int]
"""Bytes held before the first step, and at most."""


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
    share, readings = lay_out(run, batch), read_window(run, batch)
    with checkpointing(run, wanted=run.config.gradient_checkpointing), profile() as found:
        ours.step(share, readings)
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
