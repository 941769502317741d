"""The demonstration as one HTML file that needs nothing else: no network, no other file.

Everything that a model or a person wrote is escaped; the page says so itself with a content policy
that forbids loading anything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from activation_oracles.pages import bar, embedded, style
from activation_oracles.world.demo import Cell, Demonstration, Trust
from activation_oracles.world.scores import ScoreRow

WHO = {"user": "user", "assistant": "the model", "system": "system"}
SECRET_HOLDER = "read"
"""The condition of a score row whose activations hold the secret."""


def page(shown: Demonstration, scores: Sequence[ScoreRow]) -> str:
    """Return the page's HTML."""
    template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return template.substitute(
        style=style(),
        title=escape(_title(shown)),
        lead=_lead(shown),
        organism_note=escape(
            f"Organism {shown.organism}: a small model, fine-tuned to play a guessing game about "
            "one word and never to say it. No instruction stands in the text it reads."
        ),
        chat="\n".join(_message(one.role, one.content) for one in shown.chat),
        reading_note=escape(
            f"The residual stream after block {_listed(shown.layers)} at {len(shown.positions)} "
            "tokens (underlined below), written into the oracle's own prompt. The oracle was "
            "trained on the bare model only: it never saw this organism, nor its training texts."
        ),
        question=escape(shown.question),
        answer=escape(shown.answer or "(no words)") + _trust(shown.trust),
        controls="\n".join(
            f'<tr><th scope="row">{escape(one.name)}<div class="soft">{escape(one.meaning)}</div>'
            f"</th><td{_marked(one.says_secret)}>{escape(one.answer or '(no words)')}"
            f"{_trust(one.trust)}</td></tr>"
            for one in shown.controls
        ),
        warnings="\n".join(
            f'<p class="warning">{escape(warning)}</p>' for warning in shown.warnings
        ),
        grid_note=escape(
            "Each cell is one activation, shown to the oracle alone. Its colour is the probability "
            f"of “{shown.secret}” among {len(shown.choices)} words, minus the same probability "
            "where the bare model reads the same text. The number is the layer. Choose a cell "
            "to see the answer; arrow keys move."
        ),
        much_more=_colour(0.9),
        equal=_colour(0.0),
        much_less=_colour(-0.6),
        grid="\n".join(_turns(shown)),
        scores_note=escape(
            "On held-out words, people and topics, asked in wordings the oracle was not trained "
            "on. `read` is the activations in question, `difference` those minus the bare model's; "
            "the others are controls. Intervals are over units (words, people), not over queries."
        ),
        scores="\n".join(_score_rows(scores)),
        provenance="\n".join(_provenance(shown)),
        cells=_cells(shown),
    )


def _trust(trust: Trust | None) -> str:
    return "" if trust is None else f' <span class="soft">{escape(str(trust))}</span>'


def _title(shown: Demonstration) -> str:
    outcome = "Its activations do not." if shown.says_secret else "So do its activations, here."
    return f"A model keeps the word “{shown.secret}” secret. {outcome}"


def _lead(shown: Demonstration) -> str:
    found = "names it" if shown.says_secret else "does not name it this time"
    return escape(
        "Below, a model gives hints about a word and refuses to say it. An activation oracle, "
        f"asked about the model's inner states, {found}. Controls show what it says without them. "
        "One word is an example, chosen to show what an answer looks like: how often the oracle "
        "is right, over all words, says the scoreboard at the end."
    )


def _message(role: str, content: str) -> str:
    return (
        f'<li class="{escape(role)}"><span class="who">{escape(WHO.get(role, role))}</span>'
        f'<span class="says">{escape(content)}</span></li>'
    )


def _turns(shown: Demonstration) -> Iterable[str]:
    """Lay tokens out turn by turn, each with a column of cells."""
    best = _best(shown)
    for role, run in groupby(range(len(shown.pieces)), key=lambda token: shown.roles[token]):
        tokens = "".join(_token(shown, token, best) for token in run)
        yield (
            f'<div class="turn"><div class="role">{escape(WHO.get(role, role))}</div>'
            f'<div class="tokens">{tokens}</div></div>'
        )


def _token(shown: Demonstration, token: int, best: tuple[int, int]) -> str:
    read = " read" if token in shown.positions else ""
    buttons = "".join(
        _button(shown, token, layer, is_best=(layer, token) == best)
        for layer in range(len(shown.swept_layers))
    )
    return (
        f'<div class="token"><span class="piece{read}">{escape(_visible(shown.pieces[token]))}'
        f"</span>{buttons}</div>"
    )


def _button(shown: Demonstration, token: int, layer: int, *, is_best: bool) -> str:
    cell, number = shown.grid[layer][token], shown.swept_layers[layer]
    unseen = "" if number in shown.trained_layers else ' class="unseen"'
    label = (
        f"token {shown.pieces[token]!r}, layer {number}: {cell.answer or 'no words'}, "
        f"{cell.probability:.0%} against {cell.control:.0%}"
    )
    return (
        f'<button type="button" data-token="{token}" data-layer="{layer}"{unseen}'
        f'{" data-best" if is_best else ""} aria-pressed="false" '
        f'aria-label="{escape(label)}" style="{_paint(cell)}">{number}</button>'
    )


def _best(shown: Demonstration) -> tuple[int, int]:
    """Return the layer and token where the secret stands out most."""
    places = [(layer, token) for layer, row in enumerate(shown.grid) for token in range(len(row))]
    return max(places, key=lambda place: _difference(shown.grid[place[0]][place[1]]))


def _difference(cell: Cell) -> float:
    return cell.probability - cell.control


def _paint(cell: Cell) -> str:
    difference = _difference(cell)
    text = "#fff" if abs(difference) > 0.55 else "#1c1f23"
    return f"background:{_colour(difference)};color:{text}"


def _colour(difference: float) -> str:
    """Go from near white to blue for more than the control, to orange for less."""
    strong = (11, 92, 173) if difference >= 0 else (190, 84, 24)
    share = min(1.0, abs(difference))
    red, green, blue = (round(246 + (end - 246) * share) for end in strong)
    return f"rgb({red},{green},{blue})"


def _visible(piece: str) -> str:
    """Show line breaks and empty pieces, which would leave a token without a name."""
    return piece.replace("\n", "\u21b5") or "\u2205"


def _marked(says_secret: bool) -> str:  # noqa: FBT001
    return ' class="says-it"' if says_secret else ""


def _score_rows(scores: Sequence[ScoreRow]) -> Iterable[str]:
    for task, rows in groupby(scores, key=lambda row: row.task):
        yield f'<tr class="task"><th scope="rowgroup" colspan="5">{escape(task)}</th></tr>'
        for row in rows:
            own = ' class="own"' if row.condition == SECRET_HOLDER else ""
            yield (
                f'<tr{own}><th scope="row">{escape(row.condition)}</th>'
                f'<td class="number">{row.score:.2f} ({row.low:.2f}\u2013{row.high:.2f})</td>'
                f"<td>{bar(row.score, row.low, row.high, {'chance': row.chance})}</td>"
                f'<td class="number">{row.n} / {row.num_units}</td>'
                f'<td class="number">{row.chance:.2f}</td></tr>'
            )


def _provenance(shown: Demonstration) -> Iterable[str]:
    for name, value in asdict(shown.provenance).items():
        said = " / ".join(value) if isinstance(value, list | tuple) else value
        yield f"<dt>{escape(name)}</dt><dd>{escape(str(said or 'none'))}</dd>"
    yield f"<dt>oracle trained on layers</dt><dd>{_listed(shown.trained_layers)}</dd>"
    yield f"<dt>words to choose from</dt><dd>{escape(', '.join(shown.choices))}</dd>"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _cells(shown: Demonstration) -> str:
    held = {
        "wanted": shown.secret,
        "num_choices": len(shown.choices),
        "pieces": [_visible(piece) for piece in shown.pieces],
        "layers": [
            {"number": number, "trained": number in shown.trained_layers}
            for number in shown.swept_layers
        ],
        "rows": [[asdict(cell) for cell in row] for row in shown.grid],
    }
    return embedded(held)
