"""Memory and time of the data path, by the number of examples: what must be held, and for how long.

No model runs. `build` makes examples of synthetic texts, chats, tables and instructions, in the
published shares; `learn` does with them what a run does before and between its steps: read both
splits, survey them, choose what it is evaluated on, and fetch every example once in the order of an
epoch. Each stage has a process of its own, so that no peak hides in another's. Linux only: private
memory (RssAnon) is what is counted; pages of mapped files can be dropped at any time.
"""

import argparse
import json
import multiprocessing
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

MEBIBYTE = 2**20
WORDS = (
    "the old mill stands by a river and Anna sings of green apples while boats come home".split()
)
SHARES = {"texts": 0.57, "rows": 0.37, "chats": 0.06}
"""Of examples: context prediction, classification, instructions; as published."""
PER_SOURCE = {"texts": 6, "rows": 9, "chats": 1}
"""Examples that a text, a row and a chat make at three layers."""


@dataclass(frozen=True)
class Measured:
    """What a stage took."""

    num_examples: int
    seconds: float
    private: float
    """Highest private memory above that before the stage, in bytes."""
    mapped: float
    """Highest memory of mapped files above that before, in bytes."""


def words(numbers: random.Random, fewest: int, most: int) -> str:
    return " ".join(numbers.choices(WORDS, k=numbers.randint(fewest, most)))


def texts(count: int) -> Iterator[dict[str, Any]]:
    numbers = random.Random(0)
    for number in range(count):
        text = f"{number}. {words(numbers, 60, 120)}"
        chat = [
            {"role": "user", "content": text},
            {"role": "assistant", "content": words(numbers, 5, 20)},
        ]
        yield {"messages": chat} if number % 2 else {"text": text}


def rows(count: int) -> Iterator[dict[str, Any]]:
    numbers = random.Random(1)
    for number in range(count):
        yield {"text": f"{number}. {words(numbers, 8, 30)}", "label": number % 2}


def chats(count: int) -> Iterator[dict[str, Any]]:
    numbers = random.Random(2)
    for number in range(count):
        told = f"{number}. {words(numbers, 5, 20)}"
        messages = [
            {"role": "user", "content": told},
            {"role": "assistant", "content": words(numbers, 5, 10)},
            {"role": "user", "content": words(numbers, 5, 20)},
        ]
        yield {"messages": messages, "hidden": 2, "question": "What was asked for?", "answer": told}


def write_sources(folder: Path, num_examples: int) -> None:
    """Write JSON lines that make about so many examples."""
    for name, make in (("texts", texts), ("rows", rows), ("chats", chats)):
        count = round(num_examples * SHARES[name] / PER_SOURCE[name])
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(one)}\n" for one in make(count))


def build_examples(folder: Path) -> int:
    """Run what `ao data build` runs, and return how many examples there are."""
    from activation_oracles.tasks import store
    from activation_oracles.tasks.build import build
    from activation_oracles.tasks.config import DataConfig

    settings: dict[str, Any] = {
        "tasks": (
            {"kind": "context_prediction", "files": ("texts.jsonl",)},
            {
                "kind": "classification",
                "name": "classification/even",
                "files": ("rows.jsonl",),
                "labels": {"0": "even", "1": "odd"},
                "questions": ("Is this number {}?",),
            },
            {"kind": "system_prompt", "files": ("chats.jsonl",)},
        )
    }
    made = build(DataConfig(**settings), folder / "data", tokenizer(), 36, root=folder)
    return sum(split["examples"] for split in store.read_manifest(made)["splits"].values())


def learn_from(folder: Path) -> int:
    """Read, survey and order the examples, and fetch each once, as a run does."""
    from activation_oracles.tasks import store
    from activation_oracles.training.evaluate import choose
    from activation_oracles.training.order import windows
    from activation_oracles.training.survey import survey

    known_words = tokenizer()
    examples = store.read(folder / "data", "train")
    held_out = choose(store.read(folder / "data", "held_out"), 100, 42)
    known = survey(examples, known_words)
    survey(held_out, known_words)
    count = 0
    for window in windows(known.lengths, known.texts, batch_size=16, window=20, seed=42, epoch=0):
        shown = [examples[index] for batch in window for index in batch]
        count += len(shown)
    return count


def tokenizer() -> Any:
    from transformers import AutoTokenizer

    world = import_module("activation_oracles.world").__file__
    return AutoTokenizer.from_pretrained(Path(str(world)).parent / "data" / "base")


STAGES: dict[str, Callable[[Path], int]] = {"build": build_examples, "learn": learn_from}


def held() -> tuple[int, int]:
    """Return this process's private memory and that of mapped files, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines if " kB" in line}
    return sizes["RssAnon:"], sizes["RssFile:"]


def measure(stage: str, folder: Path, found: Any) -> None:
    """Run a stage in this process, and put what it took into a queue."""
    # What is loaded once, whatever the size, is no part of it.
    for name in ("tasks.build", "training.evaluate", "training.survey"):
        import_module(f"activation_oracles.{name}")
    tokenizer()("warm")
    start, seen, done = held(), [held()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(max_of(seen.pop(), held()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.process_time()
    count = STAGES[stage](folder)
    seconds = time.process_time() - began
    done.set()
    watcher.join()
    private, mapped = (high - low for high, low in zip(seen[0], start, strict=True))
    found.put(Measured(count, seconds, private, mapped))


def max_of(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), max(one[1], other[1])


def run(stage: str, folder: Path) -> Measured:
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    process = context.Process(target=measure, args=(stage, folder, found))
    process.start()
    measured = found.get()
    process.join()
    return measured


def report(stage: str, results: Sequence[Measured]) -> None:
    print(f"{stage:<6} examples   seconds   private MiB   mapped MiB")
    for one in results:
        memory = f"{one.private / MEBIBYTE:13.0f} {one.mapped / MEBIBYTE:12.0f}"
        print(f"       {one.num_examples:8d} {one.seconds:9.0f} {memory}")
    for small, large in pairwise(results):
        more = large.num_examples - small.num_examples
        print(
            f"       between them: {(large.private - small.private) / more:.0f} private bytes and "
            f"{1e6 * (large.seconds - small.seconds) / more:.0f} microseconds an example"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000])
    sizes = parser.parse_args().sizes
    results: dict[str, list[Measured]] = {stage: [] for stage in STAGES}
    for size in sizes:
        folder = Path(tempfile.mkdtemp(prefix="data-path-"))
        try:
            write_sources(folder, size)
            for stage in STAGES:
                results[stage].append(run(stage, folder))
        finally:
            shutil.rmtree(folder)
    for stage, found in results.items():
        report(stage, found)


if __name__ == "__main__":
    main()
