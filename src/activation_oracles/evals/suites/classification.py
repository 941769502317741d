"""Questions about labelled texts, by what is read of them: which tokens, at which layer.

Tasks that the oracle was trained on are in distribution, others out of it: what it can do there is
what it has learned beyond them. Positions and layers are those of Activation Oracles
(arXiv 2512.15674, section 5).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.grade import exact, token_f1
from activation_oracles.evals.subjects import BASE
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.models.target import Target
from activation_oracles.types import Example

SEGMENT = 10
"""Tokens of a segment."""
FEW = 20
"""A task with at most so many different answers is a classification."""


def classification(given: Given) -> Evaluation:
    """Ask how a text is labelled, of one token, a segment and all of it, at each layer alone.

    Texts are the held-out examples of `files`, of tasks with at most 20 different answers. The
    token is the last one that an example shows, the segment ends there, and nothing behind it is
    ever shown. Several layers are shown together, too. The unit is the text.
    """
    texts = by_task(given, is_closed=True)
    shown = {
        _task(given, task, f"{choice}, {_named(layers)}"): (task, choice, layers)
        for task in texts
        for choice in _CHOICES
        for layers in _depths(given)
    }

    def rows(targets: Mapping[str, Target]) -> Iterable[Case]:
        for name, (task, choice, layers) in shown.items():
            for one in as_cases(texts[task], targets):
                positions = _CHOICES[choice](one.positions[-1])
                yield replace(one, task=name, layers=layers, positions=positions)

    return Evaluation(
        name="classification",
        about="labels of texts, by tokens and layer (arXiv 2512.15674, 5)",
        subjects=(),
        rows=lambda targets: list(rows(targets)),
        grade=exact,
        choices={name: answers_of(texts[task]) for name, (task, _, _) in shown.items()},
    )


def context(given: Given) -> Evaluation:
    """Ask for the tokens before or behind what is shown, at each layer alone.

    Windows are the held-out examples of `files` whose answers are too many to choose from. Words
    that answer and text share are counted (F1), in any order. The unit is the text.
    """
    texts = by_task(given, is_closed=False)

    def rows(targets: Mapping[str, Target]) -> Iterable[Case]:
        for task, some in texts.items():
            for layers in _depths(given):
                name = _task(given, task, _named(layers))
                # Asked in words it would be given what it is asked for: the text, whole.
                for one in as_cases(some, targets):
                    yield replace(one, task=name, layers=layers, talk=())

    return Evaluation(
        name="context",
        about="the tokens before or behind those shown, by layer (arXiv 2512.15674, 3)",
        subjects=(),
        rows=lambda targets: list(rows(targets)),
        grade=token_f1,
    )


_CHOICES = {
    "token": lambda last: (last,),
    "segment": lambda last: tuple(range(max(0, last + 1 - SEGMENT), last + 1)),
    "all": lambda last: tuple(range(last + 1)),
}
"""Which tokens are shown, by the last that may be."""


def by_task(given: Given, *, is_closed: bool) -> dict[str, list[Example]]:
    """Return labelled texts by task, at most `limit` of each: of tasks with few answers, or others.

    Raises:
        DataError: there are none.
    """
    found: defaultdict[str, list[Example]] = defaultdict(list)
    for one in given.labelled():
        found[one.task].append(one)
    chosen = {
        task: given.limited(some)
        for task, some in found.items()
        if (2 <= len(answers_of(some)) <= FEW) == is_closed
    }
    if not chosen:
        raise DataError(
            f"None of the tasks {sorted(found)} has {'2 to' if is_closed else 'more than'} {FEW} "
            "different answers among its held-out examples."
        )
    return chosen


def as_cases(examples: Sequence[Example], targets: Mapping[str, Target]) -> list[Case]:
    """Return examples as cases: their text as words of the user, where nothing is known of a talk.

    As in prompting, words of a chat template remain in a text that was rendered with one.
    """
    tokenizer = targets[BASE].model.tokenizer
    texts = tokenizer.batch_decode(
        [list(one.context) for one in examples], skip_special_tokens=True
    )
    return [
        one if isinstance(one, Case) else Case(**vars(one), talk=(("user", text.strip()),))
        for one, text in zip(examples, texts, strict=True)
    ]


def answers_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the different answers of examples, sorted."""
    return tuple(sorted({one.answer for one in examples}))


def distribution(given: Given, task: str) -> str:
    """Return whether a task is one that the oracle was trained on, in words."""
    return "in distribution" if given.is_trained(task) else "out of distribution"


def _task(given: Given, task: str, shown: str) -> str:
    return f"{distribution(given, task)}: {task.removeprefix('classification/')}, {shown}"


def _depths(given: Given) -> list[tuple[int, ...]]:
    """Return each layer alone, and where there are several, all of them together."""
    alone = [(layer,) for layer in given.layers]
    return [*alone, given.layers] if len(alone) > 1 else alone


def _named(layers: Sequence[int]) -> str:
    return f"layer{'s' if len(layers) > 1 else ''} {'+'.join(map(str, layers))}"
