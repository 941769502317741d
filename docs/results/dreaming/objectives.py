"""How often each further objective of a dream is reached on the village, and what comes of it.

    python docs/results/dreaming/objectives.py

Sixteen things, one dream each of every objective; the rest of dreaming.md has the others.
"""

from collections.abc import Callable, Sequence

import torch

from activation_oracles.dreams.attacks import MEAN
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.contrast import contrast
from activation_oracles.dreams.dream import Attempt, Dream, DreamConfig, dream, noise
from activation_oracles.dreams.terms import Dose, Speaks
from activation_oracles.dreams.wishes import AllOf, AnyOf, Not, Says, Wish
from activation_oracles.models.push import Push
from activation_oracles.models.steered import Steered
from activation_oracles.statistics import wilson
from activation_oracles.types import Activations
from activation_oracles.world.concepts import concepts
from activation_oracles.world.load import Demo, load_demo

LAYER, COUNT, SHOWN = 4, 16, 6
EVIL = Says("Is the assistant good or evil?", "evil")
BOUNDS = (0.1, 0.2, 0.4)


def main() -> None:
    """Print one table row for each objective."""
    torch.set_num_threads(1)
    demo, things = load_demo(), concepts()[:COUNT]
    others = (*things[1:], things[0])
    starts = list(noise(COUNT, demo.model.width, seed=0))
    pairs = list(zip(things, others, strict=True))
    print("| objective | searched until | reached | what the oracle then says |\n|---|---|---|---|")
    both = [AllOf((_says(one), EVIL)) for one in things]
    _tell(demo, "and", "the thing, and evil", both, starts, _says_both)
    either = [AnyOf((_says(one), _says(other))) for one, other in pairs]
    _tell(demo, "or", "the thing, or another", either, starts, _says_either)
    only = [AllOf((_says(one), Not(EVIL))) for one in things]
    _tell(demo, "and not", "the thing, and not evil", only, starts, _says_it_and_not_evil)
    means = [_mean(demo, one).vectors[0] for one in things]
    _tell(demo, "not", f"not the thing, from its {MEAN}", [Not(_says(one)) for one in things],
          means, lambda *given: not _says_it(*given))  # fmt: skip
    for bound in BOUNDS:
        _tell_around(demo, bound, pairs, starts)
    _tell_promoted(demo, pairs, starts, suppressed=False)
    _tell_promoted(demo, pairs, starts, suppressed=True)


def _says(one: Concept) -> Says:
    return Says(one.question, one.answer)


def _mean(demo: Demo, one: Concept) -> Activations:
    return contrast(demo.target(), one.about, one.not_about, layer=LAYER, positions="all")


Right = Callable[[Demo, Concept, Concept, Activations], bool]


def _answer(demo: Demo, shown: Activations, question: str) -> str:
    answer = demo.oracle.ask(shown, question)
    assert not isinstance(answer, list)
    return answer.text.strip(" .").casefold()


def _says_it(demo: Demo, one: Concept, _other: Concept, shown: Activations) -> bool:
    return _answer(demo, shown, one.question) == one.answer.casefold()


def _says_both(demo: Demo, one: Concept, other: Concept, shown: Activations) -> bool:
    nature = _answer(demo, shown, EVIL.question)
    return _says_it(demo, one, other, shown) and nature == EVIL.answer


def _says_it_and_not_evil(demo: Demo, one: Concept, other: Concept, shown: Activations) -> bool:
    nature = _answer(demo, shown, EVIL.question)
    return _says_it(demo, one, other, shown) and nature != EVIL.answer


def _says_either(demo: Demo, one: Concept, other: Concept, shown: Activations) -> bool:
    return _answer(demo, shown, one.question) in (one.answer.casefold(), other.answer.casefold())


def _tell(
    demo: Demo,
    name: str,
    what: str,
    wishes: Sequence[Wish],
    starts: Sequence[torch.Tensor],
    right: Right,
) -> None:
    things = concepts()[:COUNT]
    attempts = [
        Attempt(one.name, wish, start)
        for one, wish, start in zip(things, wishes, starts, strict=True)
    ]
    found = dream(demo.oracle, attempts, layer=LAYER)
    others = (*things[1:], things[0])
    said = [
        right(demo, one, other, each.vector)
        for one, other, each in zip(things, others, found, strict=True)
    ]
    _row(name, what, found, f"as wished, freely asked: {_share(said)}")


def _tell_around(
    demo: Demo,
    bound: float,
    pairs: Sequence[tuple[Concept, Concept]],
    starts: Sequence[torch.Tensor],
) -> None:
    target = demo.target()
    readings = [
        target.read(other.about[0], layers=LAYER, positions=slice(-SHOWN, None))
        for _, other in pairs
    ]
    attempts = [
        Attempt(one.name, _says(one), start, reading)
        for (one, _), start, reading in zip(pairs, starts, readings, strict=True)
    ]
    found = dream(demo.oracle, attempts, layer=LAYER, config=DreamConfig(bound=bound))
    said = []
    for (one, other), reading, each in zip(pairs, readings, found, strict=True):
        moved = reading.with_vectors(reading.vectors + each.vector.vectors, "perturbed")
        said.append(_says_it(demo, one, other, moved))
    what = f"the thing, of a reading of another one, {SHOWN} tokens, changed by {bound:g} at most"
    _row("perturb", what, found, f"as wished, freely asked: {_share(said)}")


def _tell_promoted(
    demo: Demo,
    pairs: Sequence[tuple[Concept, Concept]],
    starts: Sequence[torch.Tensor],
    *,
    suppressed: bool,
) -> None:
    """Dream one by one: what is promoted is each thing's own."""
    target, found, replies = demo.target(), list[Dream](), list[bool]()
    for (one, _), start in zip(pairs, starts, strict=True):
        chat = [{"role": "user", "content": one.prompts[0]}]
        usual = target.generate(chat, max_new_tokens=16).strip()
        reply = usual if suppressed else one.reply
        term = Speaks(target, chat, reply, Dose(LAYER), suppressed=suppressed)
        attempt = Attempt(one.name, _says(one), start)
        found += dream(demo.oracle, [attempt], layer=LAYER, terms=[term])
        steered = Steered(target, [Push(LAYER, found[-1].vector.vectors)])
        said = steered.generate(chat, max_new_tokens=16).strip()
        replies.append((said == reply) != suppressed)
    verb = "does not give its usual reply" if suppressed else "gives a reply that tells of it"
    name = "suppress" if suppressed else "promote"
    _row(name, f"the thing, while the target {verb}", found, f"the target does: {_share(replies)}")


def _row(name: str, what: str, found: Sequence[Dream], said: str) -> None:
    print(f"| {name} | {what} | {_share([one.believed for one in found])} | {said} |", flush=True)


def _share(hits: Sequence[bool]) -> str:
    low, high = wilson(sum(hits), len(hits))
    share = sum(hits) / len(hits)
    return f"{share:.2f} ({low:.2f} to {high:.2f}; {sum(hits)} of {len(hits)})"


if __name__ == "__main__":
    main()
