"""What a page of results holds, whatever it is written as: sections of blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

FOLD_AT_LEAST = 4
"""Rows that are worth folding away."""
LISTED = 20
"""Lines of a list that is cut when it is longer."""


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: As it is read; nothing in it is markup.
    """

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first cell of a row names it.

    Attributes:
        caption: What it shows, with units; empty where its header says it.
        header: One name per column.
        rows: Cells as they are read.
        numbers: Whether the columns after the first hold numbers, which are aligned to the right.
        shown: Rows before the rest is folded away; None for a table that is never folded.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True
    shown: int | None = None

    @property
    def unfolded(self) -> int:
        """Rows that are shown: all, where folding would hide next to nothing."""
        few = self.shown is None or len(self.rows) <= self.shown + FOLD_AT_LEAST
        return len(self.rows) if few else self.shown or 0


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        name: Of its file, without suffix: letters, digits and hyphens.
        alt: What it shows, for those who do not see it.
        png: Its content.
        vectors: By suffix, such as `pdf`, the same as a file for papers.
        inches: How wide it is where its letters have the size they are meant to have.
    """

    name: str
    alt: str
    png: bytes
    vectors: Mapping[str, bytes] = field(default_factory=dict)
    inches: float = 5.2


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side where there is room."""

    kind: ClassVar[str] = "pictures"
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Listing:
    """Lines of one kind.

    Attributes:
        caption: What they are.
        lines: As they are read.
    """

    kind: ClassVar[str] = "listing"
    caption: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Commands:
    """Command lines, one below the other, to be copied."""

    kind: ClassVar[str] = "commands"
    lines: Sequence[str]


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a track.

    Attributes:
        label: Track, and where in it.
        name: Of its file, without suffix: letters, digits and hyphens.
        flac: The sound; None where it is left out.
    """

    label: str
    name: str
    flac: bytes | None = None


@dataclass(frozen=True)
class Neighbours:
    """An excerpt, and those that lie nearest to it.

    Attributes:
        query: The excerpt.
        nearest: Others, nearest first, each with its cosine similarity to the query.
    """

    kind: ClassVar[str] = "neighbours"
    query: Excerpt
    nearest: Sequence[tuple[Excerpt, float]]


Block = Text | Table | Pictures | Listing | Commands | Neighbours


@dataclass(frozen=True)
class Section:
    """Blocks under a heading.

    Attributes:
        heading: Its name; empty for the first section of a page without a table of contents.
        blocks: In reading order.
    """

    heading: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """What links to it are called."""
        return "-".join(self.heading.lower().split())


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: Its heading.
        findings: What it shows, in sentences that are read first.
        lead: What it is about, in a sentence.
        sections: Its content; those without blocks are left out.
        footer: Who wrote it, and when; empty for none.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    footer: str = ""
    findings: Sequence[str] = ()


def listing(title: str, lines: Sequence[str]) -> list[Listing]:
    """A list with its length in the title, cut when it is long; none when it is empty."""
    if not lines:
        return []
    more = [f"and {len(lines) - LISTED} more, in the JSON"] if len(lines) > LISTED else []
    return [Listing(f"{title} ({len(lines)})", [*lines[:LISTED], *more])]


def rows_by_name(
    columns: Sequence[Mapping[str, Any]], spec: str, absent: str = "-"
) -> list[tuple[str, ...]]:
    """A row for each name that some column has a value of, its cells formatted as `spec` says."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [
        (name, *(f"{column[name]:{spec}}" if name in column else absent for column in columns))
        for name in names
    ]
