"""A battery's page holds every number with its interval, and takes no text for anything else."""

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest

from activation_oracles.dreams.by_concept import OUTCOMES, outcome
from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.curves import dose_response
from activation_oracles.dreams.page import page
from activation_oracles.dreams.summary import summarise
from sample_findings import CONCEPTS, STILL, STRENGTHS, findings, looks
from sample_runs import HOSTILE

SEARCHED = ("normal 0", "normal 1", "red-team", "silent")


class Reader(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def found():
    return findings()


@pytest.fixture(scope="module")
def summary(found):
    return summarise(found)


@pytest.fixture(scope="module")
def html(found, summary):
    return page(found, summary, looks=looks())


@pytest.fixture(scope="module")
def text(html):
    return Reader(html).text


def test_the_page_needs_nothing_but_itself(html):
    for tag, attributes in Reader(html).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "href", "srcset", "action"}.intersection(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|innerHTML", html)
    assert "default-src 'none'" in html


def test_what_models_and_people_wrote_stays_text(html, text):
    tags = [tag for tag, _ in Reader(html).tags]
    assert tags.count("script") == 1
    assert "b" not in tags
    assert text.count('alert("x")') > 100


def test_every_headline_stands_with_its_interval_and_count(summary, text):
    for rate in (summary.steering, summary.fooled, summary.fooled_unmoved, summary.silent):
        said = f"{rate.low:.2f} to {rate.high:.2f}; {rate.count} of {rate.of} concepts"
        assert f"{rate.share:.2f} {said}" in text


def test_every_kind_stands_with_its_intervals_beside_no_vector_and_asking_in_words(summary, text):
    for one in summary.kinds:
        steers, effect, reached = one.steers, one.effect, one.reached
        assert (
            f"{effect.score:+.3f} ({effect.low:+.2f} to {effect.high:+.2f}) "
            f"{steers.share:.3f} ({steers.low:.2f} to {steers.high:.2f}) {one.permutation_p:.4f}"
        ) in text
        if one.name in SEARCHED:
            assert (
                f"{one.name} {reached.share:.3f} ({reached.low:.2f} to {reached.high:.2f})" in text
            )
    assert re.search(rf"as it is {summary.unsteered:.3f} \(0\.2\d to 0\.\d\d\)", text)
    assert re.search(
        rf"asked in words {summary.instructed:.3f} \(0\.\d\d to 0\.\d\d\) "
        r"\+0\.433 \(\+0\.\d\d to \+0\.\d\d\)",
        text,
    )


def test_what_each_oracle_believes_stands_for_each_kind(summary, text):
    assert f"one, attacked two {HOSTILE}, layer 2 normal 0 0.995 (" in text
    assert re.search(r"silent 0\.001 \([\d.]+ to [\d.]+\) 0\.123 \(", text)


def test_every_reply_and_every_vector_is_in_the_page(found, text):
    for one in found.effects:
        assert f"effect {one.effect:+.3f}, p {one.p_value:.3f}" in text
        for said in (one.ahead, one.back):
            assert all(reply in text for reply in said.replies)
    for said in (*found.unsteered.values(), *found.instructed.values()):
        assert all(reply in text for reply in said.replies)


def test_what_each_kind_looks_like_stands_beside_chance(text):
    interval = r"\([+-]?\d\.\d\d to [+-]?\d\.\d\d\)"
    assert re.search(
        rf"normal 0 -0\.100 {interval} -0\.100 {interval} 0\.300 {interval} 0\.300 {interval} "
        rf"\+0\.021 {interval} -0\.50 \+1\.00 \+0\.654",
        text,
    )
    assert "by chance +0.000 +0.000 0.125 0.125 +0.000" in text


def test_every_vector_s_look_is_in_the_page(text):
    for one in looks():
        assert f"near {one.name} " in text
        [answers] = one.geometry.said.values()
        for asked, said in answers.items():
            assert f"{asked} {said}" in text
    assert text.count("cosine +0.021, from -0.033 to +0.044") == 6


def test_without_looks_the_page_does_not_speak_of_them(found, summary):
    assert "What it looks like" not in page(found, summary)
    assert "What they look like" not in page(found, summary)


def test_doses_begin_at_the_target_as_it_is(found, html):
    curve = dose_response(found, "normal 0")
    assert [one.strength for one in curve] == sorted([0.0, *STRENGTHS])
    [still] = [one for one in curve if one.strength == 0]
    assert still.reply.score == pytest.approx(sum(STILL) / 3)
    assert [one.num_whole for one in curve] == [2, 2, 3, 3, 0]
    assert html.count('<svg class="chart"') == 6
    least = curve[0].reply
    interval = f"{least.low:.3f} to {least.high:.3f}"
    assert f"strength -1: 0.100 ({interval}), whole in 2 of 3" in Reader(html).text


def test_one_thing_came_of_each_vector_and_can_be_chosen(found, html):
    sections = [attrs for tag, attrs in Reader(html).tags if tag == "section"]
    assert len(sections) == len(found.effects)
    by_name = {(one.name, one.concept): OUTCOMES.index(outcome(one)) for one in found.effects}
    names = list(dict.fromkeys(one.name for one in found.effects))
    shown = sorted((names[int(one["data-kind"])], int(one["data-outcome"])) for one in sections)
    assert shown == sorted((name, came) for (name, _), came in by_name.items())
    first = [by_name["normal 0", concept] for concept in CONCEPTS]
    assert [OUTCOMES[came] for came in first] == [
        "believed, follows",
        "believed, does not follow",
        "believed, follows",
    ]


def test_a_vector_that_breaks_the_target_at_once_is_not_shown_as_if_it_were_pushed(text):
    assert "backwards: breaks at the least strength, so as it is" in text


def test_concepts_say_what_was_asked_where_they_are_known(found, summary):
    concept = Concept(
        name="moon",
        question=f"What is it? {HOSTILE}",
        answer="the moon",
        prompts=("What do you see?", f"Where? {HOSTILE}"),
        reply="The moon.",
        instead=("The sun.",),
        shown_by=("moon",),
    )
    html = page(found, summary, [concept])
    for said in (concept.question, concept.prompts[1], concept.asked_for):
        assert escape(said) in html
    assert [tag for tag, _ in Reader(html).tags].count("script") == 1


def test_too_few_vectors_and_concepts_to_compare_with_are_said():
    few = findings(num_randoms=5)
    html = page(few, summarise(few))
    assert "no p-value can be below 0.125" in html
    assert "3 concepts can be shuffled in 6 ways" in html


def test_enough_vectors_to_compare_with_need_no_warning(html):
    assert "no p-value" not in html


def test_vectors_that_always_break_the_target_are_said(found, html):
    broken = tuple(
        replace(one, strength=0.0) if one.name == "CAA" else one for one in found.effects
    )
    said = "Of CAA, every vector breaks the target"
    at_once = replace(found, effects=broken)
    assert said in page(at_once, summarise(at_once))
    assert said not in html


def test_what_was_not_searched_for_does_not_count_as_reached(text):
    assert "CAA no search 0" in text
    assert "CAA 1.000" not in text
