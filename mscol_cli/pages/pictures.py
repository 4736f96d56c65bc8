"""Figures as files: PNG for a page, PDF and SVG for a paper."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from mscol_cli.pages.page import Picture
from mscol_cli.system.files import write_atomically

DOTS_PER_INCH = 144
VECTORS = ("pdf", "svg")
FORMATS = ("png", *VECTORS)
# Without the date: the same figure is the same file.
_METADATA = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def picture(name: str, alt: str, figure: Figure) -> Picture:
    """A figure as a picture of a page, in every format.

    Args:
        name: Of its files, without suffix.
        alt: What it shows, for those who do not see it.
        figure: The figure; its layout is fixed afterwards.
    """
    png = picture_bytes(figure, "png")
    # Else the layout would be computed once more for each format.
    figure.set_layout_engine("none")
    vectors = {kind: picture_bytes(figure, kind) for kind in VECTORS}
    return Picture(name, alt, png, vectors, figure.get_size_inches()[0])


def picture_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as the content of a file of one of `FORMATS`; the same figure, the same bytes."""
    content = BytesIO()
    # Fonts of a PDF that editors can change, and names in an SVG that do not change by chance.
    with mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "mscol"}):
        figure.savefig(content, format=kind, dpi=DOTS_PER_INCH, metadata=_METADATA.get(kind))
    return content.getvalue()


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix; the file appears whole or not at all."""
    content = picture_bytes(figure, path.suffix.lower().removeprefix("."))
    write_atomically(path, lambda temporary: _write(temporary, content))


def save_pictures(figure: Figure, path: Path) -> None:
    """Write a figure as `path`, and in the other formats beside it."""
    for kind in FORMATS:
        save_picture(figure, path.with_suffix(f".{kind}"))
        figure.set_layout_engine("none")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
