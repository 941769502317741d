"""`ao inspect`: what an adapter is, told from its files, and what is wrong with it."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

if TYPE_CHECKING:
    from activation_oracles.oracle.calibrator import Calibrator
    from activation_oracles.oracle.inspection import Inspection


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Tell what an adapter is: its base, layers, prompt, data, scores and problems.

    No model is loaded. Of an adapter on the hub, the weights are not downloaded either.
    """

    adapter: Annotated[str, tyro.conf.Positional]
    """Folder or hub id of the adapter."""
    json: bool = False
    """Print everything as one JSON object."""

    def run(self) -> None:
        """Print what is known, notes and problems last."""
        from activation_oracles.oracle.inspection import inspect

        found = inspect(self.adapter)
        if self.json:
            print(json.dumps(record(found), ensure_ascii=False, indent=2))
            return
        for line in told(found):
            print(line)


def record(found: "Inspection") -> dict[str, Any]:
    """Return an inspection as plain data; the card under the names of its file."""
    card = found.card.model_dump(mode="json", by_alias=True) if found.card else None
    return {**asdict(found), "card": card, "depths": found.depths}


def told(found: "Inspection") -> list[str]:
    """Return the lines that tell an inspection."""
    facts = {**_adapter(found), **_asking(found), **_making(found)}
    width = max(len(name) for name in facts)
    lines = [found.source]
    for name, said in facts.items():
        first, *more = said or ["not known"]
        lines += [f"  {name:<{width}}  {first}", *(f"  {'':<{width}}  {one}" for one in more)]
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"PROBLEM: {problem}" for problem in found.problems]
    return lines


def _adapter(found: "Inspection") -> dict[str, list[str]]:
    size = f"{found.num_parameters:,} parameters, {', '.join(found.dtypes)}"
    return {
        "base": [found.base] if found.base else [],
        "adapter": [
            f"LoRA, rank {found.rank}, alpha {found.alpha:g}, dropout {found.dropout:g}, {size}"
            if found.alpha is not None and found.dropout is not None
            else f"LoRA, rank {found.rank}, {size}"
        ],
        "targets": [", ".join(found.targets)] if found.targets else [],
    }


def _asking(found: "Inspection") -> dict[str, list[str]]:
    card = found.card
    if card is None:
        return {}
    sets = [
        " + ".join(_depth(layer, percent) for layer, percent in one)
        for one in found.depths
        if len(one) not in card.drawn_set_sizes
    ]
    return {
        "trained at layers": ["; ".join([*sets, *card.drawn_in_words])],
        "vectors are written": [
            f"after block {card.block}, {card.mode}, strength {card.strength:g}"
        ],
        "prompt": [f"placeholder {card.placeholder!r}, header {card.prefix!r}"],
        "card": ["ao_config.json" if found.has_card else "none: defaults are assumed"],
    }


def _making(found: "Inspection") -> dict[str, list[str]]:
    from activation_oracles.oracle.scores import evaluated, held_out

    scores = found.card.scores if found.card else {}
    depth = found.card.depth if found.card else None
    curves = found.card.confidence_curves if found.card else ()
    tables = [*held_out(scores), *evaluated(scores)]
    return {
        "trained on": [
            f"{task}: {count:,} examples" if count else task for task, count in found.tasks.items()
        ],
        "calibration": [_curve(one) for one in curves] or ["none"],
        "made with": [f"activation-oracles {found.package_version}"]
        if found.package_version
        else [],
        "peft": [found.peft_version] if found.peft_version else [],
        "scores": [one.in_words() for one in tables] or ["none"],
        "by depth": depth.in_words() if depth else ["not measured"],
    }


def _depth(layer: int, percent: float | None) -> str:
    return f"{layer}" if percent is None else f"{layer} ({percent:.0f} %)"


def _curve(one: "Calibrator") -> str:
    kept = "never abstains" if one.threshold is None else f"abstains below {one.threshold:.2f}"
    return f"{one.method}: {one.curve} curve, fitted on {one.num_answers} answers, {kept}"
