"""A batch as a process runs it: its prompts, padded in parts, before there are vectors to show.

This needs neither the network nor a device, so it can be done ahead of the loop. Every process
writes the prompts of the whole batch: so it knows, without asking the others and waiting for them,
how many tokens all of them learn, and cuts its share where they cut theirs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from accelerate import PartialState

from activation_oracles.models.batching import cheapest_cuts, per_pass
from activation_oracles.oracle.collate import Batch
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.prepare import Run

PER_PART = 128
"""As how many tokens a part counts at least: adapters are merged, scopes entered, once for each."""


@dataclass(frozen=True, eq=False)
class Part:
    """Examples that run together: forward and backward in one go."""

    indices: list[int]
    """Which examples."""
    batch: Batch
    """Their prompts, without vectors yet."""
    num_tokens: int
    """Tokens that are no padding."""


@dataclass(frozen=True, eq=False)
class Share:
    """What one process does of one optimizer step."""

    parts: list[Part]
    num_labels: int
    """Tokens that are learned in the whole step, over all processes."""

    @property
    def num_examples(self) -> int:
        """Examples of this process."""
        return sum(len(part.indices) for part in self.parts)

    @property
    def num_tokens(self) -> int:
        """This process's tokens that are no padding."""
        return sum(part.num_tokens for part in self.parts)


def share_of(batch: Sequence[int]) -> list[int]:
    """Return the examples of a batch that this process learns from: every so-manieth."""
    processes = PartialState()
    return list(batch[processes.process_index :: processes.num_processes])


def lay_out(run: Run, batch: Sequence[int]) -> Share:
    """Write a batch's prompts, and pad this process's share of them in parts."""
    examples = [run.examples[index] for index in batch]
    prompts = run.oracle.prompts(examples)
    own = share_of(range(len(batch)))
    widths = [len(prompt.ids) for prompt in prompts]
    on_gpu = run.oracle.model.device.type == "cuda"
    parts: list[Part] = []
    for start, end in pairwise(_ends(widths, run.config, _beside(run))):
        rows = own[start:end]
        laid = run.oracle.lay_out(
            [prompts[row] for row in rows], [examples[row].shown != "nothing" for row in rows]
        )
        indices, num_tokens = [batch[row] for row in rows], sum(widths[row] for row in rows)
        parts.append(Part(indices, laid.pinned() if on_gpu else laid, num_tokens))
    return Share(parts, sum(len(prompt.ids) - prompt.answer_start for prompt in prompts))


def fullest(run: Run, batches: Iterable[Sequence[int]]) -> Sequence[int]:
    """Return the batch with the part of most tokens, padding counted, by the lengths surveyed."""
    lengths, count = run.known.lengths, PartialState().num_processes
    # They are known up to what every prompt has: that of one tells it of all.
    apart = len(run.oracle.prompts([run.examples[0]])[0].ids) - lengths[0]

    def most(batch: Sequence[int]) -> int:
        widths = [lengths[index] + apart for index in batch]
        return max(
            (end - start) * max(widths[start * count : end * count])
            for start, end in pairwise(_ends(widths, run.config, _beside(run)))
        )

    return max(batches, key=most)


def _ends(widths: Sequence[int], config: TrainConfig, beside: int) -> list[int]:
    """Return where every process cuts its share of a batch whose prompts are so wide."""
    count = PartialState().num_processes
    if config.part_tokens is None:
        size = len(widths) // count
        # Neighbours, not every so-manieth: they are of like length, so that little is padded.
        return [size * number // config.accumulate for number in range(config.accumulate + 1)]
    # As wide as the widest of all processes: so they all have as many parts, of as many examples.
    widest = [max(widths[at : at + count]) for at in range(0, len(widths), count)]
    return cheapest_cuts(widest, beside=beside, most=config.part_tokens)


def _beside(run: Run) -> int:
    """Return as how many tokens a part counts beside its own."""
    return max(PER_PART, per_pass(run.oracle.model.device))
