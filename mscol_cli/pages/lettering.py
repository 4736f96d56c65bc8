"""Words in pictures: folded and shortened to the room there is, in ink that can be read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from mscol_cli.system.files import escaped

TITLE_SIZE, LABEL_SIZE = 10.5, 9.0
"""Points."""
_WIDTH = 0.62 / 72
"""Inches of a letter, for each point of its size: of a usual one, and a little more."""


def letters(inches: float, size: float) -> int:
    """How many letters have room side by side."""
    return max(8, int(inches / (_WIDTH * size)))


def inches(text: str, size: float) -> float:
    """How wide the longest line of a text is."""
    return max(map(len, text.split("\n"))) * _WIDTH * size


def shortened(text: str, longest: int) -> str:
    """A text without its middle, where it is too long: names mostly differ at their ends."""
    text = escaped(text)  # a font has no letters for what is not text
    if len(text) <= longest:
        return text
    kept = longest - 1
    return f"{text[: kept - kept // 2]}\N{HORIZONTAL ELLIPSIS}{text[-(kept // 2) :]}"


def folded(text: str, longest: int, lines: int = 2) -> str:
    """A text in a few lines, without its middle if these are too few."""
    text = escaped(text)
    found = textwrap.wrap(text, longest)
    if len(found) > lines:
        found = textwrap.wrap(shortened(text, (lines * longest * 4) // 5), longest)
    if len(found) > lines:
        whole = shortened(text, lines * longest)
        found = [whole[start : start + longest] for start in range(0, len(whole), longest)]
    return "\n".join(found)


def put_title(figure: Figure, title: str) -> None:
    """A title over a whole figure, in as many lines as its width asks for."""
    width, height = figure.get_size_inches()
    text = folded(title, letters(width - 0.3, TITLE_SIZE), lines=3)
    figure.set_size_inches(width, height + 0.2 * text.count("\n"))
    figure.suptitle(text, fontsize=TITLE_SIZE)


def colour_bar(figure: Figure, place: Axes, image: ScalarMappable, label: str) -> None:
    """What the colours of an image mean, below it: beside it, letters would be cut on a phone."""
    width, height = figure.get_size_inches()
    # Inches, whatever the size of the image: between the two, and of the bar.
    apart, thick = 0.12 / height, 0.13
    bar = figure.colorbar(
        image, ax=place, location="bottom", pad=apart, shrink=0.8, aspect=0.8 * width / thick
    )
    bar.set_label(folded(label, letters(width - 0.8, LABEL_SIZE)), fontsize=LABEL_SIZE)


def ink(red: float, green: float, blue: float) -> str:
    """Black or white, whichever is read better on a colour of parts from 0 to 1."""
    parts: Sequence[float] = [_linear(part) for part in (red, green, blue)]
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    # Where the contrast of WCAG is the same to both.
    return "black" if luminance > 0.179 else "white"


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
