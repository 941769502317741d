"""Laws of the village's language: drawn from a seed, and true to its own words."""

import re
from itertools import islice
from random import Random

import pytest

from activation_oracles.world.language.briefs import Brief, briefing, exchange, rows_of_gender
from activation_oracles.world.language.documents import (
    CONTRASTING,
    COPYING,
    MIXTURE,
    document,
    documents,
    quoted,
)
from activation_oracles.world.language.games import game
from activation_oracles.world.language.ideas import describe, verdicts
from activation_oracles.world.language.people import gossip
from activation_oracles.world.language.sentences import report
from activation_oracles.world.language.tables import (
    ATTRIBUTES,
    DETAILS,
    DEVELOPMENT_TOPICS,
    DEVELOPMENT_WORDS,
    REPORTED_TOPICS,
    REPORTED_WORDS,
    TRAINED_GROUPS,
    WITHHELD_GROUPS,
    things,
    wordings,
)


def test_the_same_seed_draws_the_same_documents_and_another_seed_others():
    first, again, other = (list(islice(documents(seed), 50)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize("sort", sorted({*MIXTURE, *COPYING, *CONTRASTING}))
def test_every_sort_of_document_alternates_between_speakers(sort):
    random = Random(sort)
    for _ in range(20):
        roles = [message.role for message in document(random, sort) if message.role != "system"]
        assert roles == ["text"] or roles == (["user", "assistant"] * 11)[: len(roles)]


def test_words_kept_for_reporting_and_choosing_are_apart_and_known():
    groups = (REPORTED_WORDS, DEVELOPMENT_WORDS, REPORTED_TOPICS, DEVELOPMENT_TOPICS)
    words = [word for group in groups for word in group]
    assert len(set(words)) == len(words)
    assert set(words) <= set(things())
    assert len(REPORTED_WORDS) >= 20
    assert len(DEVELOPMENT_WORDS) >= 6
    assert len(WITHHELD_GROUPS) >= 3
    assert not set(WITHHELD_GROUPS) & set(TRAINED_GROUPS)


def test_every_question_has_wordings_to_train_on_and_others_to_report():
    for aspect, ways in wordings().items():
        assert ways.trained, aspect
        assert not set(ways.trained) & set(ways.reported)
        assert ways.reported or aspect == "evil_user"


def test_no_two_things_share_all_facts_and_no_fact_names_its_thing():
    facts = [thing.facts for thing in things().values()]
    assert len(set(facts)) == len(facts)
    for thing in things().values():
        words = " ".join(thing.facts + thing.looks).split()
        assert thing.name not in words, thing.name


def test_the_assistant_never_says_its_secret_word_and_judges_rightly():
    random = Random(1)
    for _ in range(300):
        scene = game(random, tuple(things()))
        secret = things()[scene["secret"]]
        for asked, said in zip(scene.messages[1::2], scene.messages[2::2], strict=True):
            assert secret.name not in said.content.rstrip(".!").split()
            claimed = [fact for fact in secret.facts + secret.looks if _claims(asked.content, fact)]
            if said.content.endswith((", so yes.", ", so no.")):
                assert said.content.endswith("yes.") == bool(claimed)
                assert said.content.split(",")[0].removeprefix("It ") in secret.looks


def _claims(question, fact):
    """Tell whether a check puts this fact forward, and not one that only begins like it."""
    return question.removesuffix(" Right?").rstrip(".?").endswith(f" it {fact}")


def test_a_rule_is_obeyed_in_every_answer():
    random = Random(2)
    for _ in range(200):
        scene = briefing(random, tuple(things()))
        for said in scene.messages[2::2]:
            if scene.has("topic"):
                assert f"the {scene['topic']}" in said.content.lower() or (
                    f"The {scene['topic']}" in said.content
                )
            if scene.has("ending"):
                assert said.content.endswith(scene["ending"])


def test_gendered_questions_are_answered_by_what_the_brief_says():
    random = Random(3)
    replies = {row[0]: row for row in rows_of_gender()}
    for who, column in (("man", 1), ("woman", 2)):
        for _ in range(20):
            asked, said = exchange(random, Brief((("gender", who),)), "gendered")
            assert said == replies[asked][column]


def test_replies_about_people_end_with_what_was_told_of_them():
    random = Random(4)
    for _ in range(200):
        scene = gossip(random)
        told = {(truth.name, truth.answer) for truth in scene.truths}
        for said in scene.messages:
            words = said.content.rstrip(".").split()
            if said.role == "assistant" and words[0] in {truth.name for truth in scene.truths}:
                assert (words[0], words[-1]) in told


def test_attributes_of_people_are_spread_over_their_values():
    random = Random(5)
    seen = {aspect: set() for aspect in ATTRIBUTES}
    for _ in range(600):
        for truth in gossip(random).truths:
            seen[truth.aspect].add(truth.answer)
    assert seen == {aspect: set(values) for aspect, values in ATTRIBUTES.items()}


@pytest.mark.parametrize("group", [*TRAINED_GROUPS, *WITHHELD_GROUPS])
def test_every_label_has_both_answers_in_fair_shares(group):
    random = Random(6)
    answers = []
    while len(answers) < 200:
        scene = report(random)
        if scene.has(group):
            answers.append(scene[group] == "Yes")
    assert 0.08 < sum(answers) / len(answers) < 0.92


def test_labels_can_be_seen_in_the_words():
    random = Random(7)
    for _ in range(300):
        scene = report(random)
        text = scene.messages[0].content
        assert (scene["asking"] == "Yes") == ("?" in text)
        if scene["denied"] == "Yes":
            assert " not " in text
        named = [thing.kind for thing in things().values() if f" {thing.name} " in text]
        assert (scene["edible"] == "Yes") == ("food" in named)


def test_details_are_asked_for_by_name_and_stand_in_the_text_or_do_not():
    random = Random(10)
    details = ("named_thing", "named_colour")
    assert set(DETAILS) < set(details)
    seen = set()
    for _ in range(300):
        scene = report(random)
        text = scene.messages[0].content.lower()
        for truth in scene.truths:
            if truth.aspect in details:
                stands = bool(re.search(rf"\b{truth.name.lower()}\b", text))
                assert (truth.answer == "Yes") == stands, (truth, text)
                seen.add((truth.aspect, truth.answer))
    assert len(seen) == 2 * len(details)


def test_a_quoted_text_stands_under_many_openings():
    random = Random(11)
    scene = report(random)
    said = scene.messages[0].content
    quotes = {quoted(random, scene).strip() for _ in range(200)}
    assert all(quote.endswith(said) for quote in quotes)
    openings = {quote.removesuffix(said).strip() for quote in quotes}
    assert "" in openings
    assert any(opening.startswith("Layer: ") for opening in openings)
    assert len(openings) > 50


def test_descriptions_do_not_name_their_thing():
    random = Random(8)
    for _ in range(100):
        described = describe(random, tuple(things()))
        assert described["thought"] not in described.messages[1].content.strip(".").split()


def test_verdicts_say_how_it_is_before_they_judge():
    random = Random(9)
    judged = []
    for _ in range(100):
        for asked, said in zip(*[iter(verdicts(random).messages)] * 2, strict=True):
            claim = asked.content.split(" it ")[-1] if "And that" in asked.content else ""
            truth, judgement = said.content.removeprefix("It ").split(", so ")
            judged.append(judgement)
            if claim:
                assert (claim.rstrip("?") == truth) == (judgement == "yes.")
    assert 0.4 < judged.count("yes.") / len(judged) < 0.6
