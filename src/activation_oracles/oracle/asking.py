"""Prompts through the oracle: greedy text, samples, and the probability of given answers."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import GenerationConfig

from activation_oracles.errors import MismatchError
from activation_oracles.models.continuing import until
from activation_oracles.models.load import LanguageModel
from activation_oracles.models.merging import merging
from activation_oracles.models.read import logits_only_at
from activation_oracles.models.write import injecting
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.collate import Batch, Shows, collate
from activation_oracles.oracle.drawing import Decoding, Drawn, Streamer, drawn_from
from activation_oracles.oracle.packing import Packed, can_pack, packed
from activation_oracles.oracle.prefill import Prefill, can_repeat, prefill, sees_all
from activation_oracles.oracle.prompt import Prompt, Template
from activation_oracles.oracle.sharing import (
    ROWS_PER_BATCH,
    Asked,
    by_reading,
    cut,
    followed_by,
    run_together,
    uncut,
)
from activation_oracles.types import Activations, Example


@dataclass(frozen=True, eq=False)
class Shown:
    """A reading, and what the oracle is asked about it."""

    reading: Activations
    question: str
    written: bool = True
    """False: its slots are there, and nothing is written over them."""


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

    def batch(self, asked: Sequence[Asked], *, whole: bool) -> Batch:
        """Pad prompts, with their answers (`whole`) or to be answered."""
        shown = [one.vectors for one in asked]
        shows = [matrix is not None for matrix in shown]
        batch = self.lay_out([one.prompt for one in asked], shows, whole=whole).showing(shown)
        return batch.weighed([one.strengths for one in asked])

    def lay_out(self, prompts: Sequence[Prompt], shows: Sequence[bool], *, whole: bool) -> Batch:
        """Pad prompts, for `Batch.showing` to give vectors to those that show some."""
        part, placeholder = "all" if whole else "prompt", self.template.placeholder_id
        return collate(
            prompts, shows, pad_id=self.model.pad_id, placeholder_id=placeholder, part=part
        )

    def prompts(self, examples: Sequence[Example], *, answered: bool) -> list[Prompt]:
        """Write the prompts of examples, with their answers or without."""
        return [
            self.template.build(
                one.layers, len(one.positions), one.question, one.answer if answered else None
            )
            for one in examples
        ]

    def asked(self, examples: Sequence[Example], vectors: Shows, *, answered: bool) -> list[Asked]:
        """Write the prompts of examples, as `prompts`, each with what it is shown."""
        prompts = self.prompts(examples, answered=answered)
        return [Asked(prompt, shown) for prompt, shown in zip(prompts, vectors, strict=True)]

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
    def injecting(self, batch: Batch, *, before: int = 0) -> Generator[None]:
        """Write a batch's vectors in the forward passes inside the scope.

        `before`: how many columns a cache holds already.
        """
        if batch.rows.numel() == 0:
            yield
            return
        writing = batch.writing(strength=self.card.strength, mode=self.card.mode, before=before)
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

        What prompts begin alike with runs once for them, the vectors that they show included.
        """
        answer = self._drawn if can_repeat(self.model.network) else self._drawn_apart
        drawn: dict[int, list[Drawn]] = {}
        beyond = how.samples * how.max_new_tokens
        with self.model.seeded(how.seed), self._running(asked, beyond):
            for rows in run_together(asked, how.samples):
                ids = answer([asked[row] for row in rows], how, on_text)
                said = iter(self._read_out(ids))
                drawn.update({row: list(islice(said, how.samples)) for row in rows})
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
        found: dict[int, list[list[float]]] = {}
        with self._running(asked, count):
            for rows in run_together(asked, count):
                behind = [tail for row in rows for tail in tails[row]]
                longest = max(map(len, behind))
                begun = self._begun([asked[row] for row in rows], count, longest)
                values = iter(begun.likelihoods(self.model.network, behind))
                found.update({row: list(islice(values, count)) for row in rows})
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
        """Return, for each prompt with its answer, the log-probability of every token learned.

        What is asked of one reading runs behind it, as in `tails`.
        """
        if can_repeat(self.model.network) and len(by_reading(asked)) < len(asked):
            behind = [[one.prompt.ids[one.prompt.answer_start :]] for one in asked]
            return [values for [values] in self.tails(asked, behind)]
        order = sorted(range(len(asked)), key=lambda i: len(asked[i].prompt.ids))
        found: dict[int, list[float]] = {}
        with self._running(asked, 0):
            for start in range(0, len(order), ROWS_PER_BATCH):
                rows = order[start : start + ROWS_PER_BATCH]
                batch = self.batch([asked[row] for row in rows], whole=True)
                with self.injecting(batch):
                    values = self.log_likelihoods(batch)
                counts = torch.bincount(batch.label_rows, minlength=len(rows)).tolist()
                for row, part in zip(rows, values.cpu().split(counts), strict=True):
                    found[row] = part.tolist()
        return [found[row] for row in range(len(asked))]

    @contextmanager
    def _running(self, asked: Sequence[Asked], beyond: int) -> Generator[None]:
        """Let prompts run through, with so many tokens behind each; no gradient flows."""
        num_tokens = sum(len(one.prompt.ids) + beyond for one in asked)
        with (
            torch.no_grad(),
            self.model.using(self.adapter),
            merging(self.model.network, self.adapter, num_tokens),
        ):
            yield

    def _drawn(
        self, asked: Sequence[Asked], how: Decoding, on_text: Callable[[str], None] | None
    ) -> list[tuple[int, ...]]:
        begun = self._begun(asked, how.samples, how.max_new_tokens)
        streamer = None if on_text is None else Streamer(self.model, on_text)
        return drawn_from(self.model.network, begun, how, self._stops, streamer)

    def _drawn_apart(
        self, asked: Sequence[Asked], how: Decoding, on_text: Callable[[str], None] | None
    ) -> list[tuple[int, ...]]:
        """Run every prompt, and every sample, in a row of its own from end to end."""
        batch = self.batch([one for one in asked for _ in range(how.samples)], whole=False)
        streamer = None if on_text is None else Streamer(self.model, on_text)
        with self.injecting(batch):
            new = self.model.generate(batch.ids, batch.mask, self._settings(how), streamer)
        return [until(ids, self._stops) for ids in new.tolist()]

    def _begun(self, asked: Sequence[Asked], times: int, beyond: int) -> Prefill | Packed:
        """Run prompts up to their answers, for as many answers each, and so many columns more."""
        parts = cut(asked)
        repeated = [row for row in range(len(asked)) for _ in range(times)]
        if can_pack(self.model.network, parts, beyond * len(repeated)):
            with self.injecting(self.batch(parts.heads, whole=False)):
                return packed(self.model.network, parts).picked(repeated)
        if not sees_all(self.model.network, parts.num_columns + beyond):
            # Padding stands between the parts where they differ in length.
            parts = uncut(asked)
        begun = None
        if parts.openings:
            begun = self._run(self._bare(parts.openings)).picked(parts.opening_of)
        begun = self._run(self.batch(parts.heads, whole=False), begun)
        if parts.tails:
            begun = self._run(self._bare(parts.tails), begun.picked(parts.head_of))
        return begun.picked(repeated)

    def _bare(self, prompts: Sequence[Prompt]) -> Batch:
        return self.lay_out(prompts, [False] * len(prompts), whole=False)

    def _run(self, batch: Batch, begun: Prefill | None = None) -> Prefill:
        device = self.model.device
        with self.injecting(batch, before=0 if begun is None else begun.mask.shape[1]):
            return prefill(self.model.network, batch.ids.to(device), batch.mask.to(device), begun)

    def _read_out(self, said: Sequence[tuple[int, ...]]) -> list[Drawn]:
        texts = self.model.tokenizer.batch_decode(list(map(list, said)), skip_special_tokens=True)
        return [Drawn(ids, text.strip()) for ids, text in zip(said, texts, strict=True)]

    @property
    def _stops(self) -> frozenset[int]:
        return frozenset((*(self.model.decoding(1).eos_token_id or ()), *self.template.stop_ids))

    def _settings(self, how: Decoding) -> GenerationConfig:
        settings = self.model.decoding(how.max_new_tokens, how.temperature)
        settings.eos_token_id = sorted(self._stops)
        settings.begin_suppress_tokens = list(how.avoiding) or None
        return settings
