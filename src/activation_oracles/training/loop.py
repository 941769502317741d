"""Training an oracle, readable top to bottom: read, collate, learn, step, and now and then look.

A window of batches is read at once by the bare target (adapter off), each distinct text once; then
the oracle learns from its batches. On several processes (`accelerate launch`) each takes its share
of every batch, and gradients are added up weighted by labelled tokens, so the step is the one that
a single process would make; a mean of per-process means would not be.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from heapq import nlargest
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn
from transformers import PreTrainedModel

from activation_oracles.files import naming_what_fails, writing
from activation_oracles.models.load import LanguageModel
from activation_oracles.oracle.collate import Batch
from activation_oracles.tasks import store
from activation_oracles.training import checkpoint, together
from activation_oracles.training.config import TrainConfig, rate_at
from activation_oracles.training.evaluate import HeldOutScore, evaluate
from activation_oracles.training.merging import merging
from activation_oracles.training.metrics import Metrics
from activation_oracles.training.preflight import longest, preflight
from activation_oracles.training.prepare import SETTINGS, Run, prepare
from activation_oracles.training.progress import Step, bar
from activation_oracles.training.randomness import random_numbers_kept
from activation_oracles.training.stopping import Heard, StoppedError, listening
from activation_oracles.training.tracking import check_trackers, tracking
from activation_oracles.training.versions import versions

Vectors = Mapping[int, Tensor | None]
"""What each example is shown, by its index; None for nothing."""


def train(
    config: TrainConfig,
    *,
    model: LanguageModel | None = None,
    progress: Callable[[Iterator[Step]], Iterable[Step]] = bar,
) -> Path:
    """Train an oracle and return the folder it is saved in, for `Oracle.from_pretrained`.

    Args:
        config: the settings; they are written beside the result.
        model: the model, where it is loaded already.
        progress: draws the steps it passes on; by default a bar on stderr.

    Raises:
        StoppedError: it was told to end, by SIGTERM or SIGINT, and has saved what it did.
        OracleError: something in the settings, the data or the model that a user can mend.
    """
    check_trackers(config.trackers)
    with random_numbers_kept():
        run = prepare(config, model)
        with listening() as heard:
            for _ in progress(steps(run, heard)):
                pass
    return run.output


def steps(run: Run, heard: Heard = lambda: 0) -> Iterator[Step]:
    """Do the training, step by step; the oracle is saved behind the last one.

    Args:
        run: what `prepare` made.
        heard: looked at after each step; by default nothing tells the run to end.

    Raises:
        StoppedError: it was told to end; a checkpoint holds all steps that were done.
    """
    config, num_steps = run.config, run.num_steps
    parameters = list(run.parameters.values())
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=config.weight_decay, fused=True)
    done = 0
    if saved := checkpoint.latest(run.output) if config.resume else None:
        done = checkpoint.restore(saved, run.parameters, optimizer, run.identity, config.seed)
    scores: dict[str, HeldOutScore] = {}
    network = run.oracle.model.network
    with (
        tracking(config.trackers, run.settings, run.output, done) as tell,
        _checkpointing(network, wanted=config.gradient_checkpointing),
        merging(network, run.oracle.adapter),
    ):
        _write_settings(run)
        if done < num_steps:
            _try_longest(run)
        metrics = Metrics(run.output / "metrics.jsonl", done, tell)
        for batch, vectors in _batches(run, done):
            rate = rate_at(config, done, num_steps)
            loss, num_tokens = _learn(run, batch, vectors)
            norm = _step(optimizer, parameters, rate, config.clip_norm)
            done += 1
            metrics.add(loss, norm, len(batch), num_tokens)
            last = done == num_steps
            told = 0 if last else together.highest(heard(), run.oracle.model.device)
            saves = last or told or done % config.save_every == 0
            shown = None
            if saves or done % config.log_every == 0:
                shown = metrics.write(done, rate)
            if last or done % config.evaluate_every == 0:
                scores = _evaluate(run)
                metrics.write_held_out(done, scores)
            if saves:
                checkpoint.save(run.output, done, run.parameters, optimizer, run.identity)
            yield Step(done, num_steps, config.batch_size, shown)
            if told:
                raise StoppedError(told, done, num_steps, run.output)
    _finish(run, scores or _evaluate(run))


def _write_settings(run: Run) -> None:
    """Write the settings beside the result, once it is certain that the run may go on."""
    # Another process may still be looking whether the folder is free.
    together.wait()
    if PartialState().is_main_process:
        run.output.mkdir(parents=True, exist_ok=True)
        with writing(run.output / SETTINGS) as part:
            run.settings.save(part)
    together.wait()


def _batches(run: Run, done: int) -> Iterator[tuple[list[int], Vectors]]:
    """Yield this process's share of each batch after the first `done`, and what was read for it.

    A window that was begun before a resume is read whole again: texts read in other company are
    padded otherwise, and their vectors would differ in the last bit.
    """
    processes = PartialState()
    number = 0
    for epoch in range(run.config.epochs):
        for window in run.windows(epoch):
            start, number = number, number + len(window)
            if number <= done:
                continue
            shares = [b[processes.process_index :: processes.num_processes] for b in window]
            vectors = _read(run, [index for share in shares for index in share])
            for place, share in enumerate(shares, start=start):
                if place >= run.num_steps:
                    return
                if place >= done:
                    yield share, vectors


def _read(run: Run, indices: Sequence[int]) -> Vectors:
    vectors = run.slots.vectors([run.examples[index] for index in indices])
    return dict(zip(indices, vectors, strict=True))


def _learn(run: Run, indices: Sequence[int], vectors: Vectors) -> tuple[Tensor, int]:
    """Add a batch's gradients up; return this process's share of its mean loss, and its tokens."""
    count = run.config.accumulate
    # Neighbours, not every so-manieth: they are of like length, so that little is padded.
    ends = [len(indices) * number // count for number in range(count + 1)]
    parts = [
        run.oracle.collate([run.examples[i] for i in part], [vectors[i] for i in part])
        for part in (indices[start:end] for start, end in pairwise(ends))
    ]
    num_labels = _in_all(run, sum(part.num_labels for part in parts))
    loss = torch.zeros((), device=run.oracle.model.device)
    for part in parts:
        with _loss(run, part) as mean:
            share = mean * (part.num_labels / num_labels)
            share.backward()
        loss += share.detach()
    _add_gradients(run.parameters.values())
    return loss, sum(int(part.mask.sum()) for part in parts)


@contextmanager
def _loss(run: Run, part: Batch) -> Generator[Tensor]:
    """Yield the loss of a batch; backward belongs inside this scope, and outside autocast."""
    device, wanted = run.oracle.model.device.type, run.config.autocast
    with ExitStack() as scope:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=wanted):
            loss = scope.enter_context(run.oracle.learning(part))
        yield loss


def _step(
    optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], rate: float, clip: float
) -> Tensor:
    """Move the weights once; return the gradient's norm before it was clipped."""
    norm = nn.utils.clip_grad_norm_(parameters, clip)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def _in_all(run: Run, count: int) -> int:
    if PartialState().num_processes == 1:
        return count
    return int(together.total(torch.tensor(count, device=run.oracle.model.device)))


def _add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sum gradients over processes, all in one message: an adapter is small."""
    if PartialState().num_processes == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = together.total(torch.cat([one.flatten() for one in gradients]))
    sizes = [one.numel() for one in gradients]
    for gradient, summed in zip(gradients, total.split(sizes), strict=True):
        gradient.copy_(summed.view_as(gradient))


def _try_longest(run: Run) -> None:
    """Run the longest batch, and read as many of the longest texts, before the first step."""
    batches = (batch for window in run.windows(0) for batch in window)
    known = run.known
    batch = longest(batches, known.lengths)
    widest = nlargest(len(batch), range(len(run.examples)), known.context_lengths.__getitem__)
    width = PartialState().num_processes
    share = list(batch)[PartialState().process_index :: width]

    def run_backward() -> None:
        run.slots.vectors([run.examples[index] for index in widest[: len(share)]])
        _learn(run, share, _read(run, share))

    what = (
        f"{len(batch)} examples, the longest of about {max(known.lengths[i] for i in batch)} "
        f"tokens; texts of up to {known.context_lengths[widest[0]]}"
    )
    preflight(run_backward, run.parameters.values(), what)


@contextmanager
def _checkpointing(network: PreTrainedModel, *, wanted: bool) -> Generator[None]:
    """Compute blocks again in backward passes inside the scope."""
    if not wanted:
        yield
        return
    # transformers 5.23 renames the pair; the old names only warn there.
    kind = "activation" if hasattr(network, "activation_checkpointing_enable") else "gradient"
    getattr(network, f"{kind}_checkpointing_enable")({"use_reentrant": False})
    try:
        yield
    finally:
        getattr(network, f"{kind}_checkpointing_disable")()


def _evaluate(run: Run) -> dict[str, HeldOutScore]:
    with random_numbers_kept():
        return evaluate(run.oracle, run.slots, run.held_out, batch_size=4 * run.config.batch_size)


def _finish(run: Run, scores: dict[str, HeldOutScore]) -> None:
    """Write the oracle with its card: settings, data and last held-out scores."""
    training: dict[str, Any] = {
        "config": run.settings.model_dump(mode="json"),
        "data": [
            store.read_manifest(source) if Path(source).is_dir() else {"file": Path(source).name}
            for source in run.config.sources
        ],
        "steps": run.num_steps,
        "versions": versions(),
    }
    held_out = {task: asdict(score) for task, score in scores.items()}
    run.oracle.card = run.oracle.card.model_copy(
        update={"training": training, "scores": {"held_out": held_out}}
    )
    if PartialState().is_main_process:
        with naming_what_fails(run.output):
            run.oracle.save(run.output)
    together.wait()
