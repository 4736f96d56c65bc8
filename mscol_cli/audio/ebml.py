"""Whether a Matroska or WebM file ends where one of its elements does."""

from __future__ import annotations

from mscol_cli.audio.source import SourceFile

_HEADER, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_LONGEST_HEAD = 12  # bytes of an element's name and size


def is_cut(source: SourceFile) -> bool:
    """Whether the file ends within an element. False for any other format, and where damage hides
    the elements."""
    if source.at(0, 4) != _HEADER:
        return False
    place = 0
    while place < source.size:
        head = source.at(place, _LONGEST_HEAD)
        name = head[: _length(head, 4)]
        size, width = _number(head[len(name) :])
        if not name or not width:
            return len(head) < _LONGEST_HEAD
        place += len(name) + width
        # Segments are looked into, and so are clusters whose size was not known when they began.
        if name == _SEGMENT or (name == _CLUSTER and size is None):
            continue
        if size is None:
            return False
        place += size
    return place > source.size


def _length(content: bytes, most: int) -> int:
    """Bytes of a number of variable length, by the zeros at its head; 0 if it is none."""
    length = 9 - content[0].bit_length() if content else 0
    return length if length <= min(most, len(content)) else 0


def _number(content: bytes) -> tuple[int | None, int]:
    """A size and its width in bytes: None where it is unknown, width 0 where it is no size."""
    width = _length(content, 8)
    value = int.from_bytes(content[:width], "big") & (1 << 7 * width) - 1
    return (None if value == (1 << 7 * width) - 1 else value), width
