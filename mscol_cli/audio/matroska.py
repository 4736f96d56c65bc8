"""Whether a Matroska or WebM file is complete."""

from __future__ import annotations

from mscol_cli.audio.source import SourceFile

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


def is_cut(source: SourceFile) -> bool:
    """Whether the last element reaches beyond the end of the file.

    Segments and clusters of unknown size, as browsers record them, are entered.
    """
    place = 0
    while place < source.size:
        head = source.at(place, 12)
        name, name_bytes = _number(head, marked=True)
        size, size_bytes = _number(head[name_bytes:], marked=False)
        if not name_bytes or not size_bytes:
            return len(head) < 12
        place += name_bytes + size_bytes
        unknown = size == (1 << 7 * size_bytes) - 1
        if unknown or (name == _SEGMENT and place + size <= source.size):
            if name not in (_SEGMENT, _CLUSTER):
                return False
        else:
            place += size
    return place > source.size


def _number(content: bytes, marked: bool) -> tuple[int, int]:
    """A number of EBML, with the bit that marks its length or without, and how many bytes it has;
    0 bytes if none begins here."""
    length = 9 - content[0].bit_length() if content and content[0] else 9
    if length > 8 or len(content) < length:
        return 0, 0
    value = int.from_bytes(content[:length], "big")
    return value if marked else value & (1 << 7 * length) - 1, length
