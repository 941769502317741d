"""Which tokens an oracle is shown, and at which layers: the published rules, and fixed choices.

Every rule takes the random numbers it draws from, so the same seed shows the same tokens.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from activation_oracles.errors import ConfigError
from activation_oracles.models.blocks import layer_at
from activation_oracles.tasks.layer_draws import DrawnLayers

Positions = tuple[int, ...]
LATEST_END = 5
"""A label's window ends on one of so many last tokens (reference, classification)."""
WIDEST_TURN_WINDOW = 3
EARLIEST_TURN_END = 10


@dataclass(frozen=True)
class Layers:
    """At which layers each window is shown."""

    layers: tuple[int, ...]
    how: Literal["each", "one", "together"] = "each"
    """`each`: an example for every layer; `one`: for one drawn layer; `together`: all in one."""
    drawn: DrawnLayers | None = None
    """Which of `layers` a text gets: a draw of its own, or without one all of them."""

    @classmethod
    def at_percents(
        cls,
        num_layers: int,
        percents: Sequence[float],
        how: Literal["each", "one", "together"] = "each",
    ) -> "Layers":
        """Return layers at percentages of a model's depth, by the published formula.

        Raises:
            ConfigError: two percentages fall on one layer, as in a model with too few layers.
        """
        layers = tuple(layer_at(num_layers, percent) for percent in percents)
        if not layers or len(set(layers)) != len(layers):
            raise ConfigError(
                f"Layer percents {list(percents)} of {num_layers} layers are {list(layers)}; "
                "give one or more percentages that fall on different layers."
            )
        return cls(layers, how)

    def draw(self, numbers: random.Random) -> list[tuple[int, ...]]:
        """Return the layers of each example that a text makes."""
        chosen = self.layers if self.drawn is None else self.drawn.draw(self.layers, numbers)
        if self.how == "each":
            return [(layer,) for layer in chosen]
        if self.how == "one":
            return [(numbers.choice(chosen),)]
        return [chosen]


def last(length: int) -> Positions:
    """Return the last token."""
    return span(length, length - 1, length)


def every(length: int) -> Positions:
    """Return all tokens."""
    return span(length, 0, length)


def span(length: int, start: int, end: int) -> Positions:
    """Return the tokens from `start` up to, not including, `end`.

    Raises:
        ConfigError: there are none, or they lie outside the text.
    """
    if not 0 <= start < end <= length:
        raise ConfigError(f"Tokens {start} to {end} are no span of a text of {length} tokens.")
    return tuple(range(start, end))


def label_window(length: int, max_width: int, numbers: random.Random) -> Positions:
    """Draw a window near the end of a text, where its label can be read.

    It ends on one of the last five tokens and is 1 to `max_width` wide (published: 1 or 50).
    """
    end = length - numbers.randint(1, min(LATEST_END, length))
    width = min(numbers.randint(1, max_width), end + 1)
    return tuple(range(end - width + 1, end + 1))


def turn_window(positions: Sequence[int], numbers: random.Random) -> Positions:
    """Draw from the tokens that may be shown: all of them, or one to three near their end.

    As published for LatentQA, half and half; a drawn window never holds the very last token,
    unless there is no other.
    """
    if numbers.random() < 0.5 or len(positions) == 1:
        return tuple(positions)
    width = numbers.randint(1, WIDEST_TURN_WINDOW)
    offset = numbers.randint(1, EARLIEST_TURN_END)
    end = len(positions) - offset if offset <= len(positions) else 1
    width = min(width, end)
    return tuple(positions[end - width : end]) or (positions[0],)


@dataclass(frozen=True)
class ContextWindow:
    """What is shown of a text, and which tokens next to it are asked for."""

    shown: Positions
    wanted: Positions
    past: bool
    """Whether the wanted tokens come before the shown ones."""


def context_window(
    length: int, max_width: int, max_wanted: int, numbers: random.Random
) -> ContextWindow | None:
    """Draw K tokens to show and J to ask for, before or after; None where the text is too short.

    As published: K uniform in 1 to `max_width`, J in 1 to `max_wanted`, past or future evenly. A
    text shorter than J + K + 1 makes no example. In the past direction the wanted tokens are in
    the context of the shown ones, so this recovers text; only the future direction predicts.
    """
    wanted = numbers.randint(1, max_wanted)
    width = numbers.randint(1, max_width)
    past = numbers.random() < 0.5
    if length < wanted + width + 1:
        return None
    if past:
        start = numbers.randint(wanted, length - width - 1)
        asked = range(start - wanted, start)
    else:
        start = numbers.randint(1, length - width - wanted)
        asked = range(start + width, start + width + wanted)
    return ContextWindow(tuple(range(start, start + width)), tuple(asked), past)


def own_window(
    num_given: int, length: int, max_width: int, max_wanted: int, numbers: random.Random
) -> ContextWindow | None:
    """Draw as `context_window` does, where all that is asked for was written by the target itself.

    The first `num_given` tokens it was given. What is shown ends behind them, and, where the future
    is asked for, may begin among them: as published for on-policy data, where the past is not asked
    for in this way.
    """
    wanted = numbers.randint(1, max_wanted)
    width = numbers.randint(1, max_width)
    past = numbers.random() < 0.5
    lowest = num_given + wanted if past else max(num_given + 1 - width, 0)
    highest = length - width - (0 if past else wanted)
    if highest < lowest:
        return None
    start = numbers.randint(lowest, highest)
    end = start + width
    asked = range(start - wanted, start) if past else range(end, end + wanted)
    return ContextWindow(tuple(range(start, end)), tuple(asked), past)
