"""The shipped village, loaded: base model, organisms and oracle in one network, no download."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from activation_oracles.errors import ModelError
from activation_oracles.models.load import LanguageModel, load
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.world.cards import (
    CARD,
    OrganismCard,
    WorldCard,
    load_organism_card,
    load_world_card,
)
from activation_oracles.world.language.documents import draw_scene
from activation_oracles.world.language.scene import Scene

DATA = Path(__file__).parent / "data"
BASE, ORGANISMS, ORACLE, ABSTAINER = "base", "organisms", "oracle", "abstainer"
TOOLS = "tools"
"""The adapter of the assistant that calls tools."""
DEVELOPMENT = "work/development"


@dataclass(frozen=True)
class Language:
    """The village's language, as a source of fresh texts with known truths."""

    def scene(self, subject: str, *, seed: int) -> Scene:
        """Draw a scene: game, brief, people, report, describe, verdicts, essay, remark or talk."""
        return draw_scene(Random(f"{subject}/{seed}"), subject)


@dataclass(frozen=True, eq=False)
class Demo:
    """The village, ready to be asked."""

    model: LanguageModel
    folder: Path
    organisms: tuple[OrganismCard, ...]
    """What each organism hides; known here so that answers can be judged."""
    homes: Path = DATA / ORGANISMS
    """Where their adapters lie."""
    language: Language = field(default_factory=Language)

    @cached_property
    def oracle(self) -> Oracle:
        """The oracle: it was trained on the base model alone."""
        return Oracle.from_pretrained(str(self.folder / ORACLE), model=self.model)

    @property
    def has_abstainer(self) -> bool:
        """Whether there is one: a world that was made before had none."""
        return (self.folder / ABSTAINER).is_dir()

    @cached_property
    def abstainer(self) -> Oracle:
        """The oracle that was taught to say that it cannot tell, for `Oracle.with_abstainer`."""
        return Oracle.from_pretrained(
            str(self.folder / ABSTAINER), model=self.model, name=ABSTAINER
        )

    @property
    def card(self) -> WorldCard:
        """How the shipped weights came about, and what they score."""
        return load_world_card(self.folder)

    def target(self, organism: str | None = None) -> Target:
        """Return an organism as a target, loaded when first wanted; None is the base model.

        Raises:
            ModelError: there is no such organism.
        """
        if organism is None:
            return Target(self.model)
        names = [card.name for card in self.organisms]
        if organism not in names:
            raise ModelError(f"The village has no organism {organism!r}; it has {names}.")
        if organism not in self.model.adapters.names:
            self.model.add_adapter(str(self.homes / organism), name=organism)
        return Target(self.model, organism)


def load_demo(folder: Path = DATA, *, development: bool = False) -> Demo:
    """Load the shipped village, or one that `ao world build` made in another folder.

    Args:
        folder: the village's.
        development: load the organisms on which recipes are chosen, in place of those that are
            reported. They lie only where the village was built.

    Raises:
        ModelError: the folder holds no base model, or no such organisms.
        DataError: a card is missing.
    """
    homes = folder / (DEVELOPMENT if development else ORGANISMS)
    folders = sorted(homes.glob(f"*/{CARD}"))
    if development and not folders:
        raise ModelError(f"{homes} holds no organisms. `ao world build --out DIR` makes them.")
    # Kept in bf16 to be small; run in fp32, which is what most CPUs are fast and exact in.
    model = load(str(folder / BASE), dtype="float32")
    model.name = "village"
    return Demo(model, folder, tuple(load_organism_card(path.parent) for path in folders), homes)
