"""Whole runs by name: functions that return settings, to be printed, saved, and changed in part.

`paper` is the published mixture (arXiv 2512.15674); the ablations leave parts of it out. Names like
`3L-1N` are those of the multi-layer oracles: how many layers an example shows at once, and how many
times the classification data are drawn with fresh windows. In `random-` recipes layers are drawn
for every example anew, from all blocks (ceselder/cot-oracle). `paper+...` add what a later paper
(arXiv 2606.02609) trained on besides; `abstaining` adds questions that cannot be answered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from activation_oracles.errors import ConfigError
from activation_oracles.tasks.config import (
    AnyTask,
    Compat,
    DataConfig,
    GroupConfig,
    UnanswerableConfig,
)
from activation_oracles.tasks.corpora import FINEWEB, LMSYS
from activation_oracles.tasks.later_config import (
    ConversationConfig,
    OnPolicyConfig,
    PrefixSuffixConfig,
)
from activation_oracles.tasks.layer_draws import DrawnLayers
from activation_oracles.tasks.published import FAMILIES, Family, published_mixture

PERCENTS = {3: (25.0, 50.0, 75.0), 6: (15.0, 30.0, 45.0, 60.0, 75.0, 90.0)}
"""Depths that are shown together."""
NEIGHBOURS = (58.5, 61.5, 64.0, 67.0, 69.5)
"""Five blocks in a row of 36, 21 to 25 (arXiv 2606.02609)."""
NUM_TRUNCATED = 442_840
"""As many examples as the mixture has without context prediction."""
NUM_LATER = 60_000
"""Texts, chats or questions of each later task: as many as were gone on from for on-policy data."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where a recipe's data come from, and how much of them is wanted."""

    folder: str = "datasets"
    """The reference's `datasets`, as its repository holds it."""
    copies: str | None = None
    """Folder of local copies of the hub's data sets; by default the hub."""
    scale: float = 1.0
    """Share of the published sizes."""
    compat: Compat = "none"
    """`paper` constructs examples as published, defects included."""


Recipe = Callable[[Sources], dict[str, Any]]
"""Returns settings of a `TrainConfig`; model and output are the user's."""


def settings_of(name: str, sources: Sources) -> dict[str, Any]:
    """Return the settings of a recipe.

    Raises:
        ConfigError: there is no such recipe.
    """
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe {name!r}. Recipes are {', '.join(RECIPES)}.")
    return RECIPES[name](sources)


def _mixture(sources: Sources, families: Sequence[Family] = FAMILIES) -> DataConfig:
    return published_mixture(
        sources.folder,
        copies=sources.copies,
        families=families,
        scale=sources.scale,
        compat=sources.compat,
    )


def _families(*families: Family) -> Recipe:
    return lambda sources: {"mixture": _mixture(sources, families).model_dump(mode="json")}


def _truncated(sources: Sources) -> dict[str, Any]:
    """Return all families, cut to the number of examples that two of them make."""
    whole = _mixture(sources)
    sizes = [task.expects or 1 for task in whole.tasks]
    tasks = [
        task.model_copy(update={"weight": float(size)})
        for task, size in zip(whole.tasks, sizes, strict=True)
    ]
    count = max(len(tasks), round(NUM_TRUNCATED * sources.scale))
    cut = whole.model_copy(update={"tasks": tuple(tasks), "num_examples": count})
    return {"mixture": cut.model_dump(mode="json")}


def _together(percents: tuple[float, ...], times: int = 1) -> Recipe:
    """Return a recipe that shows several layers at once."""

    def recipe(sources: Sources) -> dict[str, Any]:
        whole = _mixture(sources)
        tasks = tuple(_shown_together(task, times) for task in whole.tasks)
        found = whole.model_copy(update={"tasks": tasks, "layer_percents": percents})
        return {"mixture": found.model_dump(mode="json")}

    return recipe


def _random(layers: DrawnLayers, *, together: bool = False) -> Recipe:
    """Return a recipe that draws layers for every example, shown one by one or together."""

    def recipe(sources: Sources) -> dict[str, Any]:
        whole = _mixture(sources)
        tasks = tuple(_shown_together(task, 1) if together else task for task in whole.tasks)
        found = whole.model_copy(update={"tasks": tasks, "drawn_layers": layers})
        return {"mixture": found.model_dump(mode="json")}

    return recipe


def _shown_together(task: AnyTask, times: int) -> AnyTask:
    expects = task.expects
    if expects and task.layers == "each":
        # One example where there was one for each layer.
        expects = expects // len(PERCENTS[3])
    changes: dict[str, Any] = {"layers": "together", "expects": expects}
    if isinstance(task, GroupConfig):
        changes |= {"windows": task.windows * times, "expects": (expects or 0) * times}
    return task.model_copy(update=changes)


def _louder(sources: Sources) -> dict[str, Any]:
    """Return what was found to invent less: neighbouring layers, twice the strength."""
    return {**_together(NEIGHBOURS)(sources), "strength": 2.0}


def _louder_anywhere(sources: Sources) -> dict[str, Any]:
    """Return the same with the neighbours' place drawn: nobody has published it."""
    layers = DrawnLayers(count=len(NEIGHBOURS), neighbours=True)
    return {**_random(layers, together=True)(sources), "strength": 2.0}


def _relative(sources: Sources) -> dict[str, Any]:
    """Return the published mixture with depths in percent, as those advise who read other models.

    Source: BerTobi/crossmodel-activation-oracles.
    """
    return {**_families(*FAMILIES)(sources), "header": "percent"}


def _with(*makers: Callable[[Sources, int], AnyTask]) -> Recipe:
    """Return a recipe of the paper's mixture and further tasks."""

    def recipe(sources: Sources) -> dict[str, Any]:
        whole = _mixture(sources)
        count = max(1, round(NUM_LATER * sources.scale))
        tasks = (*whole.tasks, *(make(sources, count) for make in makers))
        return {"mixture": whole.model_copy(update={"tasks": tasks}).model_dump(mode="json")}

    return recipe


def _conversational(sources: Sources, count: int) -> ConversationConfig:
    return ConversationConfig(
        kind="conversation",
        files=(f"{sources.folder}/conversational/questions.json",),
        max_questions=count,
        expects=count,
        origin=(
            "questions about conversations, as the authors of arXiv 2606.02609 published them or "
            "in the same form (`entries`, see docs/data.md); for JSON lines of `messages` and "
            "`questions`, name them in a mixture of your own"
        ),
    )


def _on_policy(sources: Sources, count: int) -> OnPolicyConfig:
    path = f"{sources.folder}/on_policy/continuations.jsonl"
    return OnPolicyConfig(
        kind="on_policy",
        files=(path,),
        max_texts=count,
        expects=count,
        origin=f"`ao data continue --model MODEL --data TEXTS --out {path}`, {count:,} texts",
    )


def _prefix_suffix(sources: Sources, count: int) -> PrefixSuffixConfig:
    documents = max(2, count // 4)
    return PrefixSuffixConfig(
        kind="prefix_suffix",
        corpora=tuple(
            one.model_copy(update={"folder": sources.copies}) for one in (FINEWEB, LMSYS)
        ),
        num_documents=documents,
        # Yes and No, before and behind.
        expects=documents * 4,
    )


def _unanswerable(sources: Sources, count: int) -> UnanswerableConfig:
    del sources, count
    return UnanswerableConfig(kind="unanswerable")


RECIPES: dict[str, Recipe] = {
    "paper": _families(*FAMILIES),
    "spqa-only": _families("latentqa"),
    "classification-only": _families("classification"),
    "spqa+classification": _families("latentqa", "classification"),
    "truncated": _truncated,
    "1L": _families(*FAMILIES),
    "3L-1N": _together(PERCENTS[3]),
    "3L-3N": _together(PERCENTS[3], 3),
    "6L-1N": _together(PERCENTS[6]),
    "6L-3N": _together(PERCENTS[6], 3),
    "6L-6N": _together(PERCENTS[6], 6),
    "neighbours": _louder,
    # As many layers of a text as are published, so that sizes stay.
    "random-1L": _random(DrawnLayers(count=len(PERCENTS[3]))),
    "random-3L-1N": _random(DrawnLayers(count=len(PERCENTS[3])), together=True),
    "random-neighbours": _louder_anywhere,
    "relative-depth": _relative,
    "paper+conversational": _with(_conversational),
    "paper+on-policy": _with(_on_policy),
    "paper+prefix-suffix": _with(_prefix_suffix),
    "abstaining": _with(_unanswerable),
}
