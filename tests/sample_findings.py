"""What a battery might have found, made by hand: three concepts and every kind of vector."""

from activation_oracles.dreams.attacks import CAA, MEAN, NORMAL, REDTEAM, SILENT, named
from activation_oracles.dreams.effect import Damage
from activation_oracles.dreams.findings import Effect, Measured, Said
from activation_oracles.dreams.geometry import Beside, Geometry, Near
from activation_oracles.dreams.looks import RIVALS, Look
from sample_runs import HOSTILE

CONCEPTS = ("moon", "mill", f"owl {HOSTILE}")
STRENGTHS = (-1.0, -0.5, 0.5, 1.0)
STILL, ASKED = (0.2, 0.3, 0.4), (0.6, 0.7, 0.9)
EFFECTS = {
    named(NORMAL, 0): (0.5, -0.1, 0.3),
    named(NORMAL, 1): (0.4, 0.0, -0.2),
    REDTEAM: (-0.01, 0.02, 0.03),
    SILENT: (0.3, 0.2, 0.25),
    CAA: (0.45, 0.35, 0.4),
    MEAN: (0.1, 0.1, 0.1),
}
BELIEFS = {REDTEAM: 1.0, SILENT: 0.001, CAA: 0.5, MEAN: 0.004}
"""Of the oracle that was attacked; sure of the others."""


def said(chosen: float, what: str) -> Said:
    return Said(chosen, (f"{what}, first", f"{what}, second {HOSTILE}"), {f"words {HOSTILE}": 0.5})


def effect(name: str, place: int) -> Effect:
    concept, change = CONCEPTS[place], EFFECTS[name][place]
    reply = STILL[place] + change
    return Effect(
        concept=concept,
        kind=NORMAL if name.startswith(NORMAL) else name,
        name=name,
        reached=name != REDTEAM or place > 0,
        steps=0 if name in (CAA, MEAN) else 17,
        believed={"one": BELIEFS.get(name, 0.995), f"two {HOSTILE}, layer 2": 0.123},
        change=0.017 * (place + 1),
        change_rank=0.05 if name == REDTEAM else 0.6,
        strength=0.5,
        backwards=-1.0 if place else 0.0,
        damage=Damage(1.234, 0.045),
        chosen={-1.0: 0.1, -0.5: 0.15, 0.5: reply, 1.0: 0.95},
        effect=change,
        p_value=0.04 if change > 0.15 else 0.48,
        ahead=said(reply, f"{name} ahead {place}"),
        back=said(0.11, f"{name} back {place}"),
    )


def findings(num_randoms: int = 20) -> Measured:
    return Measured(
        effects=tuple(effect(name, place) for name in EFFECTS for place in range(len(CONCEPTS))),
        shuffled={
            name: tuple(
                tuple(own[row] if row == column else 0.01 * column for column in range(3))
                for row in range(3)
            )
            for name, own in EFFECTS.items()
        },
        randoms=tuple((0.01, -0.01, 0.0) for _ in range(num_randoms)),
        unsteered={name: said(STILL[at], f"as it is {at}") for at, name in enumerate(CONCEPTS)},
        instructed={name: said(ASKED[at], f"in words {at}") for at, name in enumerate(CONCEPTS)},
    )


def looks() -> tuple[Look, ...]:
    return tuple(
        Look(concept, name, geometry(name, place))
        for name in EFFECTS
        for place, concept in enumerate(CONCEPTS)
    )


def geometry(name: str, place: int) -> Geometry:
    rivals = [rival for rival in RIVALS if rival != name]
    return Geometry(
        length=1.25,
        skewness=-0.5,
        kurtosis=float(place),
        rivals={rival: Beside(-0.1 * place, 0.3) for rival in rivals},
        chance=0.125,
        seeds=(0.021, -0.033, 0.044) if name.startswith(NORMAL) else None,
        promoted=((f" up {HOSTILE}", 2.5),),
        demoted=((" down", -2.5),),
        nearest=(Near(f"near {name} {HOSTILE}", 4, 2, 0.654),),
        said={"one": {f"What is it? {HOSTILE}": f"It is {name} of {CONCEPTS[place]}."}},
    )
