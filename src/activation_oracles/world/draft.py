"""What one question of the village is drawn with."""

from dataclasses import dataclass
from random import Random

from transformers import PreTrainedTokenizerBase

from activation_oracles.world.language.scene import Truth


@dataclass(frozen=True)
class Draft:
    """One question before it is drawn."""

    random: Random
    tokenizer: PreTrainedTokenizerBase
    source: str
    """Where the example will say that it comes from."""
    reported: bool = False
    """Ask in the wordings that no oracle trains on."""
    is_closing: bool = False
    """Read talks as in an oracle's last steps."""

    def asks(self, truth: Truth) -> str:
        """Draw a wording of the question that a truth answers."""
        return truth.question(self.random, reported=self.reported)
