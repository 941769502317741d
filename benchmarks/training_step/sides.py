"""Both sides, to be read one after the other: this trainer's steps, and the published loop's."""

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn

from activation_oracles.models.blocks import residual
from activation_oracles.models.read import read
from activation_oracles.oracle.collate import IGNORED
from activation_oracles.oracle.prompt import Prompt
from activation_oracles.training import loop
from activation_oracles.training.ahead import working_ahead
from activation_oracles.training.merging import merging
from activation_oracles.training.parts import Share, lay_out
from activation_oracles.training.prepare import Run
from activation_oracles.training.readahead import Readings, depth, shares
from activation_oracles.training.readahead import read as read_window
from activation_oracles.types import Example
from training_step.mixture import Batch
from training_step.setting import DEVICE, ON_GPU

Steps = list[tuple[float, float]]
"""Loss and gradient norm, step by step."""


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
                share, readings = next(self._shares)
                self.reading += (clock() - start) if number == 0 else 0.0
                if [index for part in share.parts for index in part.indices] in wanted:
                    done.append(self.step(share, readings))
        return done

    def warm_up(self, batch: Batch) -> None:
        """Run as a step does, but for the update."""
        share, readings = lay_out(self._run, batch), read_window(self._run, batch)
        with checkpointing(self._run, wanted=self._run.config.gradient_checkpointing):
            loop._learn(self._run, share, readings)  # pyright: ignore[reportPrivateUsage]
        self._optimizer.zero_grad()

    def end(self) -> None:
        """End the thread that lays out ahead."""
        self._shares.close()
        self._thread.close()

    def step(self, share: Share, readings: Readings) -> tuple[float, float]:
        config = self._run.config
        learned = loop._learn(  # pyright: ignore[reportPrivateUsage]
            self._run, share, readings
        )
        norm = loop._step(  # pyright: ignore[reportPrivateUsage]
            self._optimizer, self._parameters, config.learning_rate, config.clip_norm
        )
        return float(learned.loss), float(norm)


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


def clock() -> float:
    if not ON_GPU:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()
