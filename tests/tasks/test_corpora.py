"""Data sets are read in order and by turns, and one that cannot be is named."""

import pytest

from activation_oracles.errors import DataError
from activation_oracles.tasks.corpora import Ledger, draw_documents, problem, read_corpus
from activation_oracles.tasks.task_config import CorpusConfig
from tasks.reference_files import lay_parquet


@pytest.fixture
def corpora(tmp_path):
    for name, count in (("few", 3), ("many", 10)):
        rows = [{"text": f"{name} {n}"} for n in range(count)]
        lay_parquet(tmp_path / "copies" / "us" / name / "data" / "train-0.parquet", rows)
    return [
        CorpusConfig(repo=f"us/{name}", files="data/train-*.parquet", folder="copies")
        for name in ("few", "many")
    ]


def test_texts_are_drawn_by_turns_in_their_order(corpora, tmp_path):
    drawn = draw_documents(corpora, 5, tmp_path, Ledger())
    assert [one.content for one in drawn] == ["few 0", "many 0", "few 1", "many 1", "few 2"]
    assert [one.source for one in drawn][:2] == ["us/few:1", "us/many:1"]


def test_a_data_set_that_ends_early_is_named(corpora, tmp_path):
    with pytest.raises(DataError, match=r"us/few ended when 6 of 8"):
        draw_documents(corpora, 8, tmp_path, Ledger())


def test_the_record_knows_what_was_drawn(corpora, tmp_path):
    def summary(count):
        ledger = Ledger()
        draw_documents(corpora, count, tmp_path, ledger)
        return ledger.summary()

    assert summary(4) == summary(4)
    assert summary(4) != summary(6)
    assert list(summary(4)) == ["us/few:train (local copy)", "us/many:train (local copy)"]


def test_a_column_that_holds_no_text_is_named(corpora, tmp_path):
    other = corpora[0].model_copy(update={"column": "words"})
    with pytest.raises(DataError, match=r"us/few:1 has no text or chat in 'words'"):
        draw_documents([other], 1, tmp_path, Ledger())


def test_what_cannot_be_read_says_how_it_is_got(corpora, tmp_path):
    assert problem(corpora[0], tmp_path) is None
    absent = corpora[0].model_copy(update={"repo": "us/none"})
    text = problem(absent, tmp_path)
    assert text is not None
    assert "hf download us/none --repo-type dataset" in text
    empty = corpora[0].model_copy(update={"files": "data/test-*.parquet"})
    with pytest.raises(DataError, match="us/few cannot be read"):
        list(read_corpus(empty, tmp_path))
    away = absent.model_copy(update={"folder": None})
    assert "accept its terms at https://huggingface.co/datasets/us/none" in str(
        problem(away, tmp_path)
    )
