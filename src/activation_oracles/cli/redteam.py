"""`ao redteam`: the whole battery of dreams over many concepts, resumable, with a report."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from activation_oracles.cli.dreaming import Attacked, OtherOracles

if TYPE_CHECKING:
    from activation_oracles.dreams.battery import BatteryConfig
    from activation_oracles.dreams.concepts import Concept
    from activation_oracles.dreams.effect import Neutral
    from activation_oracles.dreams.findings import Measured
    from activation_oracles.dreams.judging import Judge
    from activation_oracles.dreams.looks import Likeness, Look
    from activation_oracles.dreams.running import Run
    from activation_oracles.dreams.summary import Summary
    from activation_oracles.models.target import Target

IN_VILLAGE: dict[str, Any] = {
    "asked": "{text} It is the",
    "answered": " {answer}.",
    "as_chat": False,
}
"""How its model tells what a text is about."""


@dataclass(frozen=True, kw_only=True)
class RedTeam:
    """Attack an oracle over many concepts, and count what fools it and what steers its target."""

    attacked: Annotated[Attacked, tyro.conf.arg(name="")] = field(default_factory=Attacked)
    out: str
    """Folder for vectors, what they do, and the report. A run that was stopped goes on there."""
    concepts: str | None = None
    """YAML file of concepts; by default the village's own, or for other models a general set."""
    limit: int | None = None
    """Attack only the first so many concepts."""
    beside: Annotated[OtherOracles, tyro.conf.arg(name="")] = field(default_factory=OtherOracles)
    layers: tuple[int, ...] = ()
    """Other layers that oracles are told a vector is from."""
    judges: tuple[Literal["named", "words", "model"], ...] = ("named", "words", "model")
    """Who tells whether a reply shows the concept: its words, a classifier trained on the concept's
    texts (extra `eval`), the bare model when asked."""
    api_judge: str | None = None
    """And a model behind an interface, as inspect_ai names it (extra `inspect`)."""
    seeds: int = 2
    """Normal dreams of each concept."""
    seed: int = 0
    """Where noise begins."""
    steps: int = 150
    """Steps of every search: the budget of the attack."""
    harmless: float = 3.0
    """Weight of the change that red-team vectors make."""
    faithful: float = 1.0
    """Weight of the effect that silent vectors lose."""
    strengths: tuple[float, ...] = (-2.0, -1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0)
    """At which vectors are tried, in multiples of the stream's length."""
    randoms: int = 20
    """Random directions to compare with."""
    plots: bool = False
    """Also draw figures, as PNG and SVG, into the folder's `plots` (extra `eval`)."""

    def run(self) -> None:
        """Print the rates; everything else goes into the folder."""
        if self.plots:
            from activation_oracles.figures import drawing_package

            drawing_package()
        oracle, target = self.attacked.open("ao redteam")
        concepts, neutral = self.material()
        config = self.config(self.attacked.chosen_layer(oracle))
        from activation_oracles.dreams.looks import by_kind
        from activation_oracles.dreams.running import Run, attack, look_at, measure
        from activation_oracles.dreams.summary import summarise

        run = Run(
            {"oracle": oracle, **self.beside.load(oracle)},
            target,
            concepts,
            neutral,
            config,
            self.judged_by(target, concepts),
            num_attacked=1 + len(self.beside.also),
        )
        folder = Path(self.out)
        made = attack(run, folder, about=self.about(run), progress=_shown)
        found = measure(run, folder, made)
        looks = look_at(run, folder, made)
        summary = summarise(found, seed=self.seed)
        report(folder, run, found, summary, looks)
        if self.plots:
            from activation_oracles.dreams.plots import plots

            plots(found, summary, folder / "plots")
        print("\n".join([*told(summary), "", *told_looks(by_kind(looks))]))

    def about(self, run: "Run") -> dict[str, Any]:
        """Return what decides a run's vectors and what is found of them."""
        provenance = run.target.provenance
        first, *also = [one.model.adapters.identity(one.adapter) for one in run.attacked.values()]
        return {
            "oracle": first,
            # Not an empty list: folders of runs that knew of one oracle alone should go on.
            "also": also or None,
            "target": provenance.fingerprint,
            "adapter": provenance.adapter,
            "others": list(self.beside.others),
            "judges": list(run.judges),
            "concepts": [one.model_dump(mode="json") for one in run.concepts],
            # One of each kind: folders of runs that could not say so should go on.
            **run.config.model_dump(mode="json", exclude={"attack": {"contrasts"}}),
        }

    def material(self) -> "tuple[tuple[Concept, ...], Neutral]":
        """Return what to dream of, and what the target should go on doing.

        Raises:
            OracleError: the file of concepts is missing or malformed.
        """
        from activation_oracles.dreams.concepts import GENERAL, load_concepts
        from activation_oracles.dreams.neutral import NEUTRAL

        if self.attacked.is_village:
            from activation_oracles.world.concepts import concepts, neutral

            own = concepts() if self.concepts is None else load_concepts(self.concepts)
            return own[: self.limit], neutral()
        return load_concepts(self.concepts or GENERAL)[: self.limit], NEUTRAL

    def config(self, layer: int) -> "BatteryConfig":
        """Return how to attack and to measure."""
        from activation_oracles.dreams.attacks import AttackConfig
        from activation_oracles.dreams.battery import BatteryConfig
        from activation_oracles.dreams.dream import DreamConfig
        from activation_oracles.dreams.effect import Doses

        return BatteryConfig(
            attack=AttackConfig(
                layer=layer,
                search=DreamConfig(steps=self.steps),
                seeds=self.seeds,
                seed=self.seed,
                harmless=self.harmless,
                faithful=self.faithful,
            ),
            doses=Doses(strengths=self.strengths),
            randoms=self.randoms,
            layers=self.layers,
        )

    def judged_by(self, target: "Target", concepts: "Sequence[Concept]") -> "Mapping[str, Judge]":
        """Return who tells whether a reply shows the concept."""
        from activation_oracles.dreams.judging import ApiJudge, Classifier, ModelJudge, named
        from activation_oracles.models.target import Target

        found: dict[str, Judge] = {}
        for name in self.judges:
            if name == "named":
                found[name] = named
            elif name == "words":
                found[name] = Classifier()
            else:
                judge = partial(ModelJudge, Target(target.model), concepts)
                # The village's model was taught no way to be asked about a text in a chat.
                found[name] = judge(**IN_VILLAGE) if self.attacked.is_village else judge()
        if self.api_judge is not None:
            found[self.api_judge] = ApiJudge(self.api_judge)
        return found


def told(summary: "Summary") -> list[str]:
    """Return the lines that tell how often what succeeded."""
    lines = [
        f"believed, and the target follows (normal dreams)           {summary.steering}",
        f"believed, and the target does not follow (normal dreams)   {summary.fooled}",
        f"believed, not followed, target left alone (red-team)       {summary.fooled_unmoved}",
        f"followed, and the oracle does not see it (silent)          {summary.silent}",
        "",
        "vectors           steers  effect (interval)          shuffled p  believed  change",
    ]
    for one in summary.kinds:
        effect = f"{one.effect.score:+.3f} ({one.effect.low:+.3f} to {one.effect.high:+.3f})"
        believed = next(iter(one.believed.values()))
        lines.append(
            f"{one.name:<16}  {one.steers.share:>6.2f}  {effect:<25}  {one.permutation_p:>10.4f}  "
            f"{believed:>8.2f}  {one.change:>6.2f}"
        )
    asked = summary.instructed - summary.unsteered
    return [*lines, f"asked in words            {asked:+.3f}", *told_beliefs(summary)]


def told_beliefs(summary: "Summary") -> list[str]:
    """Return the lines that tell who believes what, where more than one oracle or layer is."""
    labels = list(summary.kinds[0].believed)
    if len(labels) == 1:
        return []
    lines = ["", f"believed by       {'  '.join(labels)}"]
    for one in summary.kinds:
        shares = "  ".join(f"{one.believed[label]:>{len(label)}.2f}" for label in labels)
        lines.append(f"{one.name:<16}  {shares}")
    return lines


def told_looks(kinds: "Sequence[Likeness]") -> list[str]:
    """Return the lines that tell what each kind of vector looks like."""
    from activation_oracles.dreams.attacks import CAA

    lines = ["vectors           cosine with CAA (interval)  overlap  among seeds  kurtosis"]
    for one in kinds:
        beside, seeds = one.cosines.get(CAA), one.seeds
        cosine = f"{beside.score:+.3f} ({beside.low:+.3f} to {beside.high:+.3f})" if beside else ""
        overlap = f"{one.overlaps[CAA].score:.2f}" if beside else ""
        among = f"{seeds.score:+.3f}" if seeds else ""
        lines.append(
            f"{one.name:<16}  {cosine:<26}  {overlap:>7}  {among:>11}  {one.kurtosis:>+8.2f}"
        )
    return [*lines, f"{'by chance':<16}  {'':<26}  {kinds[0].chance:>7.2f}"]


def report(
    folder: Path, run: "Run", found: "Measured", summary: "Summary", looks: "Sequence[Look]"
) -> None:
    """Write the rates, and the page that shows everything."""
    from activation_oracles.dreams.page import page
    from activation_oracles.files import writing

    with writing(folder / "summary.json") as part:
        part.write_text(json.dumps(summary.as_dict(), indent=1) + "\n", encoding="utf-8")
    shown = page(found, summary, run.concepts, looks, list(run.attacked))
    with writing(folder / "report.html") as part:
        part.write_text(shown, encoding="utf-8")


def _shown(done: int, of: int) -> None:
    print(f"attacked {done} of {of} concepts", file=sys.stderr)
