"""Scan of the pages of an Ogg file for links and missing pages."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from mscol_cli.audio.source import SourceFile
from mscol_cli.errors import BadInputError

_HEADER = 27
_FIRST, _LAST = 2, 4
_NO_PACKET = -1  # position of a page in which no packet ends
_CHECKSUM = slice(22, 26)
_CHUNK = 1 << 16
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class OggPages:
    """Summary of all page headers.

    Attributes:
        links: Start and end in bytes of each logical file; a chained file has several.
        lengths: Samples of each link with a single page of audio; None for other links.
        lost: Number of missing pages inside.
        trimmed: Whether a page ends before the first sample, as editors trim the start of a file.
        ended: Whether every stream has its last page.
    """

    links: list[tuple[int, int]] = field(default_factory=list)
    lengths: list[int | None] = field(default_factory=list)
    lost: int = 0
    trimmed: bool = False
    ended: bool = True

    @property
    def damage(self) -> str | None:
        """What is missing, as a phrase; None for a complete file."""
        if self.lost:
            verb = "is" if self.lost == 1 else "are"
            return f"damaged: {self.lost} of its pages {verb} missing"
        return None if self.ended else "cut off: its last page is missing"


@dataclass(frozen=True)
class _Page:
    start: int
    end: int
    flags: int
    stream: int
    number: int
    position: int


def scan_pages(source: SourceFile) -> OggPages:
    """Read every page. A page with a wrong checksum counts as missing.

    Raises:
        BadInputError: The pages are out of order, or the first ones are missing or damaged.
    """
    pages, starts = OggPages(), list[int]()
    numbers: dict[int, int] = {}
    open_streams: set[int] = set()
    positions = list[list[int]]()
    heads = False
    for page in _pages(source):
        if page.flags & _FIRST:
            if not heads:
                starts.append(page.start)
                pages.ended &= not open_streams
                open_streams.clear()
                positions.append([])
            numbers[page.stream] = page.number - 1
            open_streams.add(page.stream)
        heads = bool(page.flags & _FIRST)
        pages.lost += _lost_before(page, numbers, source)
        numbers[page.stream] = page.number
        pages.trimmed |= page.position < _NO_PACKET
        if page.position > 0:
            positions[-1].append(page.position)
        if page.flags & _LAST:
            open_streams.discard(page.stream)
    pages.ended &= not open_streams
    if not starts:
        raise BadInputError(
            f"{source.path}: truncated or damaged, no page of Ogg can be read; replace it"
        )
    pages.lengths = [ends[0] if len(ends) == 1 else None for ends in positions]
    pages.links = list(zip(starts, [*starts[1:], source.size], strict=True))
    return pages


def _lost_before(page: _Page, numbers: dict[int, int], source: SourceFile) -> int:
    if page.stream not in numbers:
        raise BadInputError(
            f"{source.path}: its first pages are missing or its pages are out of order; replace it"
        )
    step = page.number - numbers[page.stream]
    # After a restart of the encoder, a page may repeat the number of its predecessor.
    if step < 0:
        raise BadInputError(f"{source.path}: its pages are out of order; replace it")
    return max(0, step - 1)


def _pages(source: SourceFile) -> Iterator[_Page]:
    offset = 0
    while (start := _next_page(source, offset)) is not None:
        head = source.at(start, _HEADER + 255)
        lacing = head[_HEADER : _HEADER + head[26]] if len(head) >= _HEADER else b""
        offset = start + _HEADER + len(lacing) + sum(lacing)
        if len(head) < _HEADER or head[4] or not _is_intact(source.at(start, offset - start)):
            offset = start + 4
            continue
        stream, number = (int.from_bytes(head[at : at + 4], "little") for at in (14, 18))
        position = int.from_bytes(head[6:14], "little", signed=True)
        yield _Page(start, offset, head[5], stream, number, position)


def _is_intact(page: bytes) -> bool:
    """Verify the checksum of a page: CRC-32 with the bits of zlib's in reverse order."""
    blank = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[_CHECKSUM] == mirrored.to_bytes(4, "big").translate(_MIRRORED)


def _next_page(source: SourceFile, offset: int) -> int | None:
    """Offset of the next page; damaged bytes before it are skipped."""
    if source.at(offset, 4) == b"OggS":
        return offset
    while len(content := source.at(offset, _CHUNK)) >= 4:
        index = content.find(b"OggS")
        if index >= 0:
            return offset + index
        offset += len(content) - 3
    return None
