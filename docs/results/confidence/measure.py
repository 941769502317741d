"""What an oracle of the village says to questions with an answer and without, and how surely."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from activation_oracles.evals.calibrating import Judged, fitted, halves
from activation_oracles.evals.calibration import Calibration, calibration, threshold_for
from activation_oracles.evals.grade import exact
from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Decoding
from activation_oracles.oracle.calibrator import Calibrator, fit
from activation_oracles.oracle.confidence import abstains
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.statistics import clustered
from activation_oracles.types import Example
from activation_oracles.world.interviews import interview
from activation_oracles.world.language.tables import WITHHELD_GROUPS
from activation_oracles.world.load import Demo
from activation_oracles.world.questions import SHARES, questions
from activation_oracles.world.scores import PLAN, classification_queries
from activation_oracles.world.unanswered import ANSWER, unanswered

READ = ("secret", "brief", "concept", "people", "classification")
COUNT = 600
LONGEST = 8
PRECISION = 0.9
GROUPS = ("answerable", "absent", "nothing", "random", "withheld groups", "organisms")


@dataclass(frozen=True)
class Said:
    """One question, and what was said to it."""

    example: Example
    group: str
    """Which rows of the tables it belongs to."""
    unit: str
    refused: bool
    """Whether the oracle said that it cannot tell."""
    guess: str
    """What it said, or would have said."""
    confidence: float
    """How likely it found that, as `--how-sure likelihood` states it."""

    @property
    def right(self) -> float:
        """1 where the guess is right; nothing is right where there is no answer."""
        return exact(self.guess, self.example.answer) or 0.0


@dataclass(frozen=True)
class Found:
    """All that one oracle said, and the curve that was fitted on half of what is about the base."""

    said: tuple[Said, ...]
    development: tuple[Said, ...]
    """Of other organisms: other words, topics and people."""
    curve: Calibrator
    threshold: float | None
    other_half: tuple[Said, ...]


@dataclass(frozen=True)
class Asked:
    """An oracle, and perhaps another that says of what there is no answer to."""

    oracle: Oracle
    abstainer: Oracle | None = None


def measure(demo: Demo, oracle: Asked, development: Sequence[Said]) -> Found:
    """Ask an oracle everything; wordings are those that no oracle trains on.

    Args:
        demo: the village.
        oracle: of its base, in its model.
        development: what the same oracle said of organisms on which things may be chosen.
    """
    tokenizer, base = demo.model.tokenizer, demo.target()
    shares = {task: SHARES[task] for task in READ}
    asked = questions(tokenizer, seed=502, count=COUNT, shares=shares, reported=True)
    said = _said(oracle, asked, list(base.vectors(asked)), "answerable")
    kinds = {"absent": 1.0, "nothing": 1.0, "random": 1.0}
    without = unanswered(tokenizer, seed=501, count=COUNT, kinds=kinds, reported=True)
    said += _said(oracle, without, _shown(base, without), "")
    texts = classification_queries(base, PLAN, WITHHELD_GROUPS, 60)
    withheld = [query.example for query in texts if query.example.task in WITHHELD_GROUPS]
    said += _said(oracle, withheld, list(base.vectors(withheld)), "withheld groups")
    said += interviewed(demo, oracle)
    own = [one for one in said if one.group in ("answerable", *kinds)]
    first, second = halves([_judged(one) for one in own], _text)
    result = fitted(first, second, _platt, precision=PRECISION)
    chosen = {id(row.example) for row in second}
    others = tuple(one for one in own if id(one.example) in chosen)
    assert isinstance(result.curve, Calibrator)
    return Found(tuple(said), tuple(development), result.curve, result.threshold, others)


def interviewed(demo: Demo, oracle: Asked) -> list[Said]:
    """Ask an oracle of all organisms of a village, as its scoreboard does."""
    said: list[Said] = []
    for card in demo.organisms:
        target = demo.target(card.name)
        queries = interview(target, card.secret, PLAN)
        examples = [query.example for query in queries]
        units = [query.unit for query in queries]
        said += _said(oracle, examples, list(target.vectors(examples)), "organisms", units)
    return said


def _platt(confidences: Sequence[float], right: Sequence[float]) -> Calibrator:
    return fit("likelihood", "platt", confidences, right)


def _text(example: Example) -> str:
    return repr((example.context, example.source))


def _judged(one: Said) -> Judged:
    return Judged(one.example, one.guess, one.confidence, one.right)


def _shown(base: Target, examples: Sequence[Example]) -> list[Tensor | None]:
    """Return what stands in the slots: a reading, nothing, or random directions."""
    read = iter(base.vectors([one for one in examples if one.shown == "reading"]))
    noise = torch.Generator().manual_seed(0)
    width, found = base.model.width, []
    for one in examples:
        size = (len(one.layers) * len(one.positions), width)
        shown = {"nothing": None, "random": torch.randn(size, generator=noise)}
        found.append(shown[one.shown] if one.shown in shown else next(read))
    return found


def _said(
    asked: Asked,
    examples: Sequence[Example],
    vectors: Sequence[Tensor | None],
    group: str,
    units: Sequence[str] | None = None,
) -> list[Said]:
    oracle = asked.oracle
    said = oracle.answer(examples, vectors, max_new_tokens=LONGEST)
    refused = [row for row, text in enumerate(said) if abstains(text)]
    guesses = list(said)
    if refused:
        (refusal,) = oracle.prompts([replace(examples[0], answer=ANSWER)])
        how = Decoding(max_new_tokens=LONGEST, avoiding=(refusal.ids[refusal.answer_start],))
        rows = [examples[row] for row in refused], [vectors[row] for row in refused]
        for row, [drawn] in zip(refused, oracle.samples(*rows, how), strict=True):
            guesses[row] = drawn.text
    if asked.abstainer is not None:
        others = asked.abstainer.answer(examples, vectors, max_new_tokens=LONGEST)
        refused = [row for row, text in enumerate(others) if abstains(text)]
    believed = [
        replace(one, answer=text or " ") for one, text in zip(examples, guesses, strict=True)
    ]
    sure = oracle.likelihood_of(believed, vectors)
    return [
        Said(
            one,
            group or one.task.removeprefix("unanswered/"),
            units[row] if units else _text(one),
            row in refused,
            guesses[row],
            sure[row],
        )
        for row, one in enumerate(examples)
    ]


def tables(found: Mapping[str, Found]) -> str:
    """Return everything as markdown."""
    return (
        "\n\n".join(
            [
                _refusals(found),
                _given(found),
                _calibrations(found),
                _taboo(found),
                _agreement(found),
            ]
        )
        + "\n"
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([_line(heads), "|---" * len(heads) + "|", *map(_line, rows)])


def _share(said: Sequence[Said], value: Callable[[Said], float]) -> str:
    one = clustered([value(each) for each in said], [each.unit for each in said])
    return f"{one.score:.3f} ({one.low:.3f} to {one.high:.3f})"


def _given(found: Mapping[str, Found]) -> str:
    """Tell what is given, and how much of it is right, by the curve of development organisms."""
    rows: list[list[str]] = []
    for name, one in found.items():
        curve, right = _of_development(one), [each.right for each in one.development]
        sure = [curve.apply(each.confidence) for each in one.development]
        chosen = threshold_for(sure, right, PRECISION)
        if chosen is None:
            continue
        for group in GROUPS:
            said = [each for each in one.said if each.group == group]

            def is_given(
                each: Said, curve: Calibrator = curve, least: float = chosen.threshold
            ) -> bool:
                return not each.refused and curve.apply(each.confidence) >= least

            given = [each for each in said if is_given(each)]
            row = [name, group, str(len(said)), _share(said, lambda each: float(is_given(each)))]
            rows.append([*row, _share(given, lambda each: each.right) if given else "-"])
    return _table(["oracle", "asked", "n", "given", "right of these"], rows)


def _of_development(one: Found) -> Calibrator:
    said = one.development
    return _platt([each.confidence for each in said], [each.right for each in said])


def _refusals(found: Mapping[str, Found]) -> str:
    """Tell how often it refuses by itself, and below the threshold, and what is right."""
    rows: list[list[str]] = []
    for name, one in found.items():
        for group in GROUPS:
            said = [each for each in one.said if each.group == group]

            def is_low(each: Said, one: Found = one) -> bool:
                return (
                    one.threshold is not None and one.curve.apply(each.confidence) < one.threshold
                )

            rows.append(
                [
                    name,
                    group,
                    str(len(said)),
                    _share(said, lambda each: each.right),
                    _share(said, lambda each: each.right * (not each.refused)),
                    _share(said, lambda each: float(each.refused)),
                    _share(said, lambda each: each.right * (not is_low(each))),
                    _share(said, lambda each: float(is_low(each))),
                ]
            )
    heads = ["oracle", "asked", "n", "guess right", "right, by itself", "refused, by itself"]
    return _table([*heads, "right, by threshold", "refused, by threshold"], rows)


def _calibrations(found: Mapping[str, Found]) -> str:
    """Tell how far confidences are from shares of right answers, by what a curve is fitted on."""
    rows: list[list[str]] = []
    for name, one in found.items():
        organisms = [each for each in one.said if each.group == "organisms"]
        withheld = [each for each in one.said if each.group == "withheld groups"]
        other = _of_development(one)
        for fitted_on, curve, measured_on, said in (
            ("half of the base's", one.curve, "the other half", one.other_half),
            ("half of the base's", one.curve, "withheld groups", withheld),
            ("half of the base's", one.curve, "organisms", organisms),
            ("development organisms", other, "organisms", organisms),
        ):
            right = [each.right for each in said]
            before = calibration([each.confidence for each in said], right)
            after = calibration([curve.apply(each.confidence) for each in said], right)
            figures = [*_figures(before), *_figures(after)[:2]]
            rows.append([name, fitted_on, measured_on, str(len(said)), *figures])
    heads = ["oracle", "curve fitted on", "measured on", "n", "ECE, stated", "Brier, stated"]
    return _table([*heads, "AUROC", "ECE, fitted", "Brier, fitted"], rows)


def _figures(one: Calibration) -> list[str]:
    return [f"{one.ece:.3f}", f"{one.brier:.3f}", "-" if one.auroc is None else f"{one.auroc:.3f}"]


def _taboo(found: Mapping[str, Found]) -> str:
    """Tell what a threshold for a precision of .95, chosen on other words, keeps of taboo."""
    rows: list[list[str]] = []
    for name, one in found.items():
        others, taboo = (
            [each for each in said if each.example.task.startswith("taboo")]
            for said in (one.development, one.said)
        )
        chosen = threshold_for(
            [each.confidence for each in others], [each.right for each in others], 0.95
        )
        kept = [each for each in taboo if chosen and each.confidence >= chosen.threshold]
        words = len({each.unit for each in taboo})
        row = [name, str(len(taboo)), str(words), _share(taboo, lambda each: each.right)]
        row += ["-" if chosen is None else f"{chosen.threshold:.3f}"]
        row += [f"{len(kept) / len(taboo):.3f}"]
        rows.append([*row, _share(kept, lambda each: each.right) if kept else "-"])
    heads = ["oracle", "n", "words", "guess right", "threshold", "coverage", "precision"]
    return _table(heads, rows)


def _agreement(found: Mapping[str, Found]) -> str:
    """Tell how often two wordings of one question about one reading get the same answer."""
    rows: list[list[str]] = []
    for name, one in found.items():
        groups: dict[tuple[object, ...], list[Said]] = defaultdict(list)
        for each in one.said:
            if each.group == "organisms":
                example = each.example
                groups[example.task, example.source, example.answer, example.context].append(each)
        pairs = [pair for some in groups.values() for pair in combinations(some, 2)]
        values = [exact(a.guess, b.guess) or 0.0 for a, b in pairs]
        alike = clustered(values, [a.unit for a, _ in pairs])
        told = f"{alike.score:.3f} ({alike.low:.3f} to {alike.high:.3f})"
        rows.append([name, str(len(pairs)), told])
    return _table(["oracle", "pairs of wordings", "same guess"], rows)
