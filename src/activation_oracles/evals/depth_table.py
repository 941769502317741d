"""Scores by depth, for people: a table, and what may be concluded from it and what may not."""

from collections.abc import Sequence

from activation_oracles.evals.depth import Depths, LayerScore
from activation_oracles.models.blocks import named_layers
from activation_oracles.statistics import Estimate

HEADER = (
    "| layers | depth | trained | score | 95 % | best control | its score | advantage | 95 % "
    "| against the best |",
    "|---|---|---|---|---|---|---|---|---|---|",
)


def markdown(depths: Depths, num_layers: int) -> str:
    """Return a line for each layer, on the half of the texts that the choice is made on.

    Args:
        depths: the scores.
        num_layers: decoder blocks of the model, for depths in percent.
    """
    return "\n".join([*HEADER, *(_line(row, num_layers) for row in depths.rows)])


def conclusions(depths: Depths) -> list[str]:
    """Return what the table says, sentence by sentence: the recommendation and its limits."""
    units, confirmed = depths.rows[0].score.num_units, depths.confirmed
    if confirmed is None:
        return [
            "No layer is recommended: at none is the oracle shown to beat its controls on these "
            f"{units} texts."
        ]
    best = depths.best
    where, others = named_layers(depths.recommended), confirmed.score.num_units
    found = [
        f"Layer {where} is recommended, chosen on the {units} texts of this table. On {others} "
        f"others, which had no part in the choice, it scores {_within(confirmed.score)}, "
        f"{_signed(confirmed.advantage)} over {confirmed.control}, n {confirmed.score.num_answers}."
    ]
    if confirmed.advantage.low <= 0:
        found.append(
            "There its advantage is not shown to be more than chance: ask about more texts before "
            "you rely on it."
        )
    if best.layers != depths.recommended:
        found.append(
            f"The best advantage here is that of layer {named_layers(best.layers)}; {where} is not "
            "told apart from it, and was trained on."
        )
    elif not confirmed.is_trained:
        found.append("It was not trained on; no layer of this table that was does as well.")
    alike = [
        named_layers(row.layers)
        for row in depths.rows
        if not row.is_worse and row.layers not in (depths.recommended, best.layers)
    ]
    if alike:
        found.append(
            f"Nor are told apart from the best: {', '.join(alike)} (the 95 % interval of the "
            "paired difference in advantage includes 0)."
        )
    return found


def told(depths: Depths, num_layers: int, facts: Sequence[str] = ()) -> str:
    """Return table, conclusions and facts as one text."""
    parts = [markdown(depths, num_layers), "\n".join(conclusions(depths)), "\n".join(facts)]
    return "\n\n".join(part for part in parts if part)


def _line(row: LayerScore, num_layers: int) -> str:
    percents = "+".join(f"{100 * layer / num_layers:.0f}" for layer in row.layers)
    cells = (
        named_layers(row.layers),
        f"{percents} %",
        "yes" if row.is_trained else "no",
        f"{row.score.score:.3f}",
        f"{row.score.low:.3f} to {row.score.high:.3f}",
        row.control,
        f"{row.control_score.score:.3f}",
        f"{row.advantage.score:+.3f}",
        f"{row.advantage.low:+.3f} to {row.advantage.high:+.3f}",
        "worse" if row.is_worse else "alike",
    )
    return f"| {' | '.join(cells)} |"


def _within(one: Estimate) -> str:
    return f"{one.score:.3f} ({one.low:.3f} to {one.high:.3f})"


def _signed(one: Estimate) -> str:
    return f"{one.score:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
