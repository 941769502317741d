"""Prompts through the oracle: greedy text, samples, and the probability of given answers."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import GenerationConfig

from activation_oracles.errors import MismatchError
from activation_oracles.models.continuing import until
from activation_oracles.models.load import LanguageModel
from activation_oracles.models.read import logits_only_at
from activation_oracles.models.write import injecting
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.collate import Batch, collate
from activation_oracles.oracle.drawing import Decoding, Drawn, Streamer
from activation_oracles.oracle.prefill import (
    Prefill,
    can_repeat,
    prefill,
    sees_all,
    tail_likelihoods,
)
from activation_oracles.oracle.prompt import Prompt, Template
from activation_oracles.oracle.sharing import Asked, by_reading, followed_by, head
from activation_oracles.types import Activations, Example

ROWS_PER_BATCH = 64


@dataclass(frozen=True, eq=False)
class Shown:
    """A reading, and what the oracle is asked about it."""

    reading: Activations
    question: str
    written: bool = True
    """False: its slots are there, but nothing is written over them."""


@dataclass(frozen=True, eq=False)
class Asker:
    """An oracle's model, adapter and card, as one thing that prompts run through."""

    model: LanguageModel
    adapter: str
    card: Card
    template: Template
    in_proportion: float | None = None
    """Times the relative strength of a difference at which its slots are written; None writes all
    at the oracle's own strength."""

    @property
    def weighs(self) -> bool:
        """Whether differences are written by their strength."""
        return self.in_proportion is not None

    def batch(self, asked: Sequence[Asked], *, whole: bool) -> Batch:
        """Pad prompts, with their answers (`whole`) or to be answered."""
        shown = [one.vectors for one in asked]
        shows = [matrix is not None for matrix in shown]
        batch = self.lay_out([one.prompt for one in asked], shows, whole=whole).showing(shown)
        return batch.weighed([one.strengths for one in asked])

    def lay_out(self, prompts: Sequence[Prompt], shows: Sequence[bool], *, whole: bool) -> Batch:
        """Pad prompts, for `Batch.showing` to give vectors to those that show some."""
        return collate(
            prompts,
            shows,
            pad_id=self.model.pad_id,
            placeholder_id=self.template.placeholder_id,
            part="all" if whole else "prompt",
        )

    def prompts(self, examples: Sequence[Example], *, answered: bool) -> list[Prompt]:
        """Write the prompts of examples, with their answers or without."""
        return [
            self.template.build(
                one.layers, len(one.positions), one.question, one.answer if answered else None
            )
            for one in examples
        ]

    def show(self, shown: Shown, answer: str | None = None) -> Asked:
        """Write the prompt that shows a reading.

        Raises:
            MismatchError: the vectors are of another model's width, or not layer-major.
        """
        reading = shown.reading
        if reading.vectors.shape[-1] != self.model.width or not len(reading):
            raise MismatchError(
                f"This oracle reads vectors of width {self.model.width}, got a matrix of shape "
                f"{tuple(reading.vectors.shape)}. Were they read from another model?"
            )
        layers = tuple(dict.fromkeys(reading.layers))
        count = len(reading) // len(layers)
        if reading.layers != tuple(layer for layer in layers for _ in range(count)):
            raise MismatchError(
                "Activations to ask about hold the same number of slots at each layer, all of one "
                f"layer before the next; got layers {reading.layers}."
            )
        prompt = self.template.build(layers, count, shown.question, answer)
        if not shown.written:
            return Asked(prompt, None)
        strengths = self.strengths(reading)
        return Asked(
            prompt,
            reading.vectors.detach(),
            None if strengths is None else torch.tensor(strengths),
        )

    def strengths(self, reading: Activations) -> tuple[float, ...] | None:
        """Return at how many times the oracle's own strength each slot is written; None: at it.

        What stands in for a difference and is none, as the base model's reading, is at it too.
        """
        relative = reading.relative_strengths
        if self.in_proportion is None or relative is None:
            return None
        return tuple(self.in_proportion * one for one in relative)

    @contextmanager
    def injecting(self, batch: Batch) -> Generator[None]:
        """Write a batch's vectors in the forward passes inside the scope."""
        if batch.rows.numel() == 0:
            yield
            return
        writing = batch.writing(strength=self.card.strength, mode=self.card.mode)
        with injecting(self.model.blocks, self.card.block, writing):
            yield

    def log_likelihoods(self, batch: Batch) -> Float[Tensor, " label"]:
        """Return the log-probability of every labelled token, row by row, in fp32.

        Gradients flow where they are enabled; the caller holds the scopes of adapter and injection.
        """
        ids, rows, columns = (
            one.to(self.model.device, non_blocking=True)
            for one in (batch.ids, batch.label_rows, batch.label_columns)
        )
        # Padding is on the right and attention is causal: no real token ever sees it.
        with logits_only_at(self.model.network, rows, columns - 1):
            logits = self.model.network(input_ids=ids, use_cache=False).logits
        labels = ids[rows, columns].to(logits.device)
        return -nn.functional.cross_entropy(logits[0].float(), labels, reduction="none")

    def generate(
        self,
        asked: Sequence[Asked],
        how: Decoding,
        on_text: Callable[[str], None] | None = None,
    ) -> list[list[Drawn]]:
        """Return the answers to each prompt, as many as `how` samples; long and short run apart.

        Prompts that show one reading and ask other questions share all but the question: that runs
        once for them, wherever each reading is asked as many.
        """
        groups = by_reading(asked)
        count = len(groups[0]) if groups else 0
        equal = all(len(rows) == count for rows in groups)
        if how.samples > 1 or on_text is not None or not equal or not self._can_share(asked):
            groups, count = [[row] for row in range(len(asked))], 1
        groups.sort(key=lambda rows: asked[rows[0]].prompt.answer_start)
        size = max(1, ROWS_PER_BATCH // (count * how.samples))
        drawn: dict[int, list[Drawn]] = {}
        with self.model.using(self.adapter), self.model.seeded(how.seed):
            for start in range(0, len(groups), size):
                rows = [row for some in groups[start : start + size] for row in some]
                some = [asked[row] for row in rows]
                if count > 1:
                    answers = self._generate_shared(some, count, how)
                else:
                    answers = self._generate_batch(some, how, on_text)
                drawn.update(zip(rows, answers, strict=True))
        return [drawn[row] for row in range(len(asked))]

    def tails(
        self, asked: Sequence[Asked], tails: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[float]]]:
        """Return, for each prompt and each of its tails, the log-probability of every token.

        Every prompt has the same number of tails. Prompts run once, whatever that number is.
        """
        count = len(tails[0])
        if not can_repeat(self.model.network):
            return self._whole_tails(asked, tails)
        size = max(1, ROWS_PER_BATCH // count)
        order = sorted(range(len(asked)), key=lambda i: asked[i].prompt.answer_start)
        found: dict[int, list[list[float]]] = {}
        with self.model.using(self.adapter), torch.no_grad():
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                begun = self._prefilled(self.batch([asked[row] for row in rows], whole=False))
                behind = [tail for row in rows for tail in tails[row]]
                values = tail_likelihoods(self.model.network, begun.repeated(count), behind)
                for place, row in enumerate(rows):
                    found[row] = values[place * count : (place + 1) * count]
        return [found[row] for row in range(len(asked))]

    def _whole_tails(
        self, asked: Sequence[Asked], tails: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[float]]]:
        whole = [
            followed_by(one, tuple(tail))
            for one, some in zip(asked, tails, strict=True)
            for tail in some
        ]
        values, count = self.likelihood(whole), len(tails[0])
        return [values[row : row + count] for row in range(0, len(values), count)]

    def likelihood(self, asked: Sequence[Asked]) -> list[list[float]]:
        """Return, for each prompt with its answer, the log-probability of every token learned."""
        order = sorted(range(len(asked)), key=lambda i: len(asked[i].prompt.ids))
        found: dict[int, list[float]] = {}
        with self.model.using(self.adapter), torch.no_grad():
            for start in range(0, len(order), ROWS_PER_BATCH):
                rows = order[start : start + ROWS_PER_BATCH]
                batch = self.batch([asked[row] for row in rows], whole=True)
                with self.injecting(batch):
                    values = self.log_likelihoods(batch)
                counts = torch.bincount(batch.label_rows, minlength=len(rows)).tolist()
                for row, part in zip(rows, values.cpu().split(counts), strict=True):
                    found[row] = part.tolist()
        return [found[row] for row in range(len(asked))]

    def _generate_batch(
        self, asked: Sequence[Asked], how: Decoding, on_text: Callable[[str], None] | None
    ) -> list[list[Drawn]]:
        if how.samples > 1 and not can_repeat(self.model.network):
            asked = [one for one in asked for _ in range(how.samples)]
        batch, settings = self.batch(asked, whole=False), self._settings(how)
        if how.samples == 1 or not can_repeat(self.model.network):
            streamer = None if on_text is None else Streamer(self.model, on_text)
            with self.injecting(batch):
                new = self.model.generate(batch.ids, batch.mask, settings, streamer)
        else:
            # All but the last token, which generation runs again to have its logits.
            with torch.no_grad():
                begun = self._prefilled(batch, but_last=True).repeated(how.samples)
            ids, mask = (
                one.repeat_interleave(how.samples, dim=0) for one in (batch.ids, batch.mask)
            )
            new = self.model.generate(ids, mask, settings, cache=begun.cache)
        said = self._drawn(new, settings)
        return [said[row : row + how.samples] for row in range(0, len(said), how.samples)]

    def _can_share(self, asked: Sequence[Asked]) -> bool:
        longest = max((one.prompt.answer_start for one in asked), default=0)
        # As long again: padding stands behind the longest reading, up to the longest question.
        network = self.model.network
        return can_repeat(network) and sees_all(network, 2 * longest)

    def _generate_shared(
        self, asked: Sequence[Asked], count: int, how: Decoding
    ) -> list[list[Drawn]]:
        """Answer `count` questions of each reading, which follow one another; run it once."""
        heads = [head(one) for one in asked[::count]]
        tails = [
            one.prompt.ids[one.prompt.slots[-1] + 1 : one.prompt.answer_start] for one in asked
        ]
        batch, settings = self.batch(heads, whole=False), self._settings(how)
        with torch.no_grad():
            begun = self._prefilled(batch).repeated(count)
        width = max(map(len, tails))
        ids = torch.full((len(asked), width), self.model.pad_id)
        mask = torch.zeros((len(asked), width), dtype=torch.bool)
        for row, tail in enumerate(tails):
            ids[row, width - len(tail) :] = torch.tensor(tail)
            mask[row, width - len(tail) :] = True
        # Padding stands between reading and question: masked, and no position is counted there.
        ids = torch.cat([batch.ids.repeat_interleave(count, dim=0), ids], dim=1)
        mask = torch.cat([batch.mask.repeat_interleave(count, dim=0), mask], dim=1)
        new = self.model.generate(ids, mask, settings, cache=begun.cache)
        return [[one] for one in self._drawn(new, settings)]

    def _drawn(self, new: Int[Tensor, "row new"], settings: GenerationConfig) -> list[Drawn]:
        texts = self.model.tokenizer.batch_decode(new, skip_special_tokens=True)
        ends = settings.eos_token_id
        stops = set(ends if isinstance(ends, list) else [ends])
        return [
            Drawn(until(ids, stops), text.strip())
            for ids, text in zip(new.tolist(), texts, strict=True)
        ]

    def _prefilled(self, batch: Batch, *, but_last: bool = False) -> Prefill:
        end = batch.ids.shape[1] - but_last
        device = self.model.device
        with self.injecting(batch):
            return prefill(
                self.model.network, batch.ids[:, :end].to(device), batch.mask[:, :end].to(device)
            )

    def _settings(self, how: Decoding) -> GenerationConfig:
        settings = self.model.decoding(how.max_new_tokens, how.temperature)
        settings.eos_token_id = sorted({*(settings.eos_token_id or ()), *self.template.stop_ids})
        settings.begin_suppress_tokens = list(how.avoiding) or None
        return settings
