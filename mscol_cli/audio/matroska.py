"""Check that a Matroska or WebM file is complete."""

from __future__ import annotations

from mscol_cli.audio.source import SourceFile

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


def is_cut(source: SourceFile) -> bool:
    """Whether the last element extends beyond the end of the file.

    Segments and clusters of unknown size, as browsers record them, are entered.
    """
    offset = 0
    while offset < source.size:
        head = source.at(offset, 12)
        name, name_bytes = _number(head, marked=True)
        size, size_bytes = _number(head[name_bytes:], marked=False)
        if not name_bytes or not size_bytes:
            return len(head) < 12
        offset += name_bytes + size_bytes
        unknown = size == (1 << 7 * size_bytes) - 1
        if unknown or (name == _SEGMENT and offset + size <= source.size):
            if name not in (_SEGMENT, _CLUSTER):
                return False
        else:
            offset += size
    return offset > source.size


def _number(content: bytes, marked: bool) -> tuple[int, int]:
    """An EBML number, with or without the bit that marks its length, and its size in bytes; 0
    bytes if the content does not begin with a number."""
    length = 9 - content[0].bit_length() if content and content[0] else 9
    if length > 8 or len(content) < length:
        return 0, 0
    value = int.from_bytes(content[:length], "big")
    return value if marked else value & (1 << 7 * length) - 1, length
