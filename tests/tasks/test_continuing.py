"""A file of continuations is a function of its settings, however often it was interrupted."""

import json
from random import Random

import pytest

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.tasks import store
from activation_oracles.tasks.continuing import (
    ContinueConfig,
    Continuing,
    manifest_of,
    read_continuations,
)
from activation_oracles.tasks.sources import encode
from activation_oracles.tasks.task import split_of

STORY = "The old mill stands by the river on day {}, and the miller sings to the moon."
CHAT = [
    {"role": "user", "content": "Hello there"},
    {"role": "assistant", "content": "good morning to you"},
    {"role": "user", "content": "Does Anna like apples?"},
    {"role": "assistant", "content": "No, she does not."},
]


class Writer:
    """Goes on with drawn ids, and remembers how often it was asked."""

    def __init__(self, calls: int | None = None) -> None:
        self.calls, self.left = 0, calls

    def __call__(self, prompts, *, seed):
        if self.left is not None and self.calls == self.left:
            raise KeyboardInterrupt
        self.calls += 1
        numbers = Random(f"{seed} {prompts}")
        return [tuple(numbers.choices(range(3, 300), k=numbers.randint(1, 9))) for _ in prompts]


@pytest.fixture
def make(tmp_path, tiny_tokenizer):
    """Return a maker of a run over nine stories and two chats, in batches of four."""
    (tmp_path / "stories.txt").write_text("\n\n".join(STORY.format(n) for n in range(9)))
    silent = [{"role": "assistant", "content": "Nobody asked."}]
    lines = [{"messages": CHAT}, {"messages": silent}, {"messages": CHAT[:1]}]
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def make(**fields) -> Continuing:
        plain = {"files": ("stories.txt", "chats.jsonl"), "batch_size": 4}
        config = ContinueConfig(**(plain | fields))
        return Continuing(config, tiny_tokenizer, {"model": "tiny"}, tmp_path)

    return make


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_texts_are_cut_and_chats_end_where_the_assistant_is_to_speak(
    make, tmp_path, tiny_tokenizer
):
    rows = lines_of(make().write(tmp_path / "own.jsonl", Writer()))
    assert len(rows) == 11
    for number, row in enumerate(rows[:9]):
        whole = encode(tiny_tokenizer, STORY.format(number))
        assert 0 < len(row["given"]) <= len(whole)
        assert tuple(row["given"]) == whole[: len(row["given"])]
    assert len({len(row["given"]) for row in rows[:9]}) > 1
    chats = [encode(tiny_tokenizer, CHAT[:n], add_generation_prompt=True) for n in (1, 3)]
    assert all(tuple(row["given"]) in chats for row in rows[9:])
    assert [row["source"] for row in rows[9:]] == ["chats.jsonl:1", "chats.jsonl:3"]
    assert all(tiny_tokenizer.decode(row["own"]) == row["text"] for row in rows)


def test_a_text_falls_on_the_side_that_it_falls_on_elsewhere(make, tmp_path):
    for row in lines_of(make().write(tmp_path / "own.jsonl", Writer()))[:9]:
        words = STORY.format(int(row["source"].partition(":")[2]) - 1)
        for fraction in (0.1, 0.5, 0.9):
            assert (row["share"] < fraction) == (split_of(words, fraction) == "held_out")


def test_long_chats_are_left_out_and_long_texts_are_cut(make, tmp_path):
    rows = lines_of(make(max_prompt=5).write(tmp_path / "own.jsonl", Writer()))
    assert len(rows) == 9
    assert all(len(row["given"]) <= 5 for row in rows)
    with pytest.raises(DataError, match="can be gone on from"):
        make(files=("chats.jsonl",), max_prompt=2).write(tmp_path / "none.jsonl", Writer())


@pytest.mark.parametrize("calls", [0, 1, 2])
@pytest.mark.parametrize("torn", [0, 7])
def test_a_run_that_was_stopped_ends_in_the_same_bytes(make, tmp_path, calls, torn):
    whole = make().write(tmp_path / "whole.jsonl", Writer())
    path = tmp_path / "own.jsonl"
    with pytest.raises(KeyboardInterrupt):
        make().write(path, Writer(calls))
    if torn and calls:
        path.write_bytes(path.read_bytes()[:-torn])
    more = Writer()
    assert make().write(path, more) == path
    assert path.read_bytes() == whole.read_bytes()
    assert more.calls == 3 - max(0, calls - bool(torn))
    again = Writer()
    assert make().write(path, again) == path
    assert again.calls == 0


def test_another_run_does_not_go_on_with_a_file(make, tmp_path):
    path = tmp_path / "own.jsonl"
    with pytest.raises(KeyboardInterrupt):
        make().write(path, Writer(1))
    with pytest.raises(ConfigError, match=r"begun with another config\."):
        make(temperature=0.5).write(path, Writer())
    (tmp_path / "stories.txt").write_text("Another story.")
    with pytest.raises(ConfigError, match="begun with another sources, lines"):
        make().write(path, Writer())
    (tmp_path / "notes.jsonl").write_text("mine")
    with pytest.raises(ConfigError, match="has no manifest"):
        make().write(tmp_path / "notes.jsonl", Writer())


def test_what_is_read_is_what_was_written(make, tmp_path, tiny_tokenizer):
    path = make().write(tmp_path / "own.jsonl", Writer())
    found = read_continuations(path, store.hash_tokenizer(tiny_tokenizer))
    for text, row in zip(found, lines_of(path), strict=True):
        assert (list(text.given), list(text.own)) == (row["given"], row["own"])
        assert (text.share, text.source) == (row["share"], row["source"])


def test_a_file_that_is_unfinished_changed_or_of_another_model_is_refused(
    make, tmp_path, tiny_tokenizer
):
    path, tokenizer = tmp_path / "own.jsonl", store.hash_tokenizer(tiny_tokenizer)
    with pytest.raises(DataError, match=r"no own\.manifest\.json beside it"):
        read_continuations(path, tokenizer)
    with pytest.raises(KeyboardInterrupt):
        make().write(path, Writer(1))
    with pytest.raises(DataError, match="not finished"):
        read_continuations(path, tokenizer)
    make().write(path, Writer())
    with pytest.raises(MismatchError, match="another tokenizer"):
        read_continuations(path, "0123")
    path.write_text(path.read_text() + "\n")
    with pytest.raises(DataError, match="not the file its manifest speaks of"):
        read_continuations(path, tokenizer)
    manifest_of(path).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_continuations(path, tokenizer)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"files": ()}, "give `files`, or"), ({"num_documents": 3}, "go together")],
)
def test_settings_without_texts_are_refused(make, fields, message):
    with pytest.raises(ConfigError, match=message):
        make(**fields)
