"""What a battery found, as one HTML file that needs nothing else: no network, no other file.

What models and people wrote is escaped; the page says so itself with a content policy that forbids
loading anything.
"""

from collections.abc import Sequence
from html import escape
from math import factorial
from pathlib import Path
from string import Template

from activation_oracles.dreams import tables
from activation_oracles.dreams.by_concept import OUTCOMES, by_concept, options
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.curves import Response, dose_response, over_concepts
from activation_oracles.dreams.findings import Measured
from activation_oracles.dreams.looks import Look, by_kind
from activation_oracles.dreams.summary import SIGNIFICANT, Summary
from activation_oracles.pages import Dot, Line, chart, section, style


def page(
    found: Measured,
    summary: Summary,
    concepts: Sequence[Concept] = (),
    looks: Sequence[Look] = (),
    attacked: Sequence[str] = (),
) -> str:
    """Return the page's HTML.

    Args:
        found: what was measured.
        summary: what it comes to.
        concepts: what vectors were made for, so that the page says what was asked of whom; without
            them, prompts are numbered.
        looks: what vectors look like; may be left out.
        attacked: names of the oracles that were attacked; by default the first.
    """
    template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return template.substitute(
        style=style(),
        lead=escape(_lead(found)),
        warnings="".join(
            f'<p class="warning">{escape(one)}</p>' for one in _warnings(found, summary)
        ),
        headlines=tables.headlines(summary),
        effects=section("What vectors do to the target", _EFFECTS, tables.effects(found, summary)),
        costs=section("What they took, and what they break", _COSTS, tables.costs(found, summary)),
        transfer=section(
            "Who believes them, told of which layer",
            _TRANSFER,
            tables.transfer(found, summary, attacked),
        ),
        looks=section("What they look like", _LOOKS, tables.likeness(by_kind(looks))),
        doses=section("Dose response", _DOSES, _doses(found, summary)),
        concept_options=options(list(found.unsteered)),
        kind_options=options([one.name for one in summary.kinds]),
        outcome_options=options(OUTCOMES),
        by_concept=by_concept(found, concepts, looks),
    )


_EFFECTS = (
    "Reply: mean probability of the concept's reply among it and its alternatives, at the greatest "
    "strength that leaves the target whole. Effect: what the vector adds to it. Steers: share of "
    "concepts whose effect is beyond all but 5 % of random and shuffled vectors; chance gives "
    f"{SIGNIFICANT:.2f}. Permutation p: how often shuffling which vector is for which concept "
    "gives as large a mean effect. Shown: what a judge finds of the concept in the replies. "
    "Intervals are over concepts. A vector that does less than asking in words is no strong one."
)
_COSTS = (
    "Search reached: it came to what it wished for. Strength: the "
    "mean of those that were looked at, 0 where the least breaks the target. Perplexity and "
    "repetition: against the target as it is, at that strength. Change: of the target on neutral "
    "prompts, in units of its own stream, and what share of random directions changes it no more. "
    "Reply backwards: as above, pushed the other way."
)
_TRANSFER = (
    "Mean probability of the concept's answer, with its interval over concepts. Oracles that were "
    "not attacked, and layers other than the one that vectors were made for, were only asked. What "
    "the attacked alone believe is about these oracles and not about the target. Elsewhere on this "
    "page, believed is what the first oracle believes."
)
_LOOKS = (
    "Cosine, and share of the largest coordinates, with the concept's directions from contrast. "
    "Seeds: all pairs of a concept's normal dreams. Skewness and kurtosis of the coordinates: 0 as "
    "of a normal distribution; a kurtosis far above it says that few carry most. Nearest reading: "
    "cosine with that token of the concept's texts, or of neutral ones, which is nearest at the "
    "attack's layer. Intervals are over concepts. Vectors may be unlike and do the same."
)
_DOSES = (
    "Mean probability of the concept's reply by strength, with its 95 % interval over concepts. "
    "Grey: the target as it is; brown: asked in words. Beyond the strengths that leave a target "
    "whole it may say anything; point at a dot for how many of the vectors still do."
)


def _lead(found: Measured) -> str:
    names = dict.fromkeys(one.name for one in found.effects)
    return (
        f"{len(found.unsteered)} concepts, {len(found.effects)} vectors ({', '.join(names)}), "
        f"{len(found.randoms)} random directions to compare with. Asked: "
        f"{'; '.join(found.effects[0].believed)}."
    )


def _warnings(found: Measured, summary: Summary) -> list[str]:
    said: list[str] = []
    nulls = len(found.randoms) + len(found.unsteered) - 1
    if 1 / (1 + nulls) > SIGNIFICANT:
        said.append(
            f"Each vector is compared with {nulls} others: no p-value can be below "
            f"{1 / (1 + nulls):.3f}, so none can count as steering. Measure with more random "
            "directions or concepts."
        )
    orders = factorial(len(found.unsteered))
    if 1 / orders > SIGNIFICANT:
        said.append(
            f"{len(found.unsteered)} concepts can be shuffled in {orders} ways: no permutation p "
            f"can be much below {1 / orders:.3f}. Measure more concepts."
        )
    whole = {one.name: one.strength for one in summary.kinds}
    broken = [name for name, strength in whole.items() if strength == 0]
    if broken:
        said.append(
            f"Of {', '.join(broken)}, every vector breaks the target at the least strength that "
            "was tried, so their effect is 0. Try smaller ones."
        )
    return said


def _doses(found: Measured, summary: Summary) -> str:
    asked = over_concepts([one.chosen for one in found.instructed.values()]).score
    figures = "".join(_figure(found, one.name, asked) for one in summary.kinds)
    return f'<div class="figures">{figures}</div>'


def _figure(found: Measured, name: str, asked: float) -> str:
    responses = dose_response(found, name)
    last = max(1, len(responses) - 1)
    places = [place / last for place in range(len(responses))]
    still = next(one.reply.score for one in responses if one.strength == 0)
    lines = [
        Line("as it is", "control", [_level(at, still) for at in (0.0, 1.0)]),
        Line("asked in words", "other", [_level(at, asked) for at in (0.0, 1.0)]),
        Line(name, "own", [_dot(*one) for one in zip(places, responses, strict=True)]),
    ]
    ticks = [
        (place, f"{one.strength:g}".replace("-", "\u2212"))
        for place, one in zip(places, responses, strict=True)
    ]
    drawn = chart(lines, ticks, "strength", diagonal=False)
    return f"<figure><figcaption>{escape(name)}</figcaption>{drawn}</figure>"


def _level(at: float, height: float) -> Dot:
    return Dot(at, height, height, height, f"{height:.3f}")


def _dot(place: float, one: Response) -> Dot:
    reply = one.reply
    return Dot(
        place,
        reply.score,
        reply.low,
        reply.high,
        f"strength {one.strength:g}: {reply.score:.3f} ({reply.low:.3f} to {reply.high:.3f}), "
        f"whole in {one.num_whole} of {reply.num_units}",
    )
