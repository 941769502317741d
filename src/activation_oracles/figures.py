"""Figures as files, PNG and SVG, for papers and slides (matplotlib, extra `eval`).

The same figure gives the same bytes.
"""

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from activation_oracles.errors import ConfigError
from activation_oracles.files import writing
from activation_oracles.statistics import Estimate

FORMATS = ("png", "svg")
GREY = "#8a919b"
WIDTH = 6.4
_COLOURS = ("#0b5cad", "#b3541e", "#2f7d4f", "#7a4fa3")
_SETTINGS: dict[str, Any] = {
    # What people wrote is no formula.
    "text.parse_math": False,
    "svg.hashsalt": "activation-oracles",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
}

Drawn = tuple[str, Any]
"""A file's name and its figure."""


def save(drawn: Iterable[Drawn], folder: Path) -> list[Path]:
    """Write figures into a folder and return their paths.

    Args:
        drawn: one by one as they are asked for, since settings hold only while they are saved.
        folder: made where it is not there.

    Raises:
        ConfigError: matplotlib is not installed.
        DataError: the files cannot be written.
    """
    matplotlib = drawing_package()
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    with matplotlib.rc_context(_SETTINGS):
        for number, (name, one) in enumerate(drawn, start=1):
            slug = "-".join(re.findall(r"\w+", name.casefold()))[:80]
            for kind in FORMATS:
                path = folder / f"{number:02}-{slug}.{kind}"
                # A date would make other bytes of the same figure.
                about: dict[str, Any] = {"Date": None} if kind == "svg" else {}
                with writing(path) as part:
                    one.savefig(part, format=kind, dpi=200, metadata=about)
                found.append(path)
    return found


def drawing_package() -> Any:
    """Return matplotlib; called first, it saves a long run that could not draw at its end.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module("matplotlib")
    except ImportError as error:
        raise ConfigError(
            "Plots need matplotlib: pip install 'activation-oracles[eval]', or leave out `plots`; "
            "the page needs none."
        ) from error


def sheet(height: float, num_columns: int = 1, width: float = WIDTH) -> tuple[Any, Any]:
    """Return a figure of so many inches, and its axes side by side."""
    # Not pyplot, which keeps every figure and looks for a screen.
    made = import_module("matplotlib.figure").Figure((width, height), layout="constrained")
    return made, made.subplots(1, num_columns, squeeze=False)[0]


def dots(axes: Any, rows: Sequence[tuple[str, Estimate | None]], colours: Sequence[str]) -> None:
    """Draw one dot a row with its interval, the first row uppermost."""
    for place, ((_, one), colour) in enumerate(zip(rows, colours, strict=True)):
        if one is not None:
            axes.plot([one.low, one.high], [place, place], color=colour, linewidth=2, alpha=0.5)
            axes.plot([one.score], [place], "o", color=colour, markersize=5)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)


def colour_of(place: int) -> str:
    """Return the colour of one of several; over again where they are many."""
    return _COLOURS[place % len(_COLOURS)]
