"""Settings of tasks that came after the paper; each task's own file names its source."""

from typing import Literal

from pydantic import Field

from activation_oracles.tasks.task_config import Names, TaskConfig, TextSources

Side = Literal["prefix", "suffix"]
"""Whether an answer lies before what is shown, or behind it."""
AboutChat = Literal["speaker", "request", "reply"]
"""What is asked of a chat that comes without questions."""


class OnPolicyConfig(TaskConfig):
    """Context prediction in what the target itself wrote."""

    kind: Literal["on_policy"]
    name: str = "on_policy"
    """Written into each example's `task`."""
    files: Names = Field(min_length=1)
    """Made by `ao data continue`, by the model that will be read."""
    origin: str = "`ao data continue --model MODEL --data TEXTS --out FILE`"
    """Where its files can be got; said where one is missing."""
    widths: tuple[int, ...] = Field(default=(20,), min_length=1)
    """One pass over the texts for each: windows of 1 to so many tokens are shown."""
    max_wanted: int = Field(default=20, ge=1)
    """At most so many tokens are asked for."""
    max_texts: int | None = Field(default=None, ge=1)
    """Take so many texts of the files, drawn by the seed."""
    layers: Literal["each", "one", "together"] = "one"
    """An example for each layer, for one drawn layer, or one example with all layers."""
    max_tokens: int = Field(default=4096, ge=8)
    """Texts are cut to it, what the target was given included."""


class PrefixSuffixConfig(TextSources, TaskConfig):
    """Questions whose answer lies before what is shown, or behind it."""

    kind: Literal["prefix_suffix"]
    name: str = "prefix_suffix"
    """Begins each example's `task`; the side follows, as `prefix_suffix/prefix`."""
    sides: tuple[Side, ...] = Field(default=("prefix", "suffix"), min_length=1)
    """On which sides of what is shown the answers lie."""
    widths: tuple[int, ...] = Field(default=(50,), min_length=1)
    """One pass over the texts for each: windows of 1 to so many tokens are shown."""
    max_questions: int | None = Field(default=None, ge=1)
    """Take so many questions of the files, drawn by the seed."""
    layers: Literal["each", "one", "together"] = "one"
    """An example for each layer, for one drawn layer, or one example with all layers."""


class ConversationConfig(TextSources, TaskConfig):
    """Questions about conversations, read at their turns."""

    kind: Literal["conversation"]
    name: str = "conversation"
    """Begins each example's `task`; what is asked may follow, as `conversation/speaker`."""
    at: Names = Field(default=("last user turn", "last assistant turn"), min_length=1)
    """Where a question is read that does not say it itself: one example for each that there is."""
    asks: tuple[AboutChat, ...] = ("speaker", "request", "reply")
    """What is asked of chats that come without questions."""
    max_answer: int = Field(default=20, ge=1)
    """Of what is said in a chat at most so many tokens are asked for."""
    max_questions: int | None = Field(default=None, ge=1)
    """Take so many questions of the files, drawn by the seed."""
    layers: Literal["each", "one", "together"] = "one"
    """An example for each layer, for one drawn layer, or one example with all layers."""
    max_tokens: int = Field(default=1024, ge=8)
    """Longest conversation that is read; others are left out."""
