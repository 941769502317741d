"""How well questions are answered at each depth: the same ones at every layer, beside controls.

A layer is recommended on one half of the texts, and what it scores is reported on the other: the
best of many layers looks better on the texts it was chosen on than it is.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.cases import unit_of
from activation_oracles.evals.evaluation import Answerer, Record, run
from activation_oracles.evals.grade import Grade
from activation_oracles.models.blocks import named_layers
from activation_oracles.statistics import Estimate, clustered, paired_difference
from activation_oracles.types import Example

Layers = tuple[int, ...]
"""Layers that are shown together; mostly one."""
Unit = Callable[[Example], str]
ALL = "all"
FEW_BLOCKS = 16
"""Of a model with no more blocks than this, all are looked at by default."""
HANDFUL = 12
"""Of a deeper one so many, evenly spread; and no more sets that were trained on."""
FEWEST_UNITS = 10
"""Texts without which there are no two halves worth the name."""
SLOTS_PER_PART = 32_768
"""Vectors that wait in memory at once."""

_Scores = dict[str | None, dict[Example, float]]
"""By control (None: the real thing), then by question."""


@dataclass(frozen=True)
class LayerScore:
    """What was scored at one layer, or at a set of layers that are shown together."""

    layers: Layers
    is_trained: bool
    """Whether the oracle was trained at exactly these."""
    score: Estimate
    control: str
    """The control that scored best here."""
    control_score: Estimate
    advantage: Estimate
    """How much better the score is than that control's, paired row by row."""
    is_worse: bool = False
    """Whether its advantage is told apart from the best layer's: the 95 % interval of their paired
    difference is above 0."""


@dataclass(frozen=True)
class Depths:
    """Scores by depth, and which layer to read at."""

    rows: tuple[LayerScore, ...]
    """On the half of the units that the recommendation is made on."""
    recommended: Layers
    """Where the advantage is best, or not told apart from the best and trained on; empty where no
    layer is shown to beat its controls."""
    confirmed: LayerScore | None
    """The recommended layers on the other half, which had no part in the choice."""

    @property
    def best(self) -> LayerScore:
        """The best advantage of those that are above 0 by their interval, if any is."""
        return _best(self.rows)


def layer_sets(
    wanted: Sequence[str], num_layers: int, trained: Sequence[Layers] = ()
) -> list[Layers]:
    """Return the layers to look at, shallow ones first, sets of several last.

    Args:
        wanted: as `18`, or `9+18+27` for several that are shown together; `all` for every block
            alone and every trained set; nothing for the same of a model of few blocks, and a
            handful of a deeper one.
        num_layers: decoder blocks of the model.
        trained: the sets of layers that the oracle was trained on.

    Raises:
        ConfigError: something that is no layer, or one that the model does not have.
    """
    if not wanted or list(wanted) == [ALL]:
        is_whole = bool(wanted) or num_layers <= FEW_BLOCKS
        steps = num_layers if is_whole else HANDFUL
        last = num_layers - 1
        blocks = {(round(last * step / max(1, steps - 1)),) for step in range(steps)}
        sets = [one for one in trained if len(one) > 1]
        alone = [one for one in trained if len(one) == 1]
        more = [*(sets if len(sets) <= HANDFUL else ()), *(alone if len(alone) <= HANDFUL else ())]
        return sorted(blocks | set(more), key=lambda one: (len(one), one))
    try:
        found = [tuple(int(layer) for layer in one.split("+")) for one in wanted]
    except ValueError as error:
        raise ConfigError(
            f"Layers are numbers, as 18, or 9+18+27 for several at once, or {ALL}; got "
            f"{' '.join(wanted)}."
        ) from error
    wrong = [one for one in found if len(set(one)) < len(one) or not _are_in(one, num_layers)]
    if wrong or len(set(found)) < len(found):
        raise ConfigError(
            f"Layers {' '.join(wanted)} cannot be looked at: the model has blocks 0 to "
            f"{num_layers - 1}, and each comes once."
        )
    return found


def ask_by_depth(
    examples: Sequence[Example],
    sets: Sequence[Layers],
    answerers: Callable[[int], Sequence[Answerer]],
    grade: Grade,
    *,
    progress: Callable[[Sequence[list[Example]]], Iterable[list[Example]]] = iter,
) -> list[Record]:
    """Put every example at all of these layers to the same answerers, in parts that fit in memory.

    Args:
        examples: the rows; their own layers are not looked at.
        sets: the layers to show them at.
        answerers: makes those of one part, by its number: one that answers, and at least two of
            its controls. A part holds a text's examples at all layers, to be read in one pass.
        grade: judges what is said.
        progress: wraps the parts, to show how far it is.

    Raises:
        ConfigError: fewer than two controls, or two answerers of one name.
        DataError: there are no examples.
    """
    if not examples or not sets:
        raise DataError("There are no examples to ask, or no layers to ask them at.")
    found: list[Record] = []
    for number, part in enumerate(progress(_parts(examples, sets))):
        found += run(part, answerers(number), grade)
    return found


def compare_depths(
    records: Sequence[Record],
    *,
    trained: Collection[Layers] = (),
    unit: Unit = unit_of,
    seed: int = 0,
) -> Depths:
    """Score every depth on half of the units, recommend one, and score it on the other half.

    Not told apart from the best are layers for which the 95 % interval of the paired difference in
    advantage includes 0; among them a trained one is preferred.

    Args:
        records: what `ask_by_depth` returned: one who answered, and controls.
        trained: layers that the oracle was trained at.
        unit: what of an example is independent of others.
        seed: decides the halves.

    Raises:
        DataError: too few units, or answers that cannot be judged.
    """
    by_depth: dict[Layers, _Scores] = {}
    for one in records:
        scores = by_depth.setdefault(one.example.layers, defaultdict(dict))
        if one.score is not None:
            scores[one.control][_question(one.example)] = one.score
    questions = list(dict.fromkeys(_question(one.example) for one in records))
    chosen_on, reported_on = _halves(questions, unit, seed)

    def scored(layers: Layers, half: Sequence[Example]) -> LayerScore:
        row = _scored(layers, by_depth[layers], half, unit)
        return replace(row, is_trained=layers in trained)

    rows = [scored(layers, chosen_on) for layers in by_depth]
    best = _best(rows)
    above = _advantages(by_depth[best.layers], best.control, chosen_on)
    for place, row in enumerate(rows):
        below = _advantages(by_depth[row.layers], row.control, chosen_on)
        rows[place] = replace(row, is_worse=_is_below(below, above, unit))
    recommended = _recommended(rows, best)
    confirmed = scored(recommended, reported_on) if recommended else None
    return Depths(tuple(rows), recommended, confirmed)


def _question(example: Example) -> Example:
    """Return what is the same at every layer."""
    return replace(example, layers=(0,))


def _parts(examples: Sequence[Example], sets: Sequence[Layers]) -> list[list[Example]]:
    """Return every example at all layers, in parts of bounded size, a text's questions together."""
    questions = sorted(dict.fromkeys(map(_question, examples)), key=lambda one: one.source)
    per_position = sum(map(len, sets))
    parts: list[list[Example]] = [[]]
    num_slots = 0
    for one in questions:
        more = per_position * len(one.positions)
        if parts[-1] and num_slots + more > SLOTS_PER_PART:
            parts.append([])
            num_slots = 0
        parts[-1] += [replace(one, layers=layers) for layers in sets]
        num_slots += more
    return parts


def _halves(
    questions: Sequence[Example], unit: Unit, seed: int
) -> tuple[list[Example], list[Example]]:
    """Return the questions about one half of the units and about the other, each task in both."""
    tasks: dict[str, str] = {}
    for one in questions:
        tasks.setdefault(unit(one), one.task)
    if len(tasks) < FEWEST_UNITS:
        raise DataError(
            f"The questions are about {len(tasks)} texts; at least {FEWEST_UNITS} are needed to "
            "choose a layer on one half and see what it scores on the other."
        )
    order = sorted(tasks)
    Random(f"depth {seed}").shuffle(order)
    order.sort(key=lambda one: tasks[one])
    first = frozenset(order[::2])
    return (
        [one for one in questions if unit(one) in first],
        [one for one in questions if unit(one) not in first],
    )


def _scored(layers: Layers, scores: _Scores, half: Sequence[Example], unit: Unit) -> LayerScore:
    """Score one depth on the rows of a half that everyone's answers can be judged on."""
    controls = {name: theirs for name, theirs in scores.items() if name is not None}
    rows = [one for one in half if all(one in theirs for theirs in scores.values())]
    if not rows or not controls or None not in scores:
        raise DataError(
            f"At layer {named_layers(layers)} no answer can be judged beside a control's, on one "
            "half of the texts. Ask about more of them."
        )
    units = [unit(one) for one in rows]
    ours = [scores[None][one] for one in rows]
    control = max(controls, key=lambda name: sum(controls[name][one] for one in rows))
    theirs = [controls[control][one] for one in rows]
    return LayerScore(
        layers=layers,
        is_trained=False,
        score=clustered(ours, units),
        control=control,
        control_score=clustered(theirs, units),
        advantage=paired_difference(ours, theirs, units),
    )


def _advantages(scores: _Scores, control: str, half: Sequence[Example]) -> dict[Example, float]:
    ours, theirs = scores[None], scores[control]
    return {one: ours[one] - theirs[one] for one in half if one in ours and one in theirs}


def _is_below(below: dict[Example, float], above: dict[Example, float], unit: Unit) -> bool:
    """Say whether advantages are told apart from the best ones, row by row."""
    rows = [one for one in above if one in below]
    # From [-1, 1] to the [0, 1] in which scores lie: a difference keeps its sign.
    ours, theirs = ([(held[one] + 1) / 2 for one in rows] for held in (above, below))
    return paired_difference(ours, theirs, [unit(one) for one in rows]).low > 0


def _best(rows: Sequence[LayerScore]) -> LayerScore:
    able = [row for row in rows if row.advantage.low > 0]
    return max(able or rows, key=lambda row: row.advantage.score)


def _recommended(rows: Sequence[LayerScore], best: LayerScore) -> Layers:
    if best.advantage.low <= 0:
        return ()
    alike = [row for row in rows if not row.is_worse and row.advantage.low > 0]
    trained = [row for row in alike if row.is_trained]
    return max(trained or [best], key=lambda row: row.advantage.score).layers


def _are_in(layers: Layers, num_layers: int) -> bool:
    return all(0 <= layer < num_layers for layer in layers)
