"""Vectors dreamt per minute: many in one batch against one at a time, with the same result.

    python benchmarks/dream.py [--batch 32] [--model FOLDER --oracle FOLDER] [--device cuda]

Both sides run the same attempts for the same number of steps in one process, in turns, and must
come to the same beliefs. The arithmetic limit is the time that the products of a step's forward and
backward pass would take if they ran as fast as one large product of matrices does here.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from activation_oracles.dreams.dream import Attempt, Dream, DreamConfig, dream, noise
from activation_oracles.dreams.wishes import Says
from activation_oracles.models.load import load
from activation_oracles.oracle.oracle import Oracle

QUESTION = "What is the model thinking about?"
WORDS = "moon king hammer snow cat apple train river".split()
ENDLESS = 1e-9
"""A `tau` that nothing reaches: every dream takes every step."""


def main() -> None:
    """Measure and print."""
    settings = parsed()
    torch.set_num_threads(1)
    oracle = opened(settings)
    layer = oracle.card.usual_layers[0]
    width = oracle.model.width
    starts = noise(settings.batch, width, seed=0)
    attempts = [
        Attempt(str(number), Says(QUESTION, WORDS[number % len(WORDS)]), start)
        for number, start in enumerate(starts)
    ]
    config = DreamConfig(steps=settings.steps, tau=ENDLESS, batch_size=settings.batch)
    dream(oracle, attempts[:2], layer=layer, config=config)
    together, alone = [], []
    for turn in range(settings.turns):
        seconds, batched = timed(oracle, [attempts], layer, config)
        together.append(seconds)
        singly = [[one] for one in attempts]
        seconds, single = timed(oracle, singly, layer, config)
        alone.append(seconds)
        apart = max(
            abs(a.trace["belief lost"][-1] - b.trace["belief lost"][-1])
            for a, b in zip(batched, single, strict=True)
        )
        print(
            f"turn {turn}: batch of {settings.batch} {60 * settings.batch / together[-1]:.0f}, "
            f"one at a time {60 * settings.batch / alone[-1]:.0f} vectors/min; beliefs differ by "
            f"{apart:.1e} nats at most"
        )
    limit = arithmetic(oracle, attempts, layer, settings.steps)
    best = statistics.median(together)
    print(f"ratio {statistics.median(alone) / best:.1f} (median of {settings.turns})")
    print(f"arithmetic limit {limit:.2f} s for the batch, taken {best:.2f} s: {best / limit:.1f} x")


def parsed() -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--model", help="folder of a base model; by default the village's")
    parser.add_argument("--oracle", help="folder of its oracle")
    parser.add_argument("--device")
    return parser.parse_args()


def opened(settings: argparse.Namespace) -> Oracle:
    """Load the oracle."""
    from activation_oracles.world.load import BASE, DATA, ORACLE

    model = load(settings.model or str(Path(DATA) / BASE), dtype="float32", device=settings.device)
    if settings.model is None:
        model.name = "village"
    return Oracle.from_pretrained(settings.oracle or str(DATA / ORACLE), model=model)


def timed(
    oracle: Oracle, batches: list[list[Attempt]], layer: int, config: DreamConfig
) -> tuple[float, list[Dream]]:
    """Dream batch by batch; return the seconds and the dreams."""
    started = time.perf_counter()
    found = [one for some in batches for one in dream(oracle, some, layer=layer, config=config)]
    if oracle.model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, found


def arithmetic(oracle: Oracle, attempts: list[Attempt], layer: int, steps: int) -> float:
    """Return the seconds that the products alone would take, at the speed of one large product."""
    network = oracle.model.network
    weights = sum(
        p.numel() for name, p in network.named_parameters() if p.ndim == 2 and "embed" not in name
    )
    wish = attempts[0].wish
    assert isinstance(wish, Says)
    template = oracle.card.template(oracle.model)
    tokens = template.build((layer,), 1, wish.question, wish.answer).answer_end * len(attempts)
    # Forward, and backward to the vectors alone: two products for each weight, not three.
    products = 2 * weights * tokens * 2 * steps
    size = 1024 if oracle.model.device.type == "cpu" else 8192
    square = torch.randn(size, size, device=oracle.model.device)
    times: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(square, square)
        if oracle.model.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return products * min(times) / (2 * size**3)


if __name__ == "__main__":
    main()
