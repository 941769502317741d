"""Make the village from nothing: tokenizer, base model, organisms, oracle, and the table of scores.

Every part lies finished in the folder or is made; a part that was interrupted goes on where it
stopped. Unfinished work lies in `work/` inside the folder and is not shipped.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from activation_oracles.errors import ConfigError
from activation_oracles.models.load import LanguageModel, load
from activation_oracles.models.target import Target
from activation_oracles.tasks import store
from activation_oracles.world import toolbox
from activation_oracles.world.behaviour import check
from activation_oracles.world.cards import (
    CARD,
    WorldCard,
    card_of,
    save_organism_card,
    save_world_card,
)
from activation_oracles.world.gate import check_gate, gate
from activation_oracles.world.load import ABSTAINER, BASE, DEVELOPMENT, ORACLE, TOOLS, load_demo
from activation_oracles.world.oracles import (
    ABSTAINING,
    COMMAND,
    FIRST,
    WEIGHTS,
    average,
    closing_stages,
    finish_oracle,
    stages,
    train_stage,
    write_questions,
)
from activation_oracles.world.organisms import OrganismRecipe, teach
from activation_oracles.world.parts import (
    ABSTAINER_CARD,
    ALL,
    CURVES,
    ORACLE_CARD,
    REFUSAL,
    forget,
    home_of,
    is_done,
    needed,
    note_minutes,
    work_of,
)
from activation_oracles.world.pretrain import PretrainConfig, pretrain
from activation_oracles.world.pretrain import Step as BaseStep
from activation_oracles.world.recipe import Recipe
from activation_oracles.world.records import edit_record, halve, read_record, write_record
from activation_oracles.world.scores import scores
from activation_oracles.world.secrets import Secret, secrets
from activation_oracles.world.sureness import curve, refusal
from activation_oracles.world.tokenizer import train_tokenizer
from activation_oracles.world.toolbox import teach_tools, tools_card
from activation_oracles.world.workers import Heard, share, together

GATE = "gate.json"
"""What the base can do in text, beside other unfinished work."""
Draw = Callable[[Iterator[Any], str, int], Iterable[Any]]
"""Passes steps on and draws them: gets the steps, a title, and how many there will be."""


def silent(steps: Iterator[Any], _title: str, _total: int) -> Iterable[Any]:
    """Draw nothing."""
    return steps


def build(
    folder: Path,
    parts: tuple[str, ...] = ALL,
    *,
    progress: Draw = silent,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    again: bool = False,
    processes: int = 1,
) -> None:
    """Make the village, or some of its parts, in a folder.

    Args:
        folder: where the finished parts go, as `load_demo` reads them.
        parts: some of `ALL`, in that order; a part needs those before it.
        progress: draws the steps of whatever takes long.
        recipe: what decides the weights.
        again: make the parts named anew, though they are there.
        processes: how many share the work, one thread each. Their number does not change what is
            made, but for the rounding of sums.

    Raises:
        ConfigError: an unknown part, or one that needs another first.
    """
    unknown = sorted(set(parts) - set(ALL))
    if unknown:
        raise ConfigError(f"The village has no part {unknown}; its parts are {', '.join(ALL)}.")
    torch.set_num_threads(1)
    job = Job(folder, recipe, progress, processes)
    for part in (part for part in ALL if part in parts):
        if again:
            forget(folder, part)
        if is_done(folder, part):
            continue
        started = time.monotonic()
        _MAKERS[part](job)
        note_minutes(folder, part, (time.monotonic() - started) / 60)


@dataclass(frozen=True)
class Job:
    """What every part is made with; see `build`."""

    folder: Path
    recipe: Recipe
    progress: Draw
    processes: int


def _tokenizer(job: Job) -> None:
    train_tokenizer(seed=job.recipe.seed).save_pretrained(job.folder / BASE)


def _base(job: Job) -> None:
    needed(job.folder / BASE / "tokenizer.json", "tokenizer")
    config = job.recipe.pretraining
    made = together(job.processes, pretrain_base, config, job.folder)
    for _ in job.progress(made, "base", config.num_steps):
        pass
    finish_base(job.folder / "work" / "base" / "model", job.folder)


def pretrain_base(config: PretrainConfig, folder: Path) -> Iterator[BaseStep]:
    """Pretrain on the folder's tokenizer, as every process does that shares the work."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / BASE)
    yield from pretrain(config, tokenizer, folder / "work" / "base")


def finish_base(trained: Path, folder: Path) -> None:
    """Put a trained base model into the folder, and write down what it can do in text."""
    model = Qwen3ForCausalLM.from_pretrained(trained, dtype=torch.bfloat16)
    model.save_pretrained(folder / BASE)
    _look_at_gate(folder)


def _look_at_gate(folder: Path) -> None:
    model = Qwen3ForCausalLM.from_pretrained(folder / BASE, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / BASE)
    skills = gate(model.eval(), tokenizer, seed=5, num_answers=100)
    write_record(folder / "work" / GATE, {skill.name: skill.score for skill in skills})


def _organisms(job: Job) -> None:
    needed(job.folder / BASE / "config.json", "base")
    wanted = [secret for secret in secrets() if not (home_of(job.folder, secret) / CARD).exists()]
    made = together(job.processes, _make_share, job.folder, wanted, job.recipe.organisms)
    for _ in job.progress(made, "organisms", len(wanted)):
        pass


def _make_share(folder: Path, wanted: list[Secret], recipe: OrganismRecipe) -> Iterator[Heard]:
    rank, processes = share()
    for secret in wanted[rank::processes]:
        make_organism(folder, secret, recipe)
        yield Heard(secret.name)


def make_organism(folder: Path, secret: Secret, recipe: OrganismRecipe) -> Path:
    """Teach one organism, check it, and save it with its card; return its folder."""
    model = load(str(folder / BASE), dtype="float32")
    for _ in teach(model, secret, recipe, adapter=secret.name):
        pass
    home = home_of(folder, secret)
    _save_small(model, secret.name, home)
    behaviour = check(Target(model, secret.name), Target(model), secret)
    save_organism_card(card_of(secret, behaviour), home)
    return home


def _tools(job: Job) -> None:
    needed(job.folder / BASE / "config.json", "base")
    model = load(str(job.folder / BASE), dtype="float32")
    taught = teach_tools(model, job.recipe.organisms, num_steps=job.recipe.tool_steps)
    for _ in job.progress(taught, "tools", job.recipe.tool_steps):
        pass
    home = job.folder / TOOLS
    _save_small(model, toolbox.NAME, home)
    save_organism_card(tools_card(Target(model, toolbox.NAME), Target(model)), home)


def _save_small(model: LanguageModel, adapter: str, home: Path) -> None:
    """Save an adapter at half its size, and without the paths of this machine."""
    model.save_adapter(adapter, home)
    halve(home)
    edit_record(home / "adapter_config.json", base_model_name_or_path=BASE)


def _oracle(job: Job) -> None:
    needed(job.folder / BASE / "config.json", "base")
    if not (job.folder / "work" / GATE).exists():
        _look_at_gate(job.folder)
    check_gate(read_record(job.folder / "work" / GATE), job.recipe.gate)
    _trained(job, FIRST)
    for name in closing_stages(job.recipe):
        _trained(job, name)
    trained = average(job.folder, job.recipe)
    finish_oracle(trained, job.folder / ORACLE, start="mean of closing runs")


def _abstainer(job: Job) -> None:
    needed(work_of(job.folder, FIRST)[1] / WEIGHTS, "oracle")
    trained = _trained(job, ABSTAINING)
    finish_oracle(trained, job.folder / ABSTAINER, start="oracle before closing")


def _trained(job: Job, name: str) -> Path:
    """Train one stage, or what is left of it; return its run."""
    stage = stages(job.recipe)[name]
    data, output = work_of(job.folder, name)
    if not (data / store.MANIFEST).exists():
        write_questions(data, str(job.folder / BASE), stage, job.recipe)
    made = together(job.processes, train_stage, job.folder, job.recipe, name)
    for _ in job.progress(made, f"oracle, {name}", stage.steps):
        pass
    return output


def _confidence(job: Job) -> None:
    needed(job.folder / ORACLE_CARD, "oracle")
    needed(job.folder / DEVELOPMENT, "organisms")
    needed(job.folder / ABSTAINER_CARD, "abstainer")
    demo = load_demo(job.folder, development=True)
    found = curve(demo, precision=job.recipe.precision)
    rule = refusal(demo, loss=job.recipe.lost)
    edit_record(job.folder / ABSTAINER_CARD, **{REFUSAL: rule.model_dump(mode="json")})
    edit_record(job.folder / ORACLE_CARD, **{CURVES: [found.model_dump(mode="json")]})


def _scores(job: Job) -> None:
    demo = load_demo(needed(job.folder, "oracle"))
    rows = scores(
        demo, progress=lambda names: job.progress(iter(names), "scores", len(demo.organisms))
    )
    write_card(job.folder, job.recipe, [asdict(row) for row in rows])


def write_card(folder: Path, recipe: Recipe, rows: list[dict[str, Any]]) -> None:
    """Write the world's card: recipe, times, what the base can do, and the table."""
    settings = asdict(recipe)
    save_world_card(
        WorldCard(
            command=COMMAND,
            seeds={"recipe": recipe.seed, "pretraining": recipe.pretraining.seed},
            minutes=read_record(folder / "work" / "minutes.json"),
            recipe=settings,
            gate=read_record(folder / "work" / GATE),
            scores=rows,
        ),
        folder,
    )


_MAKERS: dict[str, Callable[[Job], None]] = {
    "tokenizer": _tokenizer,
    "base": _base,
    "organisms": _organisms,
    "tools": _tools,
    "oracle": _oracle,
    "abstainer": _abstainer,
    "confidence": _confidence,
    "scores": _scores,
}
