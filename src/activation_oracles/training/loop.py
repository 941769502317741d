"""Training an oracle, readable top to bottom: read, collate, learn, step, and now and then look.

A window of batches is read at once by the bare target (adapter off), each distinct text once; then
the oracle learns from its batches. On several processes (`accelerate launch`) each takes its share
of every batch, and gradients are added up weighted by labelled tokens, so the step is the one that
a single process would make; a mean of per-process means would not be.

Between two lines of metrics nothing asks a device for a number, or waits for one: what the loop
must know of a batch is known before it, on the CPU.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from heapq import nlargest
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn
from transformers import PreTrainedModel

from activation_oracles.errors import ConfigError
from activation_oracles.files import folder_at, naming_what_fails, writing
from activation_oracles.models.load import LanguageModel
from activation_oracles.models.rows import whole_rows
from activation_oracles.oracle.collate import Batch
from activation_oracles.tasks import store
from activation_oracles.training import checkpoint, together
from activation_oracles.training.ahead import working_ahead
from activation_oracles.training.compiling import compiling
from activation_oracles.training.config import TrainConfig, rate_at
from activation_oracles.training.evaluate import HeldOutScore, evaluate
from activation_oracles.training.merging import merging
from activation_oracles.training.metrics import Learned, Metrics
from activation_oracles.training.parts import Share, fullest, lay_out, share_of
from activation_oracles.training.practice import Grade, Practising
from activation_oracles.training.preflight import longest, preflight
from activation_oracles.training.prepare import SETTINGS, Run, prepare
from activation_oracles.training.progress import Step, bar
from activation_oracles.training.randomness import random_numbers_kept
from activation_oracles.training.readahead import Readings, depth, read, shares
from activation_oracles.training.stopping import Heard, StoppedError, listening
from activation_oracles.training.tracking import check_trackers, tracking
from activation_oracles.training.versions import versions
from activation_oracles.training.words import holding


def train(
    config: TrainConfig,
    *,
    model: LanguageModel | None = None,
    grade: Grade | None = None,
    progress: Callable[[Iterator[Step]], Iterable[Step]] = bar,
) -> Path:
    """Train an oracle and return the folder it is saved in, for `Oracle.from_pretrained`.

    Args:
        config: the settings; they are written beside the result.
        model: the model, where it is loaded already.
        grade: says how right an answer is, where the oracle learns from its own (`practice`).
        progress: draws the steps it passes on; by default a bar on stderr.

    Raises:
        StoppedError: it was told to end, by SIGTERM or SIGINT, and has saved what it did.
        OracleError: something in the settings, the data or the model that a user can mend.
    """
    check_trackers(config.trackers)
    with random_numbers_kept():
        run = prepare(config, model)
        # Closed at once, whatever ends it: an error keeps a generator that it left alive.
        with listening() as heard, closing(steps(run, heard, grade)) as done:
            for _ in progress(done):
                pass
    return run.output


def steps(run: Run, heard: Heard = lambda: 0, grade: Grade | None = None) -> Generator[Step]:
    """Do the training, step by step; the oracle is saved behind the last one.

    Args:
        run: what `prepare` made.
        heard: looked at after each step; by default nothing tells the run to end.
        grade: of the oracle's own answers, where it learns from them.

    Raises:
        ConfigError: the oracle is to learn from its own answers, and there is no grade.
        StoppedError: it was told to end; a checkpoint holds all steps that were done.
    """
    config, num_steps = run.config, run.num_steps
    parameters = list(run.parameters.values())
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=config.weight_decay, fused=True)
    done = 0
    if saved := checkpoint.latest(run.output) if config.resume else None:
        done = checkpoint.restore(saved, run.parameters, optimizer, run.identity, config.seed)
    learn = _learning(run, grade)
    scores: dict[str, HeldOutScore] = {}
    network = run.oracle.model.network
    with (
        tracking(config.trackers, run.settings, run.output, done) as tell,
        compiling(run.oracle.model.blocks, wanted=config.compile),
        _checkpointing(network, wanted=config.gradient_checkpointing),
        merging(network, run.oracle.adapter),
        whole_rows(),
        working_ahead(depth(config, run.oracle.model.device)) as ahead,
        closing(shares(run, done, ahead)) as found,
    ):
        _write_settings(run)
        if done < num_steps:
            _try_longest(run)
        metrics = Metrics(run.output / "metrics.jsonl", done, tell)
        for share, readings in found:
            rate = rate_at(config, done, num_steps)
            learned = learn(share, readings, done)
            norm = _step(optimizer, parameters, rate, config.clip_norm)
            done += 1
            metrics.add(learned, norm, share.num_examples, share.num_tokens)
            last = done == num_steps
            told = 0 if last else _told(run, heard, done)
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
    finish(run, scores)


def _learning(run: Run, grade: Grade | None) -> Callable[[Share, Readings, int], Learned]:
    """Return what a step learns from: the true answers, or the oracle's own as they are graded."""
    how = run.config.practice
    if not how.samples:
        return lambda share, readings, _step: _learn(run, share, readings)
    if grade is None:
        raise ConfigError("`practice` grades answers: hand over a rule, as evals.grade.exact.")
    practising = Practising(run, how, grade)

    def practise(share: Share, readings: Readings, step: int) -> Learned:
        earned = practising.learn(share, readings, step)
        _add_gradients(run.parameters.values())
        return Learned(earned.to(run.oracle.model.device))

    return practise


def _write_settings(run: Run) -> None:
    """Write the settings beside the result, once it is certain that the run may go on."""
    # Another process may still be looking whether the folder is free.
    together.wait()
    if PartialState().is_main_process:
        with writing(folder_at(run.output) / SETTINGS) as part:
            run.settings.save(part)
    together.wait()


def _learn(run: Run, share: Share, readings: Readings) -> Learned:
    """Add a batch's gradients up; return this process's share of its mean loss."""
    loss = torch.zeros((), device=run.oracle.model.device)
    apart = torch.zeros_like(loss)
    for part in share.parts:
        batch = part.batch.showing([readings.vectors[i] for i in part.indices], finite=True)
        with holding(run, part, readings.words) as cost, _loss(run, batch) as mean:
            weighted, distance = mean * (part.batch.num_labels / share.num_labels), cost()
            (weighted + distance).backward()
        loss += weighted.detach()
        apart += distance.detach()
    _add_gradients(run.parameters.values())
    return Learned(loss, apart if run.config.grounding.weight else None)


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


def _told(run: Run, heard: Heard, done: int) -> int:
    """Return the signal that any process was told to end by, 0 where none was.

    Processes on GPUs agree when a line of metrics is due: to ask each step would make them wait.
    """
    device = run.oracle.model.device
    alone = PartialState().num_processes == 1
    if alone or device.type == "cpu" or done % run.config.log_every == 0:
        return together.highest(heard(), device)
    return 0


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
    known = run.known
    batch = longest(_all_batches(run), known.lengths)
    tried = [batch]
    if run.config.part_tokens is not None:
        # The longest example alone may take less than many that are shorter.
        tried.append(fullest(run, _all_batches(run)))
    widest = nlargest(len(batch), range(len(run.examples)), known.context_lengths.__getitem__)

    def run_backward() -> None:
        run.slots.vectors([run.examples[index] for index in share_of(widest)])
        for one in tried:
            _learn(run, lay_out(run, one), read(run, share_of(one)))

    what = (
        f"{len(batch)} examples, the longest of about {max(known.lengths[i] for i in batch)} "
        f"tokens; texts of up to {known.context_lengths[widest[0]]}"
    )
    preflight(run_backward, run.parameters.values(), what)


def _all_batches(run: Run) -> Iterator[list[int]]:
    return (batch for window in run.windows(0) for batch in window)


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


def finish(run: Run, scores: Mapping[str, HeldOutScore] = MappingProxyType({})) -> None:
    """Write the oracle with its card: settings, data and held-out scores.

    Args:
        run: what is finished.
        scores: its last ones; by default they are made now.
    """
    training: dict[str, Any] = {
        "config": run.settings.model_dump(mode="json"),
        "data": [
            store.read_manifest(source) if Path(source).is_dir() else {"file": Path(source).name}
            for source in run.config.sources
        ],
        "steps": run.num_steps,
        "versions": versions(),
    }
    held_out = {task: asdict(score) for task, score in (scores or _evaluate(run)).items()}
    run.oracle.card = run.oracle.card.model_copy(
        update={"training": training, "scores": {"held_out": held_out}}
    )
    if PartialState().is_main_process:
        with naming_what_fails(run.output):
            run.oracle.save(run.output)
    together.wait()
