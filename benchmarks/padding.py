"""How much of what runs is padding, for the demo world's questions and a mixture as published.

Nothing runs here: tokens are counted as the trainer lays them out. It groups like lengths within
windows of batches, and reads a window's distinct texts by length. Beside it, `no order`: batches
drawn at random, each question's text read for itself, padded to the longest of their batch. The
ratio is how many times fewer tokens run than there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import tyro
from training_step.mixture import Batch, Mixture

from activation_oracles.models.batching import batches as cut
from activation_oracles.models.batching import hosts, per_pass
from activation_oracles.models.load import LanguageModel
from activation_oracles.tasks import store
from activation_oracles.training.config import Lora, TrainConfig
from activation_oracles.training.parts import lay_out
from activation_oracles.training.prepare import Run, prepare
from activation_oracles.types import Example
from activation_oracles.world.load import load_demo
from activation_oracles.world.questions import questions


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is counted."""

    windows: int = 10
    """Windows of 20 batches of 16."""
    part_tokens: int = 1024
    """Tokens in a part, where batches are cut by tokens."""
    seed: int = 0


def run_of(model: LanguageModel, examples: Sequence[Example], folder: str, **how: Any) -> Run:
    manifest = store.Manifest(seed=0, command=__file__, tokenizer=model.tokenizer_hash)
    store.write(folder, {"train": examples}, manifest)
    config = TrainConfig(
        model=model.name, data=(folder,), output=f"{folder}/run", device="cpu",
        lora=Lora(rank=1, dropout=0.0), evaluate_examples=0, **how,
    )  # fmt: skip
    return prepare(config, model)


@dataclass(frozen=True)
class Count:
    """Tokens of one way to lay out the same examples."""

    laid: int
    """With padding."""
    real: int

    def tell(self, what: str, before: "Count") -> None:
        """Print them, with how many times fewer they are than another way's."""
        print(
            f"  {what:<50} {self.laid:>9} tokens, {1 - self.real / self.laid:6.1%} padding, "
            f"ratio {before.laid / self.laid:.2f}"
        )


def in_prompts(run: Run, batches: Iterable[Batch]) -> Count:
    """Count the tokens of the oracle's prompts, as they are laid out."""
    shares = [lay_out(run, batch) for batch in batches]
    laid = sum(part.batch.ids.numel() for share in shares for part in share.parts)
    return Count(laid, sum(share.num_tokens for share in shares))


def in_texts(run: Run, windows: Iterable[Sequence[Batch]]) -> Count:
    """Count the tokens that the target reads, a window's texts together."""
    laid = real = 0
    for window in windows:
        examples = [run.examples[index] for batch in window for index in batch]
        longest = hosts({one.context for one in examples})
        deepest: dict[tuple[int, ...], int] = {}
        for one in examples:
            host = longest[one.context]
            deepest[host] = max(deepest.get(host, 0), *one.layers)
        for rows in cut(deepest, per_pass(run.oracle.model.device)):
            laid += len(rows) * max(map(len, rows))
            real += sum(map(len, rows))
    return Count(laid, real)


def in_batches(run: Run, batches: Iterable[Batch]) -> Count:
    """The same where every question's text is read for itself, and padded to its batch's."""
    rows = [[len(run.examples[index].context) for index in batch] for batch in batches]
    return Count(sum(len(row) * max(row) for row in rows), sum(map(sum, rows)))


def count(name: str, model: LanguageModel, examples: Sequence[Example], setting: Setting) -> None:
    print(f"\n{name}: {len(examples)} examples of {len({one.source for one in examples})} texts")
    order = list(range(len(examples)))
    Random(setting.seed).shuffle(order)
    drawn = [order[start : start + 16] for start in range(0, len(order), 16)]
    ways: dict[str, dict[str, int]] = {
        "windows": {},
        "windows, in 4 parts": {"accumulate": 4},
        f"windows, in parts of {setting.part_tokens} tokens": {"part_tokens": setting.part_tokens},
    }
    with TemporaryDirectory() as folder:
        run = run_of(model, examples, folder)
        texts, prompts = in_batches(run, drawn), in_prompts(run, drawn)
        texts.tell("target, no order", texts)
        in_texts(run, run.windows(0)).tell("target, windows", texts)
    prompts.tell("oracle, no order", prompts)
    for way, how in ways.items():
        with TemporaryDirectory() as folder:
            run = run_of(model, examples, folder, **how)
            found = in_prompts(run, (batch for window in run.windows(0) for batch in window))
            found.tell(f"oracle, {way}", prompts)


def main() -> None:
    setting = tyro.cli(Setting, description=__doc__)
    model, number = load_demo().model, 20 * 16 * setting.windows
    drawn = questions(model.tokenizer, seed=setting.seed, count=number)
    count("the demo world's questions", model, drawn, setting)
    count("a mixture like the published", model, Mixture(model, setting.seed).draw(number), setting)


if __name__ == "__main__":
    main()
