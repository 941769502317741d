"""What an oracle was measured to read at each depth, as its card keeps it.

`ao depth --save` writes it; asking without a layer reads at the recommended one, and asking
elsewhere is warned with what was measured there.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from activation_oracles.models.blocks import named_layers
from activation_oracles.oracle.scores import Interval

Layers = tuple[int, ...]


class DepthScore(BaseModel):
    """What was scored at one layer, or at several that were shown together."""

    model_config = ConfigDict(frozen=True)

    layers: Layers
    is_trained: bool
    """Whether the oracle was trained at exactly these."""
    score: Interval
    control: str
    """The control that scored best there."""
    control_score: Interval
    advantage: Interval
    """How much better the score is than the control's, paired row by row."""
    is_worse: bool = False
    """Whether it is told apart from the best layer, to its disadvantage."""

    @property
    def gain(self) -> str:
        """The advantage with its interval, signed."""
        one = self.advantage
        return f"{one.score:+.2f} ({one.low:+.2f} to {one.high:+.2f})"

    def in_words(self) -> str:
        """Return the figures in a few words."""
        return f"{self.score}, {self.gain} over {self.control}"


class Depth(BaseModel):
    """Scores by depth, and where to read."""

    model_config = ConfigDict(frozen=True)

    data: str
    """Name of the folder or file of the questions."""
    data_hash: str
    """Hash of the questions, as in a run's settings."""
    about: dict[str, Any] = Field(default_factory=dict)
    """How it was measured: tasks, split, limit, seed, version."""
    layers: dict[str, DepthScore]
    """By layer, as `18`, or by set, as `9+18+27`; on the half of the texts that was chosen on."""
    recommended: Layers = ()
    """Empty where no layer was shown to beat its controls."""
    confirmed: DepthScore | None = None
    """The recommended layers on the other half of the texts."""

    def at(self, layers: Layers) -> DepthScore | None:
        """Return what was scored at these layers; None where it was not measured."""
        return next((one for one in self.layers.values() if one.layers == layers), None)

    def in_words(self) -> list[str]:
        """Return what was measured, line by line."""
        lines = [f"layer {name}: {one.in_words()}" for name, one in self.layers.items()]
        return [self.recommendation, *lines]

    @property
    def recommendation(self) -> str:
        """Where to read, and what was scored there on texts that had no part in the choice."""
        if self.confirmed is None:
            return f"No layer is recommended: on {self.data} none was shown to beat its controls"
        where = named_layers(self.recommended)
        return (
            f"Layer {where} is recommended, chosen on half of {self.data}; on the other half it "
            f"scores {self.confirmed.in_words()}"
        )
