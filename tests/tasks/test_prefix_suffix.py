"""The answer never stands in what is shown, and lies on the side that the task's name says."""

import json
import re
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from activation_oracles.errors import DataError
from activation_oracles.tasks.asking import YES_NO
from activation_oracles.tasks.prefix_suffix import PrefixSuffix, read_sought
from activation_oracles.tasks.sources import Document
from activation_oracles.tasks.task import Task, split_of
from activation_oracles.tasks.windows import Layers

PLACES = ("kitchen", "garden", "attic", "cellar")
NAMES = "river mill apple green sings moon stands likes pears secret boat morning".split()


def story(number: int) -> dict:
    """Return a story that says twice where Anna went, with two questions about it."""
    numbers = Random(number)
    where, later = numbers.sample(PLACES, 2)
    filler = [" ".join(numbers.choices(NAMES, k=8)) for _ in range(3)]
    text = (
        f"{filler[0]}. Anna went to the {where}. {filler[1]}. Number {number} likes the "
        f"{where}. {filler[2]}. Then Anna went to the {later}. {' '.join(reversed(filler))}."
    )
    asked = [
        {"question": "Where did Anna go first?", "answer": where},
        {
            "question": "Is Anna in the attic?",
            "answer": "Yes" if later == "attic" else "No",
            "evidence": f"Then Anna went to the {later}",
            "sides": ["prefix"],
        },
    ]
    return {"text": text, "questions": asked}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("sought") / "stories.jsonl"
    lines = [story(number) for number in range(60)]
    plain = []
    for number in range(60):
        some = Random(number).sample(NAMES, 6)
        plain.append({"text": f"{number}. " + " ".join(Random(number).choices(some, k=30))})
    path.write_text("\n".join(map(json.dumps, [*lines, *plain])))
    return path


@pytest.fixture(scope="module")
def task(path, tiny_tokenizer) -> Task:
    sought, documents = read_sought(path)
    assert (len(sought), len(documents)) == (120, 60)
    layers = Layers((1, 2), "one")
    return PrefixSuffix(
        sought, documents, tiny_tokenizer, layers, widths=(1, 12), held_out_fraction=0.3
    )


def parts(example, path, tokenizer):
    """Return the words before, in and behind what an example shows, and its line's object."""
    row = json.loads(path.read_text().splitlines()[int(example.source.partition(":")[2]) - 1])
    spans = tokenizer(row["text"], return_offsets_mapping=True)["offset_mapping"]
    start, end = spans[example.positions[0]][0], spans[example.positions[-1]][1]
    text = row["text"]
    assert tuple(tokenizer(text)["input_ids"][: len(example.context)]) == example.context
    assert example.positions[-1] == len(example.context) - 1
    return text[:start], text[start:end], text[end:], row


def stands(words: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_answers_to_questions_lie_on_their_side_and_never_in_what_is_shown(
    task, path, tiny_tokenizer, split
):
    found = [e for e in task.examples(split, seed=1) if not e.question.startswith(YES_NO)]
    assert {one.task for one in found} == {"prefix_suffix/prefix", "prefix_suffix/suffix"}
    for one in found:
        before, shown, behind, row = parts(one, path, tiny_tokenizer)
        assert split_of(row["text"], 0.3) == split
        asked = next(q for q in row["questions"] if q["question"] == one.question)
        assert asked["answer"] == one.answer
        assert not stands(one.answer, shown)
        evidence = asked.get("evidence", one.answer)
        if one.task.endswith("prefix"):
            assert stands(evidence, before)
        else:
            assert stands(evidence, behind)
            assert not stands(one.answer, before)
        assert one.task.split("/")[1] in asked.get("sides", ["prefix", "suffix"])


def test_words_are_asked_about_that_are_not_shown_as_often_yes_as_no(task, path, tiny_tokenizer):
    found = [e for e in task.examples("train", seed=1) if e.question.startswith(YES_NO)]
    for one in found:
        before, shown, behind, _ = parts(one, path, tiny_tokenizer)
        word = re.search('"(.*)"', one.question)[1]
        assert not stands(word, shown)
        side = before if one.task.endswith("prefix") else behind
        assert stands(word, side) == (one.answer == "Yes")
        if one.task.endswith("suffix"):
            assert not stands(word, before)
    counts = Counter((one.task, one.answer) for one in found)
    assert counts["prefix_suffix/prefix", "Yes"] == counts["prefix_suffix/prefix", "No"] > 30
    assert counts["prefix_suffix/suffix", "Yes"] == counts["prefix_suffix/suffix", "No"] > 30


def test_no_word_of_two_neighbouring_texts_is_asked_for(task, path):
    sides = [one for one in task.documents if split_of(one.words, 0.3) == "train"]
    neighbour = {one.source: before for before, one in pairwise(sides)}
    found = [e for e in task.examples("train", seed=1) if e.question.startswith(YES_NO)]
    for one in found:
        word = re.search('"(.*)"', one.question)[1]
        assert stands(word, neighbour[one.source].words) == (one.answer == "No")


def test_the_same_seed_makes_the_same_and_another_does_not(task):
    first = list(task.examples("train", seed=1))
    assert first == list(task.examples("train", seed=1)) != list(task.examples("train", seed=2))


def test_in_chats_the_templates_own_words_are_never_asked_for(tiny_tokenizer):
    chats = [
        Document(
            (
                {"role": "user", "content": " ".join(Random(number).sample(NAMES, 6))},
                {"role": "assistant", "content": " ".join(Random(number + 99).sample(NAMES, 6))},
            ),
            f"chat:{number}",
        )
        for number in range(40)
    ]
    task = PrefixSuffix((), chats, tiny_tokenizer, Layers((1,)), held_out_fraction=0.0)
    found = list(task.examples("train", seed=1))
    words = {re.search('"(.*)"', one.question)[1] for one in found}
    assert words
    assert words <= set(NAMES)


def test_long_texts_are_cut_or_left_out(path, tiny_tokenizer):
    sought, documents = read_sought(path)
    task = PrefixSuffix(
        sought, documents, tiny_tokenizer, Layers((1,)), max_tokens=30, held_out_fraction=0.0
    )
    found = list(task.examples("train", seed=1))
    assert found
    assert max(len(one.context) for one in found) <= 30
    assert all(one.question.startswith(YES_NO) for one in found)


GOOD = {"text": "Anna went home.", "question": "Where did she go?", "answer": "home"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**GOOD, "answer": "hom"}, "'hom' does not stand in the text"),
        ({**GOOD, "evidence": "Anna ran"}, "'Anna ran' does not stand in the text"),
        ({**GOOD, "sides": ["left"]}, "`sides` of"),
        ({"text": "Anna.", "question": "Who?"}, "a question has"),
        ({"text": "Anna.", "questions": "Who?"}, "questions is a list"),
        ({"text": "Anna.", "questions": [{**GOOD}]}, "a question has"),
        ({"words": "Anna."}, "neither `text` nor `messages`"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path, row, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{json.dumps(row)}")
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_sought(path)
    assert "bad.jsonl:2" in str(error.value)


def test_real_stories_with_questions_make_examples(shared, tmp_path, tiny_tokenizer):
    lines = (shared / "data" / "babi").rglob("*1*.txt")
    source = sorted(lines)[0].read_text().splitlines()
    rows, told = [], []
    for line in source[:400]:
        number, _, said = line.partition(" ")
        told = [] if number == "1" else told
        if "\t" not in said:
            told.append((number, said))
            continue
        question, answer, fact = (part.strip() for part in said.split("\t"))
        evidence = dict(told)[fact].strip().rstrip(".")
        text = " ".join(words for _, words in told)
        rows.append({"text": text, "question": question, "answer": answer, "evidence": evidence})
    (tmp_path / "babi.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sought, _ = read_sought(tmp_path / "babi.jsonl")
    task = PrefixSuffix(sought, (), tiny_tokenizer, Layers((1,)), held_out_fraction=0.0)
    found = list(task.examples("train", seed=1))
    assert {one.task for one in found} == {"prefix_suffix/prefix", "prefix_suffix/suffix"}
    for one in found:
        shown = tiny_tokenizer.decode([one.context[at] for at in one.positions])
        assert not stands(one.answer, shown)
