"""metrics.jsonl: one line of figures every few steps, none of which costs a device a wait between.

Figures stay tensors until a line is written. A run that goes on from a checkpoint first drops the
lines that came after it, so the file reads as if the run had never stopped.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import PartialState
from torch import Tensor

from activation_oracles.errors import ConfigError
from activation_oracles.files import naming_what_fails, writing
from activation_oracles.training import together
from activation_oracles.training.evaluate import HeldOutScore
from activation_oracles.training.tracking import Tell


class Learned(NamedTuple):
    """What one step made of a process's share of its batch, to be added up over processes."""

    loss: Tensor
    apart: Tensor | None = None
    """What grounding cost, times its weight, where there is any."""


class Metrics:
    """The figures of a run, gathered over some steps and written as one line."""

    def __init__(self, path: Path, step: int, tell: Tell | None = None) -> None:
        self._path = path
        self._tell = tell
        self._processes = PartialState()
        if self._processes.is_main_process:
            kept = [line for line in _lines(path) if json.loads(line)["step"] <= step]
            with writing(path) as part:
                part.write_text("".join(kept), encoding="utf-8")
        self._begin()

    def add(self, learned: Learned, norm: Tensor, num_examples: int, num_tokens: int) -> None:
        """Take in one step: this process's share of the loss, and its examples and tokens."""
        self._losses.append(learned.loss)
        if learned.apart is not None:
            self._apart.append(learned.apart)
        self._norms.append(norm)
        self._num_examples += num_examples
        self._num_tokens += num_tokens

    def write(self, step: int, rate: float) -> float:
        """Write a line over the steps since the last one, and return their mean loss.

        Raises:
            ConfigError: the loss is not a finite number any more.
        """
        loss = float(together.total(torch.stack(self._losses).mean()))
        norm = float(torch.stack(self._norms).mean())
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise diverged(
                f"The loss is {loss} and its gradient {norm} in the {len(self._losses)} steps up "
                f"to {step}"
            )
        apart = {}
        if self._apart:
            apart = {"grounding": float(together.total(torch.stack(self._apart).mean()))}
        seconds = max(time.perf_counter() - self._since, 1e-9)
        width = self._processes.num_processes
        self._append(
            {
                "step": step,
                "loss": loss,
                **apart,
                "learning_rate": rate,
                "gradient_norm": norm,
                "examples_per_second": round(self._num_examples * width / seconds, 2),
                "tokens_per_second": round(self._num_tokens * width / seconds, 1),
            }
        )
        self._begin()
        return loss

    def write_held_out(self, step: int, scores: Mapping[str, HeldOutScore]) -> None:
        """Write a line of held-out scores by task; the time they took counts for no step."""
        self._append({"step": step, "held_out": {task: asdict(s) for task, s in scores.items()}})
        self._since = time.perf_counter()

    def _begin(self) -> None:
        self._losses: list[Tensor] = []
        self._apart: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._num_examples = 0
        self._num_tokens = 0
        self._since = time.perf_counter()

    def _append(self, record: dict[str, Any]) -> None:
        if self._processes.is_main_process:
            with naming_what_fails(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            if self._tell is not None:
                figures = {name: value for name, value in record.items() if name != "step"}
                self._tell(record["step"], figures)


def diverged(what: str) -> ConfigError:
    """Return the error of a run whose numbers are none any more, and what to do then."""
    return ConfigError(
        f"{what}: the run has diverged. What was saved is from before, and sound, but to resume it "
        "would come to the same: start another run, with a lower `learning_rate` and in another "
        "`output`."
    )


def _lines(path: Path) -> list[str]:
    """Return the whole lines of the file; a run that was killed may have left half a one."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
