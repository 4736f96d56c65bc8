"""Pages of results as sections of blocks, independent of the output format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

FOLD_AT_LEAST = 4
"""Minimum number of rows to fold."""
LISTED = 20
"""Maximum number of lines of a list."""


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text, without markup."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """A table, whose first column names the rows.

    Attributes:
        caption: Caption with units; may be empty.
        header: One name per column.
        rows: Formatted cells.
        numbers: Whether the other columns contain numbers, which are aligned to the right.
        shown: Number of rows that are not folded; None for a table without folding.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True
    shown: int | None = None

    @property
    def unfolded(self) -> int:
        """Number of rows that are not folded; all rows if folding would hide only a few."""
        few = self.shown is None or len(self.rows) <= self.shown + FOLD_AT_LEAST
        return len(self.rows) if few else self.shown or 0


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        name: File name without suffix: letters, digits and hyphens.
        alt: Alternative text.
        png: Content of the PNG file.
        vectors: Content of vector formats, by suffix, such as `pdf`.
        inches: Width at which the text has its intended size.
    """

    name: str
    alt: str
    png: bytes
    vectors: Mapping[str, bytes] = field(default_factory=dict)
    inches: float = 5.2


@dataclass(frozen=True)
class Pictures:
    """Pictures, side by side if they fit."""

    kind: ClassVar[str] = "pictures"
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Listing:
    """A list of lines with a caption."""

    kind: ClassVar[str] = "listing"
    caption: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Commands:
    """Command lines, or lines of code, to copy."""

    kind: ClassVar[str] = "commands"
    lines: Sequence[str]
    language: str = "bash"


@dataclass(frozen=True)
class Excerpt:
    """An excerpt of a track.

    Attributes:
        label: Track and start time.
        name: File name without suffix: letters, digits and hyphens.
        flac: Content of the FLAC file; None for no audio.
    """

    label: str
    name: str
    flac: bytes | None = None


@dataclass(frozen=True)
class Neighbours:
    """An excerpt and its nearest neighbours.

    Attributes:
        query: The excerpt.
        nearest: Neighbours and their cosine similarity to the query, nearest first.
    """

    kind: ClassVar[str] = "neighbours"
    query: Excerpt
    nearest: Sequence[tuple[Excerpt, float]]


Block = Text | Table | Pictures | Listing | Commands | Neighbours


@dataclass(frozen=True)
class Section:
    """Blocks under a heading, which may be empty for the first section of a page."""

    heading: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """Name of the section in links."""
        return "-".join(self.heading.lower().split())


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: Heading of the page.
        lead: Introductory sentence.
        sections: Sections; those without blocks are left out.
        footer: Version and date; empty for no footer.
        findings: Main results, as sentences at the top of the page.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    footer: str = ""
    findings: Sequence[str] = ()


def listing(title: str, lines: Sequence[str]) -> list[Listing]:
    """Create a listing with its length in the title, cut if it is long; none if it is empty."""
    if not lines:
        return []
    more = [f"and {len(lines) - LISTED} more, in the JSON"] if len(lines) > LISTED else []
    return [Listing(f"{title} ({len(lines)})", [*lines[:LISTED], *more])]


def rows_by_name(
    columns: Sequence[Mapping[str, Any]], spec: str, absent: str = "-"
) -> list[tuple[str, ...]]:
    """Create a row for each name in any column, with values formatted by `spec`."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [
        (name, *(f"{column[name]:{spec}}" if name in column else absent for column in columns))
        for name in names
    ]
