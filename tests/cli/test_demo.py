import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser

import pytest

from activation_oracles.cli.demo import summary, table, told
from activation_oracles.cli.main import main
from activation_oracles.types import Provenance
from activation_oracles.world.demo import Beside, Cell, Demonstration, Spoken, Trust
from activation_oracles.world.load import DATA
from activation_oracles.world.page import page
from activation_oracles.world.scores import ScoreRow

HOSTILE = '</script><script>alert("x")</script> & <b>'
REFUSED = Trust(0.214, is_given=False)
shipped = pytest.mark.skipif(not (DATA / "oracle").is_dir(), reason="no world ships here")


@pytest.fixture
def shown() -> Demonstration:
    pieces = ("<|im_start|>", "user", "\n", " hint", HOSTILE, "")
    row = tuple(Cell(HOSTILE, "boat", 0.75, 0.25) for _ in pieces)
    return Demonstration(
        organism="taboo_moon",
        secret="moon",
        chat=(Spoken("user", "Give me a hint."), Spoken("assistant", HOSTILE)),
        question="What is it?",
        answer="moon",
        says_secret=True,
        layers=(2,),
        positions=(3, 4),
        controls=(
            Beside("nothing", "nothing is written", HOSTILE, says_secret=False, trust=REFUSED),
            Beside("asked in words", "no oracle", "It is hot.", says_secret=False),
        ),
        choices=("boat", "moon"),
        pieces=pieces,
        roles=("user",) * len(pieces),
        swept_layers=(2, 3),
        trained_layers=(2,),
        grid=(row, tuple(replace(cell, probability=0.1) for cell in row)),
        provenance=Provenance("village", "ab", "taboo_moon@cd", "float32", "sdpa", "ef"),
        warnings=("layer 3 was not trained on",),
        trust=Trust(0.876, is_given=True),
    )


@pytest.fixture
def rows() -> list[ScoreRow]:
    return [
        ScoreRow("taboo", "read", 0.5, 240, 24, 0.4, 0.6, 0.01),
        ScoreRow("taboo", "base", 0.05, 240, 24, 0.0, 0.1, 0.01),
        ScoreRow("gender", "read", 0.9, 60, 6, 0.8, 1.0, 0.5),
    ]


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


def test_behind_an_answer_stands_how_far_to_trust_it(shown, rows):
    lines = told(shown)
    assert next(line for line in lines if line.startswith("  oracle")).endswith("0.88, given")
    assert any("0.21, refused  (nothing is written)" in line for line in lines)
    assert any("curve fitted on other" in line for line in lines)
    html = "".join(read(page(shown, rows)).text)
    assert "0.88, given" in html
    assert "0.21, refused" in html


def test_a_world_without_an_abstainer_tells_none_of_it(shown, rows):
    bare = replace(
        shown, trust=None, controls=tuple(replace(one, trust=None) for one in shown.controls)
    )
    text = "\n".join(told(bare)) + "".join(read(page(bare, rows)).text)
    assert "refused\n" not in text
    assert "0.88" not in text
    assert "curve fitted on other\n" not in text


def test_the_page_needs_nothing_but_itself(shown, rows):
    for tag, attributes in read(page(shown, rows)).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed")
        assert not {"src", "href", "srcset", "action"}.intersection(attributes)
    assert not re.search(r"https?://|@import|url\(", page(shown, rows))


def test_what_models_and_people_wrote_stays_text(shown, rows):
    reader = read(page(shown, rows))
    assert [tag for tag, _ in reader.tags].count("script") == 2
    assert "b" not in [tag for tag, _ in reader.tags]
    assert "".join(reader.text).count('alert("x")') >= 3


def test_every_token_has_a_cell_at_every_layer(shown, rows):
    buttons = [attributes for tag, attributes in read(page(shown, rows)).tags if tag == "button"]
    assert len(buttons) == len(shown.pieces) * len(shown.swept_layers)
    assert all(button["aria-label"] for button in buttons)
    assert {button.get("class") for button in buttons if button["data-layer"] == "1"} == {"unseen"}


def test_the_cells_behind_the_buttons_are_the_grid(shown, rows):
    script = re.search(r'id="cells">(.*?)</script>', page(shown, rows), re.DOTALL)
    held = json.loads(script.group(1))
    assert held["rows"] == [[asdict(cell) for cell in row] for row in shown.grid]


def test_a_demonstration_that_fails_says_so(shown, rows):
    failed = replace(shown, answer="boat", says_secret=False)
    assert "does not name it" in page(failed, rows)


def test_the_terminal_tells_the_answer_and_every_control(shown, rows):
    lines = told(shown)
    assert any(line.split()[:2] == ["oracle", "moon"] for line in lines)
    assert any(line.startswith("  nothing") for line in lines)
    assert any("0.50" in line and "0.05" in line and "0.40-0.60" in line for line in summary(rows))
    assert len(table(rows)) == 1 + len(rows)


def test_a_missing_world_is_one_clear_line(tmp_path, capsys):
    assert main(["demo", "--world", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "is not a model folder" in captured.err


@shipped
def test_an_unknown_organism_is_one_clear_line(capsys):
    assert main(["demo", "--organism", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


@shipped
@pytest.mark.slow
def test_the_demo_runs_from_the_shipped_weights(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["demo", "--json", "--page", str(path)]) == 0
    held = json.loads(capsys.readouterr().out)
    shown = held["demonstration"]
    assert shown["secret"] not in " ".join(one["content"] for one in shown["chat"]).casefold()
    assert {one["name"] for one in shown["controls"]} >= {"nothing", "random", "base model"}
    assert held["scores"]
    assert shown["secret"] in path.read_text(encoding="utf-8")


@shipped
@pytest.mark.slow
def test_the_demo_reads_at_the_layers_that_are_named_together(capsys):
    assert main(["demo", "--json", "--page", "", "--layers", "2", "4"]) == 0
    shown = json.loads(capsys.readouterr().out)["demonstration"]
    assert shown["layers"] == [2, 4]


@shipped
def test_what_recipes_are_chosen_on_lies_only_where_a_world_was_built(capsys):
    assert main(["demo", "--scores", "--development"]) == 2
    assert "`ao world build --out DIR` makes them" in capsys.readouterr().err
