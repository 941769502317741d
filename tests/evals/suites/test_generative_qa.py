"""Open questions about texts are read from their last token, out of files of many forms."""

import json
import shutil
import sys
from dataclasses import replace

import pytest

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.evals.evaluation import Record, table
from activation_oracles.evals.grade import _chrf_scorer, squad_f1
from activation_oracles.evals.suite import Given
from activation_oracles.evals.suites.generative_qa import generative_qa, leaderboard
from activation_oracles.evals.suites.passages import read_passages
from activation_oracles.tasks.rows import pyarrow
from activation_oracles.world.suites import village

ROWS = [
    {"context": "Ida bakes.", "question": "Who bakes?", "answer": "Ida"},
    {"passage": "Otto sails.", "question": "What of Otto?", "answers": ["He sails.", "sailing"]},
    {
        "text": "It rains.",
        "question": "Which weather?",
        "answers": {"text": ["rain"], "start": [3]},
    },
]


def test_texts_are_read_from_their_last_word_alone(demo):
    given = village(demo, layers=(4,), limit=5)
    evaluation = generative_qa(given)
    rows = evaluation.drawn({"": demo.target()})
    assert [one.task for one in rows] == ["classification"] * 5 + ["fact retrieval"] * 5 + [
        "gist"
    ] * 5
    for one in rows:
        assert one.positions == (len(one.context) - 1,)
        end = demo.model.tokenizer.decode(one.context[-1:]).strip()
        assert one.talk[-1][1].endswith(end)


def test_an_oracle_reads_the_gist_and_its_prompt_alone_does_not(demo):
    evaluation = generative_qa(village(demo, layers=(4,), limit=12))
    targets = {"": demo.target()}
    # The village's oracle reads little from one token, which is all that the protocol shows.
    rows = [
        replace(one, positions=tuple(range(3, len(one.context)))[-16:])
        for one in evaluation.drawn(targets)
        if one.task == "gist"
    ]

    def share(vectors):
        said = demo.oracle.answer(rows, vectors, max_new_tokens=4)
        return sum(squad_f1(text, one.answer) for text, one in zip(said, rows, strict=True))

    assert share(targets[""].vectors(rows)) > 4 > share([None] * len(rows))


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_rows_are_read_by_what_they_are_called(tmp_path, form):
    path = tmp_path / f"mine.{form}"
    if form == "jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)))
        rows = ROWS
    else:
        arrow, parquet = pyarrow()
        rows = ROWS[:1]
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    found = read_passages(path, "fact")
    assert [one.answer for one in found] == ["Ida", "He sails.", "rain"][: len(rows)]
    assert [one.text for one in found] == ["Ida bakes.", "Otto sails.", "It rains."][: len(rows)]


def test_a_label_is_asked_for_among_all_labels_of_its_file(tmp_path):
    path = tmp_path / "news.tsv"
    path.write_text("sentence\tlabel\nThey won.\tsport\nIt fell.\tmarkets\n")
    first, second = read_passages(path, "classification")
    assert first.question == second.question == "Which of these fits the text: markets, sport?"
    assert (first.text, first.answer) == ("They won.", "sport")


def test_published_facts_are_asked_of_a_text_that_ends_with_the_subject(shared):
    folder = shared / "data" / "activation_oracles" / "factual"
    for path in sorted(folder.glob("*.tsv")):
        assert read_passages(path, "fact"), path.name
    one = read_passages(folder / "country_capital_city.tsv", "fact")[0]
    assert one.text == "ancestors came to the United States"
    assert one.question.endswith("What is The capital city of this?")
    assert one.answer == "Washington D.C."


def test_stories_of_babi_are_told_up_to_the_question(shared):
    path = shared / "data" / "babi" / "qa1_single-supporting-fact_test.txt"
    first, second, *_ = read_passages(path, "fact")
    assert first.text == "John travelled to the hallway. Mary journeyed to the bathroom."
    assert (first.question, first.answer) == ("Where is John?", "hallway")
    assert second.text.startswith(first.text)
    assert "?" not in second.text


def test_folders_are_groups_and_files_are_sources(shared, tmp_path, demo):
    data = shared / "data"
    for group, path in (
        ("fact", data / "activation_oracles" / "factual" / "food_from_country.tsv"),
        ("gist", data / "babi" / "qa6_yes-no-questions_test.txt"),
    ):
        (tmp_path / group).mkdir()
        shutil.copy(path, tmp_path / group)
    given = Given(files=tmp_path, layers=(4,), limit=3)
    rows = generative_qa(given).drawn({"": demo.target()})
    assert [one.task for one in rows] == ["fact retrieval"] * 3 + ["gist"] * 3
    assert {one.answer for one in rows[3:]} <= {"yes", "no"}
    assert all(one.talk[0][0] == "user" for one in rows)


def test_every_text_counts_the_same_in_the_whole_and_the_table_is_by_group(demo):
    evaluation = generative_qa(village(demo, layers=(4,), limit=2))
    rows = evaluation.drawn({"": demo.target()})
    said = [Record(one, "", float(one.task == "gist"), "oracle", None) for one in rows]
    lines = leaderboard(table([*said, *evaluation.further(said)])).splitlines()
    assert lines[0] == "| token F1 | classification | fact retrieval | gist | overall |"
    assert lines[2] == "| oracle | 0.0 | 0.0 | 100.0 | 33.3 |"


def test_answers_are_judged_by_further_rules_in_tables_of_their_own(demo):
    pytest.importorskip("rouge_score", reason="rouge-score is not installed (extra `eval`)")
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed (extra `eval`)")
    given = replace(village(demo, layers=(4,), limit=2), overlap=("rouge_l", "chrf"))
    evaluation = generative_qa(given)
    rows = evaluation.drawn({"": demo.target()})
    said = [Record(one, one.answer, 0.0, "oracle", None) for one in rows]
    lines = leaderboard(table([*said, *evaluation.further(said)])).splitlines()
    heads = [line for line in lines if "classification" in line]
    assert [head.split(" | ")[0] for head in heads] == ["| token F1", "| ROUGE-L", "| chrF"]
    scores = [line for line in lines if line.startswith("| oracle")]
    assert scores[0] == "| oracle | 0.0 | 0.0 | 0.0 | 0.0 |"
    assert scores[1:] == ["| oracle | 100.0 | 100.0 | 100.0 | 100.0 |"] * 2


def test_a_rule_that_cannot_judge_is_refused_before_anything_is_read(demo, monkeypatch):
    _chrf_scorer.cache_clear()
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ConfigError, match="need rouge-score and sacrebleu"):
        generative_qa(replace(village(demo, layers=(4,), limit=2), overlap=("chrf",)))


@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        ("The moon", "a moon!", 1),
        ("don't", "dont", 1),
        ("the big red moon", "moon", 0.5),
        ("an", "the", 1),
        ("the", "moon", 0),
        ("theatre", "atre", 0),
    ],
)
def test_squads_f1_counts_neither_articles_nor_punctuation(said, true, score):
    assert squad_f1(said, true) == pytest.approx(score)


def test_what_is_no_passage_is_named(tmp_path):
    with pytest.raises(DataError, match="as `files`"):
        generative_qa(Given(layers=(4,)))
    with pytest.raises(DataError, match="no folder of classification, fact, gist"):
        generative_qa(Given(layers=(4,), files=tmp_path))
    (tmp_path / "gist").mkdir()
    path = tmp_path / "gist" / "mine.jsonl"
    path.write_text('{"context": "It rains.", "question": "Which weather?"}\n')
    with pytest.raises(DataError, match=r"mine\.jsonl:1 is no passage"):
        generative_qa(Given(layers=(4,), files=tmp_path))
    path.rename(path.with_suffix(".md"))
    with pytest.raises(DataError, match="no file of passages"):
        generative_qa(Given(layers=(4,), files=tmp_path))
    path.with_suffix(".md").rename(path.with_suffix(".txt"))
    with pytest.raises(DataError, match="no line of bAbI"):
        generative_qa(Given(layers=(4,), files=tmp_path))
