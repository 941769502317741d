"""Every vector of a battery, concept by concept, as HTML: what it does and what the target says.

Everything that a model or a person wrote is escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import zip_longest

from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.findings import Effect, Measured, Said
from activation_oracles.dreams.geometry import Geometry, Near, Tokens
from activation_oracles.dreams.looks import Look
from activation_oracles.dreams.summary import is_believed, is_fooled_unmoved, is_unseen, steers

OUTCOMES = (
    "believed, follows",
    "believed, does not follow",
    "believed, stays as it is",
    "unseen, follows",
    "unsure, follows",
    "unsure or unseen, does not follow",
)
"""What may come of a vector; of each, one."""


def outcome(one: Effect) -> str:
    """Return what came of a vector."""
    if is_believed(one):
        if steers(one):
            return OUTCOMES[0]
        return OUTCOMES[2] if is_fooled_unmoved(one) else OUTCOMES[1]
    if steers(one):
        return OUTCOMES[3] if is_unseen(one) else OUTCOMES[4]
    return OUTCOMES[5]


def by_concept(
    found: Measured, concepts: Sequence[Concept] = (), looks: Sequence[Look] = ()
) -> str:
    """Return each concept in a fold, with a part for each of its vectors.

    Args:
        found: what was measured.
        concepts: what vectors were made for, so that it says what was asked; may be left out.
        looks: what vectors look like; may be left out.
    """
    known = {one.name: one for one in concepts}
    seen = {(one.concept, one.name): one.geometry for one in looks}
    return "".join(
        _concept(found, name, place, known.get(name), seen)
        for place, name in enumerate(found.unsteered)
    )


def options(names: Sequence[str]) -> str:
    """Return choices for a filter, by their place."""
    return "".join(
        f'<option value="{place}">{escape(name)}</option>' for place, name in enumerate(names)
    )


def _concept(
    found: Measured,
    name: str,
    place: int,
    concept: Concept | None,
    looks: Mapping[tuple[str, str], Geometry],
) -> str:
    names = list(dict.fromkeys(one.name for one in found.effects))
    still, asked = found.unsteered[name], found.instructed[name]
    parts = "".join(
        _vector(one, names.index(one.name), (still, asked), concept, looks.get((name, one.name)))
        for one in found.effects
        if one.concept == name
    )
    return (
        f'<details class="concept" data-concept="{place}"><summary>{escape(name)} '
        f'<span class="soft">reply {still.chosen:.2f} as it is, {asked.chosen:.2f} asked in words'
        f"</span></summary>{_asked(concept)}{parts}</details>"
    )


def _asked(concept: Concept | None) -> str:
    if concept is None:
        return ""
    facts = {
        "the oracle is asked": concept.question,
        "and should say": concept.answer,
        "reply that shows it": concept.reply,
        "replies that do not": " / ".join(concept.instead),
        "in words": concept.asked_for,
    }
    return "<dl>" + "".join(map(_fact, facts.items())) + "</dl>"


def _fact(fact: tuple[str, str]) -> str:
    return f"<dt>{escape(fact[0])}</dt><dd>{escape(fact[1])}</dd>"


def _vector(
    one: Effect,
    number: int,
    without: tuple[Said, Said],
    concept: Concept | None,
    seen: Geometry | None,
) -> str:
    came = outcome(one)
    still, asked = without
    believed = ", ".join(f"{value:.3f} ({who})" for who, value in one.believed.items())
    facts = (
        f"belief {believed}",
        f"effect {one.effect:+.3f}, p {one.p_value:.3f}",
        f"change {one.change:.3g}, that of {one.change_rank:.0%} of random directions is no more",
        f"perplexity times {one.damage.perplexity:.2f}, repetition {one.damage.repetition:+.2f}",
        _search(one),
    )
    columns = {
        "as it is": still,
        "asked in words": asked,
        _pushed("ahead", one.strength): one.ahead,
        _pushed("backwards", one.backwards): one.back,
    }
    prompts = () if concept is None else concept.prompts
    return (
        f'<section class="vector" data-kind="{number}" data-outcome="{OUTCOMES.index(came)}">'
        f'<h3>{escape(one.name)} <span class="outcome">{came}</span></h3>'
        f'<p class="soft">{escape("; ".join(facts))}</p>{_replies(columns, prompts)}'
        f"{_look(seen)}</section>"
    )


def _search(one: Effect) -> str:
    if one.steps == 0:
        return "no search"
    return f"search {'reached' if one.reached else 'not reached'} in {one.steps} steps"


def _look(seen: Geometry | None) -> str:
    if seen is None:
        return ""
    facts = {
        f"beside {name}": f"cosine {one.cosine:+.3f}, overlap {one.overlap:.3f} "
        f"(chance {seen.chance:.3f})"
        for name, one in seen.rivals.items()
    }
    if seen.seeds is not None:
        mean, least, greatest = seen.seeds
        facts["among seeds"] = f"cosine {mean:+.3f}, from {least:+.3f} to {greatest:+.3f}"
    facts["coordinates"] = (
        f"length {seen.length:.3g}, skewness {seen.skewness:+.2f}, kurtosis {seen.kurtosis:+.2f}"
    )
    facts["the head promotes"] = _tokens(seen.promoted)
    facts["the head demotes"] = _tokens(seen.demoted)
    facts["near"] = " / ".join(map(_near, seen.nearest))
    for who, answers in seen.said.items():
        facts[f"{who} says"] = " / ".join(f"{asked} {said}" for asked, said in answers.items())
    return (
        '<details class="look"><summary>What it looks like</summary><dl>'
        + "".join(map(_fact, facts.items()))
        + "</dl></details>"
    )


def _tokens(tokens: Tokens) -> str:
    return ", ".join(f"{token!r} {score:.2f}" for token, score in tokens)


def _near(one: Near) -> str:
    return f"{one.text!r} {one.cosine:+.3f}"


def _pushed(way: str, strength: float) -> str:
    if strength == 0:
        return f"{way}: breaks at the least strength, so as it is"
    return f"{way}, strength {strength:+g}"


def _replies(columns: Mapping[str, Said], prompts: Sequence[str]) -> str:
    heads = "".join(_head(name, said) for name, said in columns.items())
    asked = prompts or [
        f"prompt {number}" for number in range(1, 1 + len(next(iter(columns.values())).replies))
    ]
    rows = "".join(
        f'<tr><th scope="row">{escape(prompt)}</th>'
        + "".join(f"<td>{escape(text or '(no words)')}</td>" for text in texts)
        + "</tr>"
        for prompt, *texts in zip_longest(
            asked, *(said.replies for said in columns.values()), fillvalue=""
        )
    )
    return (
        f'<div class="scroll"><table class="replies"><thead><tr><th scope="col">asked</th>{heads}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _head(name: str, said: Said) -> str:
    shown = "".join(f", {judge} {share:.2f}" for judge, share in said.shown.items())
    return (
        f'<th scope="col">{escape(name)}<div class="soft">reply {said.chosen:.2f}{escape(shown)}'
        "</div></th>"
    )
