"""What is asked about a row, and what the answer is: by its label, by a claim, by what it mentions.

Yes and No are made equally many within each label that is asked about, and the other label of a No
question is drawn as labels occur; so nothing can be won by knowing which labels are rare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol, TypeVar, runtime_checkable

from activation_oracles.errors import ConfigError
from activation_oracles.tasks.sources import Row

YES_NO = "Answer with 'Yes' or 'No' only. "

Draw = tuple[int, str, str]
"""The number of a row, what is asked about it, and the answer."""


@dataclass(frozen=True)
class Claim:
    """A text, and whether something holds: the text itself, or what is claimed about it."""

    text: str
    claim: str
    """Said behind the question; empty where the text itself is what holds or does not."""
    holds: bool
    key: str
    """Decides the side of a split, so that what is true and what is false of one thing stay on one.
    """
    source: str


@dataclass(frozen=True)
class Mention:
    """A text and the names in it, one or more."""

    text: str
    names: tuple[str, ...]
    source: str

    @property
    def key(self) -> str:
        """What decides its side of a split."""
        return self.text


AnyRow = TypeVar("AnyRow", Row, Claim, Mention)
Asked = TypeVar("Asked", Row, Claim, Mention, contravariant=True)


@dataclass(frozen=True)
class Quota:
    """What is wanted of the questions about some rows."""

    num: int | None = None
    """At most so many; None is as many as there are."""
    even: bool = True
    """Whether Yes and No are made equally many; otherwise each question is drawn by itself."""


@runtime_checkable
class Asker(Protocol[Asked]):
    """Wordings, and the rule that says what is asked of a row and what is the answer."""

    def ask(self, rows: Sequence[Asked], numbers: Random, quota: Quota) -> list[Draw]:
        """Return questions about rows, a row's number in `rows` first; a row may get none."""
        ...


@dataclass(frozen=True)
class Questions:
    """The wordings of a classification by labels."""

    about_label: Sequence[str] = ()
    """Yes/no questions with `{}` where the label goes, as `Is this sentence in the {} tense?`."""
    by_label: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Yes/no questions for each label, as `Is this a positive review?`; used instead."""
    open: Sequence[str] = ()
    """Questions whose answer is the label itself."""

    def __post_init__(self) -> None:
        wrong = [one for one in self.about_label if "{}" not in one]
        if wrong:
            raise ConfigError(
                f"Yes/no questions hold {{}} where the label goes; {wrong[0]!r} does not. "
                "Wordings that differ by label are a mapping from the label to its questions."
            )
        if not (self.about_label or self.by_label or self.open):
            raise ConfigError("A classification needs yes/no questions or open ones.")

    def ask(self, rows: Sequence[Row], numbers: Random, quota: Quota) -> list[Draw]:
        """Ask for the label where there are open questions; ask about labels, Yes or No."""
        labels = [row.label for row in rows]
        asked = [
            (at, numbers.choice(list(self.open)), label)
            for at, label in enumerate(labels if self.open else ())
        ]
        if self.about_label or self.by_label:
            draws = draw_labels(labels, numbers, as_they_occur=quota.even)
            asked += [
                (at, self.yes_no(label, numbers), answer)
                for at, label, answer in settle(draws, numbers, quota)
            ]
        return asked

    def yes_no(self, label: str, numbers: Random) -> str:
        """Draw a question that is answered Yes for `label`."""
        wordings = self.by_label[label] if self.by_label else self.about_label
        return YES_NO + numbers.choice(list(wordings)).replace("{}", label)


@dataclass(frozen=True)
class Claims:
    """The wordings of a question that every row knows its own answer to: does this hold?"""

    wordings: Sequence[str]
    """As `Is this statement true?`, or what is said before a claim of the row's own."""

    def ask(self, rows: Sequence[Claim], numbers: Random, quota: Quota) -> list[Draw]:
        """Ask whether the row's claim holds; as many rows where it does as where it does not."""
        draws = [(at, "", "Yes" if row.holds else "No") for at, row in enumerate(rows)]
        return [
            (at, f"{YES_NO}{numbers.choice(list(self.wordings))} {rows[at].claim}".strip(), answer)
            for at, _, answer in settle(draws, numbers, quota)
        ]


@dataclass(frozen=True)
class Mentions:
    """The wordings of a question whether a text mentions a name.

    The reference draws the name of a No question evenly from all names, so whoever knows which
    names are common answers well without the text. Here it is drawn as names occur.
    """

    wordings: Sequence[str]
    """With `{}` where the name goes."""

    def ask(self, rows: Sequence[Mention], numbers: Random, quota: Quota) -> list[Draw]:
        """Ask for one of the row's names, or for another row's that is not in it."""
        names = [name for row in rows for name in row.names]
        distinct = sorted(set(names))
        draws: list[Draw] = []
        for at, row in enumerate(rows):
            if numbers.random() < 0.5 or len(set(row.names)) == len(distinct):
                draws.append((at, numbers.choice(row.names), "Yes"))
                continue
            other = row.names[0]
            while other in row.names:
                other = numbers.choice(names if quota.even else distinct)
            draws.append((at, other, "No"))
        about = {at: name for at, name, _ in draws}
        evened = settle([(at, "", answer) for at, _, answer in draws], numbers, quota)
        return [
            (at, YES_NO + numbers.choice(list(self.wordings)).replace("{}", about[at]), answer)
            for at, _, answer in evened
        ]


def draw_labels(labels: Sequence[str], numbers: Random, *, as_they_occur: bool) -> list[Draw]:
    """Ask about each row's own label or another, half and half.

    Args:
        labels: of the rows.
        numbers: what is drawn from.
        as_they_occur: whether other labels are drawn as they occur, or evenly, as published.
    """
    others = {
        own: [label for label in (labels if as_they_occur else sorted(set(labels))) if label != own]
        for own in sorted(set(labels))
    }
    draws: list[Draw] = []
    for at, own in enumerate(labels):
        if numbers.random() < 0.5 or not others[own]:
            draws.append((at, own, "Yes"))
        else:
            draws.append((at, numbers.choice(others[own]), "No"))
    return draws


def settle(draws: Sequence[Draw], numbers: Random, quota: Quota) -> list[Draw]:
    """Return as many draws as wanted, with as many Yes as No for each thing that is asked about."""
    if not quota.even:
        return list(draws)
    pairs: list[tuple[Draw, Draw]] = []
    for about in sorted({about for _, about, _ in draws}):
        sides: dict[Literal["Yes", "No"], list[Draw]] = {
            answer: [one for one in draws if one[1:] == (about, answer)] for answer in ("Yes", "No")
        }
        size = min(map(len, sides.values()))
        chosen = [numbers.sample(side, size) for side in sides.values()]
        pairs += list(zip(*chosen, strict=True))
    if quota.num is not None:
        pairs = numbers.sample(pairs, min(quota.num // 2, len(pairs)))
    return sorted(one for pair in pairs for one in pair)
