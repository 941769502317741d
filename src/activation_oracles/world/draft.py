"""What one question of the village is drawn with."""

from dataclasses import dataclass
from random import Random

from transformers import PreTrainedTokenizerBase

from activation_oracles.world.language.scene import Truth


@dataclass(frozen=True)
class Ways:
    """How questions are put: which parts of talks are shown, and in how many wordings."""

    is_closing: bool = False
    """As in an oracle's last steps: often before the assistant speaks."""
    reworded: bool = False
    """In more wordings, which the base has never read."""
    words_only: float = 0.0
    """Of how many talks nothing is shown but one message's words, without the tokens around it."""


@dataclass(frozen=True)
class Draft:
    """One question before it is drawn."""

    random: Random
    tokenizer: PreTrainedTokenizerBase
    source: str
    """Where the example will say that it comes from."""
    reported: bool = False
    """Ask in the wordings that no oracle trains on."""
    ways: Ways = Ways()

    def shows_words_only(self) -> bool:
        """Draw whether this talk is one of those."""
        return self.ways.words_only > 0 and self.random.random() < self.ways.words_only

    def asks(self, truth: Truth) -> str:
        """Draw a wording of the question that a truth answers."""
        more = self.ways.reworded
        return truth.question(self.random, reported=self.reported, more=more)
