"""Examples are true to their texts, the same for the same seed, and never on both sides."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.tasks import windows
from activation_oracles.tasks.asking import YES_NO, Questions, Quota, draw_labels, settle
from activation_oracles.tasks.classification import Classification, Sides, Windowing
from activation_oracles.tasks.context import ContextPrediction
from activation_oracles.tasks.sources import Document, Row
from activation_oracles.tasks.system_prompt import Asked, SystemPrompt
from activation_oracles.tasks.task import Task, mix, split_of
from activation_oracles.tasks.windows import Layers
from activation_oracles.types import Example

seeds = st.integers(0, 2**32)
WORDS = "The old mill stands by the river, and Anna likes green apples there.".split()


def text(number: int, count: int = 30) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=count)) + f" {number}."


@pytest.fixture(scope="module")
def tasks(tiny_tokenizer) -> list[Task]:
    layers = Layers((1, 2))
    documents = [Document(text(n), f"doc:{n}") for n in range(40)]
    rows = [Row(text(n), "AB"[n % 3 > 0], f"row:{n}") for n in range(60)]
    asked = [
        Asked(
            (
                {"role": "system", "content": f"Speak of {text(n, 3)}"},
                {"role": "user", "content": "Hello there"},
            ),
            1,
            "What was the assistant told to do?",
            f"Speak of {text(n, 3)}",
            text(n, 3),
            f"asked:{n}",
        )
        for n in range(20)
    ]
    return [
        ContextPrediction(documents, tiny_tokenizer, layers, held_out_fraction=0.2),
        Classification(
            "classification/letters",
            rows,
            tiny_tokenizer,
            layers,
            Questions(about_label=("Is this {}?", "Would you say {}?"), open=("Which is it?",)),
            sides=Sides(0.2),
        ),
        SystemPrompt(asked, tiny_tokenizer, Layers((1, 2), "one"), held_out_fraction=0.2),
    ]


def test_the_same_seed_makes_the_same_examples_and_another_does_not(tasks):
    for task in tasks:
        first = list(task.examples("train", seed=1))
        assert first
        assert first == list(task.examples("train", seed=1))
        assert first != list(task.examples("train", seed=2))


def test_no_source_is_on_both_sides(tasks):
    for task in tasks:
        sides = [{e.source for e in task.examples(side, seed=1)} for side in ("train", "held_out")]
        assert all(sides), task.name
        assert not sides[0] & sides[1]


def test_a_text_keeps_its_side_whatever_is_added_or_shuffled(tasks, tiny_tokenizer):
    more = [Document(text(n), f"other:{n}") for n in reversed(range(80))]
    task = ContextPrediction(more, tiny_tokenizer, Layers((1,)), held_out_fraction=0.2)
    before = {one.source.partition(":")[2] for one in tasks[0].examples("held_out", seed=1)}
    after = {one.source.partition(":")[2] for one in task.examples("train", seed=1)}
    assert not before & after


@given(st.text(), st.floats(0, 0.99), st.text(max_size=5))
def test_case_and_spacing_do_not_move_a_text(content, fraction, salt):
    spaced = f"  {content.upper().lower()}\n"
    plain = content.upper().lower()
    assert split_of(plain, fraction, salt) == split_of(spaced, fraction, salt)
    assert split_of(plain, 0.0, salt) == "train"


def test_a_text_in_capitals_or_with_wide_letters_is_the_same_text():
    texts = [f"The old mill number {n}" for n in range(200)]
    wide = [text.replace("m", "\uff4d") for text in texts]
    sides = [
        [split_of(one, 0.5) for one in some]
        for some in (texts, [text.upper() for text in texts], wide)
    ]
    assert sides[0] == sides[1] == sides[2]
    assert set(sides[0]) == {"train", "held_out"}


def test_about_the_wanted_share_is_held_out_and_salts_are_independent():
    texts = [f"text {n}" for n in range(4000)]
    one, other = ({t for t in texts if split_of(t, 0.1, s) == "held_out"} for s in ("", "salt"))
    assert 340 < len(one) < 460
    assert len(one & other) < 80


def test_context_answers_stand_where_the_question_says(tasks, tiny_tokenizer):
    documents = {d.source: d.content for d in tasks[0].documents}
    for example in tasks[0].examples("train", seed=3):
        ids = tiny_tokenizer(documents[example.source])["input_ids"]
        count = int(next(w for w in example.question.split() if w.isdigit()))
        start, end = example.positions[0], example.positions[-1] + 1
        assert tuple(ids[:end]) == example.context
        asked = ids[start - count : start] if "previous" in example.question else ids[end:][:count]
        assert len(asked) == count
        assert tiny_tokenizer.decode(asked).strip() == example.answer


def test_context_windows_are_all_of_the_published_ones(tiny_tokenizer):
    numbers = random.Random(0)
    drawn = [windows.context_window(80, 3, 5, numbers) for _ in range(3000)]
    assert {len(one.shown) for one in drawn} == {1, 2, 3}
    assert {len(one.wanted) for one in drawn} == {1, 2, 3, 4, 5}
    assert 1300 < sum(one.past for one in drawn) < 1700
    assert windows.context_window(2, 1, 1, numbers) is None


@given(seeds, st.integers(1, 60), st.integers(1, 50))
def test_label_windows_end_on_one_of_the_last_five_tokens(seed, length, width):
    positions = windows.label_window(length, width, random.Random(seed))
    assert 1 <= len(positions) <= width
    assert positions == tuple(range(positions[0], positions[-1] + 1))
    assert length - 5 <= positions[-1] < length
    assert positions[0] >= 0


@given(seeds, st.integers(0, 20), st.integers(1, 40))
def test_turn_windows_are_all_or_a_few_before_the_last(seed, start, count):
    allowed = range(start, start + count)
    positions = windows.turn_window(allowed, random.Random(seed))
    assert positions
    assert set(positions) <= set(allowed)
    whole = positions == tuple(allowed)
    assert whole or (len(positions) <= 3 and positions[-1] < allowed[-1])


def test_layers_are_each_one_or_together():
    numbers = random.Random(0)
    assert Layers((1, 2), "each").draw(numbers) == [(1,), (2,)]
    assert Layers((1, 2), "together").draw(numbers) == [(1, 2)]
    assert {Layers((1, 2), "one").draw(numbers)[0] for _ in range(20)} == {(1,), (2,)}
    assert Layers.at_percents(36, (25, 50, 75)).layers == (9, 18, 27)
    with pytest.raises(ConfigError, match="different layers"):
        Layers.at_percents(2, (25, 30))


def test_every_example_is_at_both_layers_as_often(tasks):
    for task in tasks[:2]:
        counts = Counter(one.layers for one in task.examples("train", seed=1))
        assert len(set(counts.values())) <= 2
        assert set(counts) == {(1,), (2,)}


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=60), seeds)
def test_yes_and_no_are_equally_many_for_each_label_asked_about(labels, seed):
    counts = defaultdict(Counter)
    numbers = random.Random(seed)
    draws = draw_labels(labels, numbers, as_they_occur=True)
    for index, label, answer in settle(draws, numbers, Quota()):
        assert (labels[index] == label) == (answer == "Yes")
        counts[label][answer] += 1
    assert all(count["Yes"] == count["No"] for count in counts.values())


def test_classification_answers_are_true_of_the_row(tasks):
    rows = {row.source: row for row in tasks[1].rows}
    kinds = Counter()
    for example in tasks[1].examples("train", seed=1):
        own = rows[example.source].label
        if example.question.startswith(YES_NO):
            asked = example.question.rstrip("?")[-1]
            assert example.answer == ("Yes" if asked == own else "No")
        else:
            assert example.answer == own
        kinds[example.answer] += 1
    assert set(kinds) == {"Yes", "No", "A", "B"}


def test_a_rare_label_is_not_asked_about_more_truly_than_a_common_one(tiny_tokenizer):
    rows = [Row(text(n), "common" if n % 10 else "rare", f"row:{n}") for n in range(200)]
    task = Classification(
        "skewed",
        rows,
        tiny_tokenizer,
        Layers((1,)),
        Questions(about_label=("Is it {}?",)),
        (Windowing(1, 1),),
    )
    answers = defaultdict(Counter)
    for example in task.examples("train", seed=0):
        answers[example.question][example.answer] += 1
    assert len(answers) == 2
    assert all(count["Yes"] == count["No"] for count in answers.values())


def test_instructions_are_read_and_never_shown(tasks, tiny_tokenizer):
    for example in tasks[2].examples("train", seed=1):
        shown = tiny_tokenizer.decode([example.context[p] for p in example.positions])
        whole = tiny_tokenizer.decode(list(example.context))
        assert example.answer in whole
        assert "Speak" not in shown
        assert whole.endswith("<|im_start|>assistant\n")


def test_mixtures_have_the_wanted_shares(tasks):
    mixed = mix(tasks[:2], (3, 1), split="train", seed=0, num_examples=80)
    counts = Counter(one.task for one in mixed)
    assert counts == {"context_prediction": 60, "classification/letters": 20}
    again = mix(tasks[:2], (3, 1), split="train", seed=0, num_examples=80)
    assert list(mixed) == list(again)
    whole = mix(tasks, split="train", seed=0)
    assert len(whole) == sum(len(list(task.examples("train", seed=0))) for task in tasks)


def test_a_mixture_without_enough_examples_is_refused(tasks):
    with pytest.raises(DataError, match="Give it more text"):
        mix(tasks[:2], (1, 1), split="train", seed=0, num_examples=10**6)
    with pytest.raises(ConfigError, match="as many weights"):
        mix(tasks, (1, 1), split="train", seed=0)


def test_questions_that_name_no_label_are_refused():
    with pytest.raises(ConfigError, match="where the label goes"):
        Questions(about_label=("Is this positive?",))


def test_examples_stay_within_their_contexts_and_tasks_are_tasks(tasks):
    for task in tasks:
        assert isinstance(task, Task)
        for example in task.examples("train", seed=5):
            assert isinstance(example, Example)
            assert example.task == task.name
