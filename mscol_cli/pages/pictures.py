"""Figures as PNG for pages, and as PDF and SVG for papers."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from mscol_cli.pages.page import Picture
from mscol_cli.system.files import write_bytes

DOTS_PER_INCH = 144
VECTORS = ("pdf", "svg")
FORMATS = ("png", *VECTORS)
# Without dates, equal figures give identical files.
_METADATA = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def picture(name: str, alt: str, figure: Figure) -> Picture:
    """Render a figure as a picture, in all formats.

    Args:
        name: File name without suffix.
        alt: Alternative text.
        figure: The figure, whose layout is fixed by this call.
    """
    png = picture_bytes(figure, "png")
    # Do not compute the layout again for each format.
    figure.set_layout_engine("none")
    vectors = {kind: picture_bytes(figure, kind) for kind in VECTORS}
    return Picture(name, alt, png, vectors, figure.get_size_inches()[0])


def picture_bytes(figure: Figure, kind: str) -> bytes:
    """Render a figure in one of `FORMATS`; the result is deterministic."""
    content = BytesIO()
    # Names from data are not formulas. Drawing adds texts to those that there are.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    # TrueType fonts, which editors can change, and deterministic ids in SVG.
    with (
        mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "mscol", "text.parse_math": False}),
        warnings.catch_warnings(),
    ):
        # Pages have the names as text, too.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format=kind, dpi=DOTS_PER_INCH, metadata=_METADATA.get(kind))
    return content.getvalue()


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure atomically, in the format of the path's suffix."""
    write_bytes(path, picture_bytes(figure, path.suffix.lower().removeprefix(".")))


def save_pictures(figure: Figure, path: Path) -> None:
    """Write a figure to `path`, and in the other formats beside it."""
    for kind in FORMATS:
        save_picture(figure, path.with_suffix(f".{kind}"))
        figure.set_layout_engine("none")
