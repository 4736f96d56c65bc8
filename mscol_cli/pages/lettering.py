"""Text in figures: wrapped and shortened to the available width, in a readable colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from mscol_cli.system.files import escaped

TITLE_SIZE, LABEL_SIZE = 10.5, 9.0
"""Font sizes in points."""
_WIDTH = 0.62 / 72
"""Width of a letter in inches per point of font size, with a margin."""


def letters(inches: float, size: float) -> int:
    """Number of letters of a font size in points that fit into a width in inches."""
    return max(8, int(inches / (_WIDTH * size)))


def inches(text: str, size: float) -> float:
    """Width in inches of the longest line of a text."""
    return max(map(len, text.split("\n"))) * _WIDTH * size


def shortened(text: str, max_letters: int) -> str:
    """Shorten a text by removing its middle, because names mostly differ at their ends."""
    text = escaped(text)  # fonts have no glyphs for surrogates
    if len(text) <= max_letters:
        return text
    kept = max_letters - 1
    return f"{text[: kept - kept // 2]}\N{HORIZONTAL ELLIPSIS}{text[-(kept // 2) :]}"


def folded(text: str, width: int, lines: int = 2) -> str:
    """Wrap a text into at most `lines` lines, removing its middle if necessary."""
    text = escaped(text)
    wrapped = textwrap.wrap(text, width)
    if len(wrapped) > lines:
        wrapped = textwrap.wrap(shortened(text, (lines * width * 4) // 5), width)
    if len(wrapped) > lines:
        short = shortened(text, lines * width)
        wrapped = [short[start : start + width] for start in range(0, len(short), width)]
    return "\n".join(wrapped)


def put_title(figure: Figure, title: str) -> None:
    """Add a title to a figure, wrapped to its width."""
    width, height = figure.get_size_inches()
    text = folded(title, letters(width - 0.3, TITLE_SIZE), lines=3)
    figure.set_size_inches(width, height + 0.2 * text.count("\n"))
    figure.suptitle(text, fontsize=TITLE_SIZE)


def colour_bar(figure: Figure, ax: Axes, image: ScalarMappable, label: str) -> None:
    """Add a colour bar below an image; beside it, labels would be cut off on a phone."""
    width, height = figure.get_size_inches()
    # Distance and thickness of the bar are constant in inches.
    apart, thick = 0.12 / height, 0.13
    bar = figure.colorbar(
        image, ax=ax, location="bottom", pad=apart, shrink=0.8, aspect=0.8 * width / thick
    )
    bar.set_label(folded(label, letters(width - 0.8, LABEL_SIZE)), fontsize=LABEL_SIZE)


def ink(red: float, green: float, blue: float) -> str:
    """Choose black or white text for a background colour with components from 0 to 1."""
    parts: Sequence[float] = [_linear(part) for part in (red, green, blue)]
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    # At this luminance, the WCAG contrast to black and white is equal.
    return "black" if luminance > 0.179 else "white"


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
