"""The paper's training mixture as settings: which data, how much of each, and from where."""

from collections.abc import Sequence
from typing import Literal, get_args

from activation_oracles.errors import ConfigError
from activation_oracles.tasks.config import (
    PUBLISHED_WINDOWS,
    AnyTask,
    Compat,
    ContextConfig,
    DataConfig,
    Group,
    GroupConfig,
    HeldOutGroup,
    SystemPromptConfig,
    TrainedGroup,
)
from activation_oracles.tasks.corpora import FINEWEB, LMSYS

Family = Literal["latentqa", "classification", "context_prediction", "held_out_classification"]
FAMILIES: tuple[Family, ...] = get_args(Family)[:3]
"""What the paper trains on; the fourth is what it only tests on."""
TRAINED: tuple[TrainedGroup, ...] = get_args(TrainedGroup)
HELD_OUT: tuple[HeldOutGroup, ...] = get_args(HeldOutGroup)
LATENTQA = ("stimulus_completion", "stimulus", "control")
NUM_LATENTQA = 64_840
NUM_DOCUMENTS = 100_000
NUM_ROWS = 6000
"""Texts of each classification group to train on."""
NUM_HELD_OUT = 250
FEWEST_HELD_OUT = 20
"""At any scale, so that both answers are among them."""
NUM_LAYERS = 3
LONGEST = 4096
"""Tokens; the reference leaves no labelled text out for its length."""
ORIGIN = "`git clone https://github.com/adamkarvonen/activation_oracles` and name its `datasets`"


def published_mixture(
    folder: str = "datasets",
    *,
    copies: str | None = None,
    families: Sequence[Family] = FAMILIES,
    scale: float = 1.0,
    seed: int = 42,
    compat: Compat = "none",
) -> DataConfig:
    """Return the paper's training data as settings; nothing is read or fetched.

    At full scale: 64,840 LatentQA questions at one layer each; of each of seven groups 6,000 texts
    with two questions about single tokens and one about windows, at each of three layers (378,000);
    100,000 texts, single tokens and windows, at each of three layers (584,488 for Qwen3, as short
    texts make fewer). Without `compat`, 2 % of LatentQA's labels and of the 100,000 texts are held
    out of these numbers, and 250 further texts of each group.

    Args:
        folder: the reference's `datasets`, relative to what `build` is given as root.
        copies: folder of local copies of the hub's data sets; by default the hub.
        families: which parts; `held_out_classification` adds the groups the paper only tests on.
        scale: share of the published sizes.
        seed: decides every draw.
        compat: `paper` to construct examples as published, defects included: see `DataConfig`.

    Raises:
        ConfigError: an unknown family, none, or a scale outside (0, 1].
    """
    unknown = sorted(set(families) - set(get_args(Family)))
    if unknown or not families or not 0 < scale <= 1:
        raise ConfigError(
            f"families are one or more of {get_args(Family)}, and scale is in (0, 1]; "
            f"got {list(families)} and {scale}."
        )
    train = max(2, round(NUM_ROWS * scale))
    held_out = max(FEWEST_HELD_OUT, round(NUM_HELD_OUT * scale))
    tasks: list[AnyTask] = []
    if "latentqa" in families:
        tasks.append(_latentqa(folder, scale, compat))
    if "classification" in families:
        tasks += [_group(group, folder, copies, (train, held_out)) for group in TRAINED]
    if "held_out_classification" in families:
        tasks += [_group(group, folder, copies, (0, held_out)) for group in HELD_OUT]
    if "context_prediction" in families:
        tasks.append(_context(copies, scale, compat))
    return DataConfig(tasks=tuple(tasks), seed=seed, compat=compat)


def _latentqa(folder: str, scale: float, compat: Compat) -> SystemPromptConfig:
    wanted = max(1, round(NUM_LATENTQA * scale))
    place = f"{folder}/latentqa_datasets/train"
    return SystemPromptConfig(
        kind="system_prompt",
        name="latentqa",
        files=tuple(f"{place}/{name}.json" for name in LATENTQA),
        qa=f"{place}/qa.json",
        layers="one",
        max_questions=wanted if scale < 1 else None,
        max_tokens=LONGEST,
        held_out=_published_share(compat),
        expects=wanted,
        origin=ORIGIN,
    )


def _group(group: Group, folder: str, copies: str | None, num_rows: tuple[int, int]) -> GroupConfig:
    train, held_out = num_rows
    questions = sum(window.questions for window in PUBLISHED_WINDOWS)
    return GroupConfig(
        kind="published_group",
        name=f"classification/{group}",
        group=group,
        folder=folder,
        copies=copies,
        train_rows=train,
        held_out_rows=held_out,
        # Of the smallest groups, some 6,300 texts, this leaves both sides what they need.
        held_out=0.04,
        max_tokens=LONGEST,
        expects=(train or held_out) * questions * NUM_LAYERS,
        origin=ORIGIN,
    )


def _context(copies: str | None, scale: float, compat: Compat) -> ContextConfig:
    wanted = max(2, round(NUM_DOCUMENTS * scale))
    return ContextConfig(
        kind="context_prediction",
        corpora=tuple(one.model_copy(update={"folder": copies}) for one in (FINEWEB, LMSYS)),
        num_documents=wanted,
        held_out=_published_share(compat),
        expects=wanted * 2 * NUM_LAYERS,
    )


def _published_share(compat: Compat) -> float | None:
    """Return the share that is held out of what the paper only trains on: none, or the usual."""
    return 0.0 if compat == "paper" else None
