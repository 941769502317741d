"""The page holds every answer, needs nothing but itself, and takes no text for anything else."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from activation_oracles.evals.cases import Case
from activation_oracles.evals.evaluation import Record
from activation_oracles.evals.report.page import page
from activation_oracles.evals.report.report import report
from activation_oracles.evals.report.runs import Run
from activation_oracles.pages import embedded
from sample_runs import HOSTILE, examples, run


class Reader(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def held(html: str) -> dict:
    return json.loads(re.search(r'id="held">(.*?)</script>', html, re.DOTALL).group(1))


def said(html: str) -> set:
    """Return all answers that stand in a page, as its script reads them."""
    found, data = set(), held(html)
    texts, width = data["texts"], len(data["fields"])
    for row in data["rows"]:
        fields = dict(zip(data["fields"], (texts[number] for number in row[:width]), strict=True))
        key = fields["task"], fields["question"], fields["answer"], fields["source"]
        for at in range(width, len(row), 3):
            number, text, score = row[at : at + 3]
            found.add((*data["answerers"][number], *key, texts[text], score))
    return found


@pytest.fixture(scope="module")
def runs():
    first, second = run("first"), run(f"second {HOSTILE}", 0.9, seed=1)
    odd = [
        Record(one.example, HOSTILE, score, f"odd {HOSTILE}", f"odd {HOSTILE}")
        for one, score in zip(first.records[:2], (None, 0.123), strict=True)
    ]
    return [replace(first, records=(*first.records, *odd)), second]


@pytest.fixture(scope="module")
def html(runs):
    return page(report(runs))


def test_every_answer_of_every_run_is_in_the_page(runs, html):
    wanted = {
        (
            *(one.name, record.who, record.control),
            *(record.example.task, record.example.question, record.example.answer),
            *(record.example.source, record.text, record.score),
        )
        for one in runs
        for record in one.records
    }
    assert said(html) == wanted
    assert len(held(html)["rows"]) == 24


def test_the_page_needs_nothing_but_itself(html):
    for tag, attributes in read(html).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "href", "srcset", "action"}.intersection(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", html)
    assert "default-src 'none'" in html


def test_what_models_and_people_wrote_stays_text(html):
    reader = read(html)
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("script") == 2
    assert "b" not in tags
    assert "".join(reader.text).count('alert("x")') >= 3
    assert "innerHTML" not in html


def test_texts_survive_being_embedded():
    for text in (HOSTILE, "<!--<script>", "\u2028é\x00\\", "$title ${x}"):
        assert json.loads(embedded([text])) == [text]
        assert "<" not in embedded([text])


def test_a_score_says_its_interval_and_what_it_was_counted_over(html):
    text = " ".join(" ".join(read(html).text).split())
    assert re.search(r"oracle first 0\.\d{3} \( ?0\.\d\d to 0\.\d\d\) 24 / 24 0", text)
    assert "chance 0.33, majority 0.33" in text


def test_scores_are_parted_by_layer_where_rows_have_several(runs, html):
    assert "colour <span" in html
    assert re.search(r"<summary>colour <span[^>]*>by layers", html)
    flat = page(report([run("flat", layers=((2,),))]))
    assert "by layers</span></summary>" not in flat
    assert "Runs against each other" in html
    assert "Runs against each other" not in flat


def test_a_run_that_is_not_finished_says_so(runs):
    assert "is not finished" not in page(report(runs[:1]))
    assert "is not finished" in page(report([replace(runs[0], is_finished=False)]))


def test_texts_are_shown_as_they_were_said_or_decoded_where_there_is_a_tokenizer():
    one = examples(1)[0]
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    case = Case(**fields, subject="spy", unit="word", talk=(("user", "Hm?"), ("assistant", "No.")))
    records = tuple(
        Record(case, "red", 1.0, "oracle", control) for control in (None, "nothing", "random")
    )
    told = held(page(report([Run("one", {}, records)])))
    row = dict(zip(told["fields"], told["rows"][0], strict=False))
    assert told["texts"][row["text"]] == "user: Hm?\nassistant: No."
    assert told["texts"][row["subject"]] == "spy"
    assert told["texts"][row["where"]] == "layer 2, tokens 3 to 5 of 6 tokens"
    decoded = report([Run("one", {}, records)], decode=lambda ids: " ".join(map(str, ids)))
    told = held(page(decoded))
    row = dict(zip(told["fields"], told["rows"][0], strict=False))
    assert told["texts"][row["text"]] == "0 1 2 3 4 5"
    assert told["texts"][row["shown"]] == "3 4 5"
