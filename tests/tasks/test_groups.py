"""Every classification group is read as published, from real files where they are at hand."""

from collections import Counter
from random import Random
from typing import get_args

import pytest

from activation_oracles.errors import DataError
from activation_oracles.tasks.asking import YES_NO, Mention, Mentions, Quota
from activation_oracles.tasks.config import Group, GroupConfig
from activation_oracles.tasks.corpora import Ledger
from activation_oracles.tasks.groups import read_group
from activation_oracles.tasks.system_prompt import read_latentqa
from tasks.reference_files import NUM_ROWS, lay_csv, lay_json, lay_reference

REAL = {
    "geometry_of_truth": 7010,
    "relations": 8236,
    "tense": 6748,
    "singular_plural": 368,
    "engels_news_class_politics": 2500,
    "engels_headline_istrump": 5000,
    "engels_headline_isobama": 1656,
    "engels_headline_ischina": 1858,
    "engels_hist_fig_ismale": 5000,
    "engels_wikidata_isjournalist": 2000,
    "engels_wikidata_isathlete": 2000,
    "engels_wikidata_ispolitician": 2000,
    "engels_wikidata_issinger": 2000,
    "engels_wikidata_isresearcher": 1960,
}


def group(name, folder="datasets"):
    return GroupConfig(
        kind="published_group", name=name, group=name, folder=folder, copies="copies"
    )


def read(name, root, seed=0):
    return read_group(group(name), root, seed, Ledger())


@pytest.mark.parametrize("name", REAL)
def test_real_groups_have_the_published_sizes_and_questions(shared, name):
    config = group(name, "activation_oracles")
    rows, asker = read_group(config, shared / "data", 0, Ledger())
    assert len(rows) == REAL[name]
    asked = asker.ask(rows, Random(0), Quota())
    assert len(asked) > 0.85 * len(rows)
    answers = Counter(answer for _, _, answer in asked)
    assert answers["Yes"] == answers["No"]
    assert all(question.startswith(YES_NO) and "{" not in question for _, question, _ in asked)


def test_real_relations_say_one_thing_that_is_so_and_one_that_is_not(shared):
    config = group("relations", "activation_oracles")
    rows, _ = read_group(config, shared / "data", 0, Ledger())
    assert len({row.key.partition(":")[0] for row in rows}) == 25
    for true, false in zip(rows[::2], rows[1::2], strict=True):
        assert (true.holds, false.holds) == (True, False)
        assert true.key == false.key
        assert true.text != false.text
    ottawa = {"The capital of Canada is Ottawa.", "The capital city of Canada is Ottawa."}
    assert any(row.text in ottawa and row.holds for row in rows)


def test_real_latentqa_files_ask_twice_about_each_behaviour(shared):
    place = shared / "data" / "activation_oracles" / "latentqa_datasets" / "eval"
    hidden = {"control": 0, "stimulus": 2}
    for name, count in (("control", 500), ("stimulus", 567)):
        asked = read_latentqa(place / f"{name}.json", place / "qa.json")
        assert len(asked) == 2 * count
        assert {one.num_hidden for one in asked} == {hidden[name]}
        assert {one.messages[-1]["role"] for one in asked} == {"user"}


def test_no_two_real_behaviours_share_an_instruction(shared):
    place = shared / "data" / "activation_oracles" / "latentqa_datasets" / "eval"
    keys = {}
    for name in ("control", "stimulus"):
        for one in read_latentqa(place / f"{name}.json", place / "qa.json"):
            keys.setdefault(one.messages[0]["content"], set()).add(one.key)
    # Sides are by behaviour, so this is what keeps an instruction on one of them.
    assert all(len(found) == 1 for found in keys.values())


def test_sentiment_takes_both_splits_and_strips(sources):
    rows, _ = read("sst2", sources)
    assert len(rows) == 2 * NUM_ROWS
    assert (rows[0].text, rows[0].label) == ("day 0", "negative")


def test_gender_names_the_person_and_takes_as_many_of_each(sources):
    rows, asker = read("md_gender", sources)
    counts = Counter(row.label for row in rows)
    assert set(counts) == {"female", "male"}
    assert counts["female"] == counts["male"]
    assert rows[0].text.endswith(f"\n\nThis text is about Person {rows[0].text.split()[2]}.")
    asked = asker.ask(rows, Random(0), Quota())
    assert {question.split()[-2] for _, question, _ in asked} == {"female", "male"}


def test_inference_asks_about_the_hypothesis_and_leaves_neutral_pairs(sources):
    rows, asker = read("snli", sources)
    assert len(rows) == 2 * NUM_ROWS
    for at, question, answer in asker.ask(rows, Random(0), Quota()):
        assert question.endswith(f"? {rows[at].claim}")
        # In the small file a hypothesis follows where its number leaves 1.
        number = int(rows[at].claim.strip("He ."))
        assert answer == ("Yes" if number % 4 == 1 else "No")


def test_names_are_whole_and_sentences_without_are_left(sources):
    rows, asker = read("ner", sources)
    assert len(rows) == NUM_ROWS
    assert (rows[8].text, rows[8].names) == ("Then Anna8 New1 York came 8.", ("Anna8", "New1 York"))
    for at, question, answer in asker.ask(rows, Random(0), Quota()):
        name = question.removeprefix(f"{YES_NO}Does this text mention ").removesuffix("?")
        assert (name in rows[at].names) == (answer == "Yes")


def test_a_common_name_is_no_sign_of_yes():
    rows = [Mention("text", (f"Village {n}" if n % 10 else "Rome",), str(n)) for n in range(2000)]
    asker = Mentions(("Is it {}?",))

    def common(even):
        asked = asker.ask(rows, Random(0), Quota(even=even))
        return Counter(answer for _, question, answer in asked if "Rome" in question)

    evened, published = common(even=True), common(even=False)
    assert evened["No"] / evened.total() > 0.4
    assert published["No"] / published.total() < 0.1


def test_news_has_title_and_text_and_topics_by_name(sources):
    rows, _ = read("ag_news", sources)
    assert rows[3].text == "Title 3\n\nSome news, 3 of them."
    assert rows[3].label == "Science/Technology"


def test_every_group_can_be_read_and_the_same_again(sources):
    small = set(get_args(Group)) - {name for name in REAL if "wikidata" in name or "news" in name}
    for name in small:
        rows, _ = read(name, sources)
        assert rows, name
        assert list(rows) == list(read(name, sources)[0])
    assert read("relations", sources)[0] != read("relations", sources, seed=1)[0]


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("tense", "tense/tense_processed.json", [{"text": "x", "label": "y"}], "sentence"),
        ("relations", "relations/factual/factual_place.json", {"samples": []}, "prompt_templates"),
        ("snli", "paraphrases/question.json", {"tense": ["?"]}, "'snli'"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path, name, file, content, message):
    lay_reference(tmp_path / "datasets")
    lay_json(tmp_path / "datasets" / "classification_datasets" / file, content)
    with pytest.raises(DataError, match=message):
        read(name, tmp_path)


def test_a_table_without_tags_is_refused(tmp_path):
    lay_reference(tmp_path / "datasets")
    lay_csv(tmp_path / "datasets/classification_datasets/ner/ner.csv", ("Word",), [("a",)])
    with pytest.raises(DataError, match="Sentence #"):
        read("ner", tmp_path)
