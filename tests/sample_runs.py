"""Runs to report on: two tasks, two layers, an oracle beside its controls, hostile texts."""

from random import Random

from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.grade import exact
from activation_oracles.evals.report.runs import Run
from activation_oracles.types import Example

HOSTILE = '</script><script>alert("x")</script> & <b>'
ANSWERS = ("red", "blue", HOSTILE)
ANSWERERS = (
    ("oracle", None),
    ("oracle", "nothing"),
    ("oracle", "random"),
    ("linear probe", None),
    ("asked in words", "text, no activations"),
)


def examples(count: int = 24, *, layers=((2,), (4,)), task: str = "colour") -> list[Example]:
    """Return questions about every second of which another layer is read."""
    return [
        Example(
            context=tuple(range(6 + number % 3)),
            positions=tuple(range(3, 6)),
            layers=layers[number // 2 % len(layers)],
            question=f"Which {HOSTILE}?",
            answer=ANSWERS[number % len(ANSWERS)],
            task=task,
            source=f"text/{number}",
        )
        for number in range(count)
    ]


def answers(rows: list[Example], share_right: float, seed: int = 0) -> list[Record]:
    """Return what everyone says: the oracle is right so often, its controls hardly ever."""
    found: list[Record] = []
    for who, control in ANSWERERS:
        random = Random(f"{who} {control} {seed}")
        for row in rows:
            is_right = random.random() < (share_right if control is None else 0.1)
            text = row.answer if is_right else f"{HOSTILE} {random.randrange(9)}"
            found.append(Record(row, text, exact(text, row.answer), who, control))
    return found


def run(name: str, share_right: float = 0.7, seed: int = 0, **made) -> Run:
    """Return a run of its own name."""
    about = {"oracle": HOSTILE, "subjects": {HOSTILE: "a"}, "layers": [2, 4], "files": None}
    return Run(name, about, tuple(answers(examples(**made), share_right, seed)))
