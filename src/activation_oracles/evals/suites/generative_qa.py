"""The Generative QA Protocol: open questions about a text, read from its last token alone.

As in the Universal Activation Verbalizer (arXiv 2605.25903): fifteen sources in three groups,
classification, fact retrieval and gist, scored together by SQuAD's token F1. Whatever is asked can
be told from the text, so the protocol measures how much of a text is read, and no privileged
knowledge: the question put to the base with the text in words is the ceiling, the oracle with
nothing in its slots the floor. Its ROUGE-L and chrF are made of the same answers where they are
asked for; its learned scores are not computed here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from activation_oracles.errors import DataError
from activation_oracles.evals.cases import Case
from activation_oracles.evals.evaluation import Record, Row
from activation_oracles.evals.grade import GRADES, Grade, check_grades, squad_f1
from activation_oracles.evals.subjects import BASE
from activation_oracles.evals.suite import Evaluation, Given
from activation_oracles.evals.suites.passages import Passage, read_passages
from activation_oracles.models.positions import resolve
from activation_oracles.models.target import Target

GROUPS: Mapping[str, str] = {
    "classification": "classification",
    "fact": "fact retrieval",
    "gist": "gist",
}
"""Folders of `files`, and what their rows are called in the table."""
OVERALL = "overall"
MEASURES: Mapping[str, str] = {"rouge_l": "ROUGE-L", "chrf": "chrF"}
"""What further rules are called in the table."""


def generative_qa(given: Given) -> Evaluation:
    """Ask open questions about texts, each read from its last token.

    Passages lie in folders of `files` named `classification`, `fact` and `gist`, one file a source
    (`passages.py` has the forms); at most `limit` of each source. The unit is the text.

    Raises:
        ConfigError: a rule in `overlap` is none, or needs a library that is missing.
        DataError: there are no passages, or a file is malformed.
    """
    check_grades(given.overlap)
    passages = passages_of(given)

    def rows(targets: Mapping[str, Target]) -> list[Case]:
        return [_case(one, targets[BASE], given) for one in passages]

    return Evaluation(
        name="generative-qa",
        about="open questions about a text, from its last token (arXiv 2605.25903)",
        subjects=(),
        rows=rows,
        grade=squad_f1,
        grade_in_words=squad_f1,
        further=partial(further, overlap=given.overlap),
        layout=leaderboard,
    )


def further(records: Sequence[Record], overlap: Sequence[str] = ()) -> list[Record]:
    """Return the answers once more as of one task, and all of them judged by further rules."""
    whole = overall(records)
    judged = [
        _judged(one, MEASURES.get(name, name), GRADES[name])
        for name in overlap
        for one in (*records, *whole)
    ]
    return [*whole, *judged]


def overall(records: Sequence[Record]) -> list[Record]:
    """Return the records once more, as of one task: every text counts the same."""
    return [replace(one, example=replace(one.example, task=OVERALL)) for one in records]


def leaderboard(rows: Sequence[Row]) -> str:
    """Return the scores times 100 as the protocol's tables have them: who by group.

    The base asked in words, with the text given, is the ceiling; nothing in the slots the floor.
    """
    measures = dict.fromkeys(
        row.task.removeprefix(OVERALL) for row in rows if row.task.startswith(OVERALL)
    )
    return "\n\n".join(_leaderboard(rows, one) for one in measures or [""])


def _leaderboard(rows: Sequence[Row], measure: str) -> str:
    columns = [*GROUPS.values(), OVERALL]
    scores: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        who = f"{row.who}, {row.control}" if row.control else row.who
        task = row.task.removesuffix(measure) if measure else row.task
        if row.task == task + measure and task in columns and row.estimate is not None:
            scores[who][task] = f"{100 * row.estimate.score:.1f}"
    named = measure.removeprefix(", ") or "token F1"
    lines = [f"| {named} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for who, found in scores.items():
        lines.append(f"| {who} | {' | '.join(found.get(one, '-') for one in columns)} |")
    return "\n".join(lines)


def passages_of(given: Given) -> list[Passage]:
    """Return the passages of all groups, at most `limit` of each source.

    Raises:
        DataError: there are none, or a file is malformed.
    """
    by_source: defaultdict[str, list[Passage]] = defaultdict(list)
    if given.passages is not None:
        for one in given.passages():
            by_source[one.group].append(one)
    elif given.files is None:
        raise DataError(
            "This evaluation reads passages: name a folder with "
            f"{', '.join(GROUPS)} in it, as `files`."
        )
    else:
        for group in GROUPS:
            for path in sorted((given.files / group).glob("*.*")):
                by_source[str(path)] = read_passages(path, group)
    if not by_source:
        raise DataError(f"{given.files} has no folder of {', '.join(GROUPS)} with files in it.")
    return [one for some in by_source.values() for one in given.limited(some)]


def _judged(record: Record, measure: str, grade: Grade) -> Record:
    example = replace(record.example, task=f"{record.example.task}, {measure}")
    return replace(record, example=example, score=grade(record.text, example.answer))


def _case(passage: Passage, target: Target, given: Given) -> Case:
    if passage.talk:
        chat = [{"role": role, "content": content} for role, content in passage.talk]
        text = target.text(chat, add_generation_prompt=False)
        last = resolve(f"turn {len(chat) - 1}", text)[-1]
    else:
        text = target.text(passage.text)
        last = len(text.token_ids) - 1
    return Case(
        context=text.token_ids[: last + 1],
        positions=(last,),
        layers=given.layers,
        question=passage.question,
        answer=passage.answer,
        task=GROUPS[passage.group],
        source=passage.source,
        # Two questions on one text are one observation.
        unit=passage.text,
        talk=passage.talk or (("user", passage.text),),
    )
