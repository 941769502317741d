"""Questions about what a target wrote itself ask for nothing else, and re-tokenise nothing."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.tasks.continuing import Continuation
from activation_oracles.tasks.on_policy import OnPolicy
from activation_oracles.tasks.task import Task
from activation_oracles.tasks.windows import Layers, own_window

counts = st.integers(1, 30)


@given(st.integers(0, 2**32), counts, counts, st.integers(1, 12), st.integers(1, 12))
def test_own_windows_ask_only_for_what_the_target_wrote(seed, given_, own, width, wanted):
    window = own_window(given_, given_ + own, width, wanted, Random(seed))
    if window is None:
        # The shortest window and question always fit where two tokens were written.
        assert own < width + wanted
        return
    assert 1 <= len(window.shown) <= width
    assert 1 <= len(window.wanted) <= wanted
    assert given_ <= min(window.wanted) <= max(window.wanted) < given_ + own
    assert given_ <= window.shown[-1] < given_ + own
    assert window.shown[0] >= 0
    assert list(window.shown) == list(range(window.shown[0], window.shown[-1] + 1))
    edge = window.wanted[-1] + 1 == window.shown[0]
    assert edge if window.past else window.shown[-1] + 1 == window.wanted[0]


def test_every_window_that_fits_is_drawn():
    numbers = Random(0)
    drawn = [own_window(3, 7, 2, 2, numbers) for _ in range(800)]
    found = {(one.shown, one.wanted) for one in drawn if one is not None}
    wanted = set()
    for width in (1, 2):
        for asked in (1, 2):
            for start in range(8 - width):
                shown = tuple(range(start, start + width))
                before = tuple(range(start - asked, start))
                after = tuple(range(start + width, start + width + asked))
                for side in (before, after):
                    if side[0] >= 3 and side[-1] < 7 and 3 <= shown[-1] < 7:
                        wanted.add((shown, side))
    assert found == wanted


@pytest.fixture(scope="module")
def texts():
    numbers = Random(0)
    return [
        Continuation(
            tuple(numbers.choices(range(3, 300), k=numbers.randint(1, 20))),
            tuple(numbers.choices(range(3, 300), k=numbers.randint(0, 60))),
            number / 60,
            f"story:{number}",
        )
        for number in range(60)
    ]


@pytest.fixture(scope="module")
def task(texts, tiny_tokenizer) -> Task:
    layers = Layers((1, 2, 3))
    return OnPolicy(texts, tiny_tokenizer, layers, widths=(3, 20), held_out_fraction=0.2)


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_answers_stand_where_the_question_says_in_the_ids_that_were_written(
    task, texts, tiny_tokenizer, split
):
    by_source = {text.source: text for text in texts}
    examples = list(task.examples(split, seed=3))
    assert {one.question.split()[4] for one in examples} == {"next", "previous"}
    for one in examples:
        text = by_source[one.source]
        assert (text.share < 0.2) == (split == "held_out")
        ids = text.given + text.own
        assert one.context == ids[: len(one.context)]
        assert one.positions[-1] == len(one.context) - 1
        count = int(next(word for word in one.question.split() if word.isdigit()))
        end, start = one.positions[-1] + 1, one.positions[0]
        asked = ids[start - count : start] if "previous" in one.question else ids[end:][:count]
        assert len(asked) == count
        assert tiny_tokenizer.decode(asked, skip_special_tokens=True).strip() == one.answer


def test_the_same_seed_makes_the_same_and_another_does_not(task):
    first = list(task.examples("train", seed=1))
    assert first == list(task.examples("train", seed=1)) != list(task.examples("train", seed=2))


def test_long_texts_are_cut(texts, tiny_tokenizer):
    task = OnPolicy(texts, tiny_tokenizer, Layers((1,)), max_tokens=24, held_out_fraction=0.0)
    assert max(len(one.context) for one in task.examples("train", seed=1)) <= 24
