"""Evaluations for inspect_ai (extra `inspect`): answers as logs that its viewer opens, and tasks.

Logs are made of finished answers, with inspect's own writer and metrics, and not by running tasks
under it: answering stays in batches and goes on where it was stopped, and a log holds the very
scores of the table. A log is a line of the table: one answerer, under one control, on one task.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.cases import Case, subject_of, unit_of
from activation_oracles.evals.evaluation import Answerer, Record, Row, judged, table
from activation_oracles.evals.grade import Grade
from activation_oracles.files import writing
from activation_oracles.types import Example

SCORER = "grade"
UNIT = "unit"
"""Where a sample says what it is evidence of: standard errors are clustered by it."""


def check_inspect() -> None:
    """See that inspect_ai is there, before hours are spent on answers.

    Raises:
        ConfigError: it is not installed.
    """
    _module("log")


def write_logs(records: Sequence[Record], folder: Path, about: Mapping[str, Any]) -> list[Path]:
    """Write one log for each task, answerer and control, and return their paths.

    The same run gives the same names and replaces its logs; other runs' may lie beside them.

    Args:
        records: what `answered` or `run` returned.
        folder: for `inspect view --log-dir`.
        about: what decides the answers (oracle, data, seed ...); shown with every log.

    Raises:
        ConfigError: inspect_ai is not installed.
        DataError: there are no answers, or a log cannot be written.
    """
    log = _module("log")
    if not records:
        raise DataError("There are no answers to write logs of.")
    facts: dict[str, Any] = json.loads(json.dumps(dict(about), default=str))
    groups: dict[tuple[str, str, str | None], list[Record]] = {}
    for record in records:
        groups.setdefault((record.example.task, record.who, record.control), []).append(record)
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    for row in table(records):
        made = _log(row, groups[row.task, row.who, row.control], facts)
        name = "-".join(re.findall(r"\w+", f"{row.task} {_model(row.who, row.control)}".casefold()))
        path = folder / f"{name[:100]}_{made.eval.task_id}.eval"
        with writing(path) as part:
            log.write_eval_log(made, part, format="eval")
        found.append(path)
    return found


def tasks(
    examples: Sequence[Example],
    answerers: Sequence[Answerer],
    grade: Grade | Mapping[str, Grade],
) -> list[Any]:
    """Return `inspect_ai.Task`s, one for each answerer and task, to run under inspect itself.

    No model is called: give `eval` `model=None`. The first sample to be solved lets its answerer
    answer all of its rows in one batch, as everywhere here; other answerers are left alone.

    Args:
        examples: the rows, as `Evaluation.drawn` returns them.
        answerers: who answers; controls are answerers like any other.
        grade: one rule for all, or one for each task.

    Raises:
        ConfigError: inspect_ai is not installed.
    """
    named = dict.fromkeys(one.task for one in examples)
    found: list[Any] = []
    for answerer in answerers:
        said = cache(_answering(examples, answerer, grade))
        for name in named:
            rows = [one for one in examples if one.task == name]
            found.append(_task(name, rows, answerer, said))
    return found


def _answering(
    examples: Sequence[Example], answerer: Answerer, grade: Grade | Mapping[str, Grade]
) -> Callable[[], dict[str, list[Record]]]:
    def answered() -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in judged(examples, answerer, grade):
            found.setdefault(record.example.task, []).append(record)
        return found

    return answered


def _task(
    name: str,
    rows: Sequence[Example],
    answerer: Answerer,
    said: Callable[[], dict[str, list[Record]]],
) -> Any:
    model = _model(answerer.name, answerer.control)

    def record_of(state: Any) -> Record:
        return said()[name][state.sample_id - 1]

    @_module("solver").solver(name="answered")
    def answered() -> Any:
        async def solve(state: Any, _generate: Any) -> Any:
            state.output = _module("model").ModelOutput.from_content(model, record_of(state).text)
            return state

        return solve

    metrics = _module("scorer")

    @metrics.scorer(name=SCORER, metrics=[metrics.accuracy(), metrics.stderr(cluster=UNIT)])
    def graded() -> Any:
        async def score(state: Any, _target: Any) -> Any:
            return _score(record_of(state))

        return score

    data = _module("dataset")
    samples = [
        data.Sample(id=number, input=one.question, target=one.answer, metadata=_metadata(one))
        for number, one in enumerate(rows, start=1)
    ]
    return import_module("inspect_ai").Task(
        dataset=data.MemoryDataset(samples, name=name),
        solver=answered(),
        scorer=graded(),
        name=f"{name}, {model}",
        metadata={"who": answerer.name, "control": answerer.control},
    )


def _log(row: Row, records: Sequence[Record], facts: Mapping[str, Any]) -> Any:
    log = _module("log")
    now = datetime.now(UTC).isoformat()
    run_id = _hash(facts)
    held = log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created=now,
            task=row.task,
            run_id=run_id,
            task_id=_hash([run_id, row.task, row.who, row.control]),
            # Who answered: a control is no other model, but must not be read for the real thing.
            model=_model(row.who, row.control),
            dataset=log.EvalDataset(
                name=row.task, samples=len(records), sample_ids=list(range(1, len(records) + 1))
            ),
            config=log.EvalConfig(epochs=1),
            scorers=[_scorer(row)],
            packages={name: version(name) for name in ("activation-oracles", "inspect-ai")},
            metadata=_told(row) | dict(facts),
        ),
        stats=log.EvalStats(started_at=now, completed_at=now),
        samples=[_sample(number, one) for number, one in enumerate(records, start=1)],
    )
    log.recompute_metrics(held)
    if row.estimate is None:
        # An average over no samples is 0 to inspect; nothing was scored, and nothing is said.
        held.results.headline = None
        for score in held.results.scores:
            score.metrics = {}
    return held


def _scorer(row: Row) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [{"name": "accuracy", "options": {}}]
    # Of one unit inspect would say that the standard error is 0, where it is unknown.
    if row.estimate is not None and row.estimate.num_units > 1:
        kinds.append({"name": "stderr", "options": {"cluster": UNIT}})
    return {"name": SCORER, "options": {}, "metrics": kinds, "metadata": {}}


def _told(row: Row) -> dict[str, Any]:
    """Return what the table says of a line beside its score."""
    said: dict[str, Any] = {
        "who": row.who,
        "control": row.control,
        "chance": row.chance,
        "majority": row.majority,
    }
    if row.estimate is not None:
        said |= {
            "interval_95": [row.estimate.low, row.estimate.high],
            "units": row.estimate.num_units,
        }
    return said


def _sample(number: int, record: Record) -> Any:
    model = _module("model")
    example = record.example
    output = model.ModelOutput.from_content(_model(record.who, record.control), record.text)
    return _module("log").EvalSample(
        id=number,
        epoch=1,
        input=example.question,
        target=example.answer,
        messages=[model.ChatMessageUser(content=example.question), output.message],
        output=output,
        scores={SCORER: _score(record)},
        metadata=_metadata(example),
    )


def _score(record: Record) -> Any:
    kind = _module("scorer").Score
    if record.score is None:
        return kind.unscored(answer=record.text, explanation="The rule cannot judge this answer.")
    return kind(value=record.score, answer=record.text)


def _metadata(example: Example) -> dict[str, Any]:
    """Return everything but the question, its answer and the token ids that were read."""
    found: dict[str, Any] = {
        "subject": subject_of(example),
        UNIT: unit_of(example),
        "layers": list(example.layers),
        "positions": list(example.positions),
        "task": example.task,
        "source": example.source,
        "shown": example.shown,
    }
    if isinstance(example, Case) and example.talk:
        found["talk"] = [{"role": role, "content": content} for role, content in example.talk]
    return found


def _model(who: str, control: str | None) -> str:
    return who if control is None else f"{who}, control: {control}"


def _hash(what: Any) -> str:
    return sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


def _module(name: str) -> Any:
    try:
        return import_module(f"inspect_ai.{name}")
    except ImportError as error:
        raise ConfigError(
            "Logs for inspect need inspect_ai: pip install 'activation-oracles[inspect]', or leave "
            "out `inspect`."
        ) from error
