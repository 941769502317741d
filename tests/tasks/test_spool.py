"""A sequence of records on disk is the sequence of records, and files are read as if whole."""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activation_oracles.errors import DataError
from activation_oracles.tasks.asking import Claim, Mention
from activation_oracles.tasks.sources import (
    END_OF_TEXT,
    Document,
    Row,
    read_documents,
    read_records,
    read_rows,
)
from activation_oracles.tasks.spool import Spool

RELAXED = settings(deadline=None, max_examples=50)
WORDS = st.text(max_size=12)


@RELAXED
@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=9))
def test_records_come_out_as_they_went_in(plain):
    rows = [Row(*words) for words in plain]
    held = Spool(Row, iter(rows))
    assert len(held) == len(rows)
    assert list(held) == rows
    assert held[1:-1] == rows[1:-1]
    assert [held[at] for at in range(-len(rows), 0)] == rows
    with pytest.raises(IndexError):
        held[len(rows)]


def test_records_of_every_kind_keep_what_they_hold():
    chat = ({"role": "user", "content": "a\nb\u2028"}, {"role": "assistant", "content": "c"})
    for record in (
        Document(chat, "one"),
        Document("caf\u00e9 \ud800", "two"),
        Claim("a", claim="", holds=False, key="k", source="s"),
        Mention("a b", ("a", "b"), "s"),
    ):
        assert list(Spool(type(record), [record])) == [record]


def test_two_passes_at_once_do_not_disturb_each_other():
    held = Spool(Row, (Row(str(number), "", "") for number in range(5)))
    both = zip(held, reversed(held), strict=True)
    assert [(one.text, other.text) for one, other in both] == [
        (str(number), str(4 - number)) for number in range(5)
    ]


PIECES = ("one", "  two", " ", "\t", "", "User: hi", "Bot: yes", END_OF_TEXT, f"three{END_OF_TEXT}")


@RELAXED
@given(st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from(["blocks", "lines"]))
def test_texts_read_line_by_line_are_those_of_the_whole_file(tmp_path_factory, lines, unit):
    content = "\n".join(lines)
    path = tmp_path_factory.mktemp("texts") / "some.txt"
    path.write_text(content)
    whole = content.replace(
        END_OF_TEXT, "" if content.lstrip().startswith(("User:", "Bot:")) else "\n\n"
    )
    parts = re.split(r"\n\s*\n", whole) if unit == "blocks" else whole.split("\n")
    wanted = [part.strip() for part in parts if part.strip()]
    # A piece that begins with a speaker is a chat; here its words alone are compared.
    wanted = [
        re.sub(r"(?m)^(User|Bot): ?", "", part) if part.startswith(("User:", "Bot:")) else part
        for part in wanted
    ]
    if not any(wanted):
        return
    found = read_documents(path, unit=unit)
    assert [one.words.strip() for one in found] == [part.strip() for part in wanted]


def test_cells_with_line_breaks_and_rows_of_any_width_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('words,kind\n"one\n\ntwo",x\n\nthree,y,more\n')
    found = list(read_records(path))
    assert [record for record, _ in found] == [
        {"words": "one\n\ntwo", "kind": "x"},
        {"words": "three", "kind": "y"},
    ]
    assert [place for _, place in found] == [f"{path}:2", f"{path}:4"]
    bare = [record for record, _ in read_records(path, header=False)]
    assert bare[-1] == {"0": "three", "1": "y", "2": "more"}


def test_a_file_in_another_encoding_is_named_wherever_it_breaks(tmp_path):
    path = tmp_path / "a.tsv"
    numbers = Random(0)
    lines = [f"{numbers.random()}\tx" for _ in range(9999)]
    path.write_bytes("\n".join([*lines, "caf\u00e9\ty"]).encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.tsv cannot be read as utf-8 text"):
        read_rows(path, "0", "1", header=False)
    assert read_rows(path, "0", "1", header=False, encoding="latin-1")[-1].text == "caf\u00e9"
