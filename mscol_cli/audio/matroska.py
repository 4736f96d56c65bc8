"""Checks of Matroska and WebM files that FFmpeg does not make."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import reduce

from mscol_cli.audio.source import SourceFile

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_TRACKS, _TRACK, _AUDIO, _RATE, _CHANNELS = 0x1654AE6B, 0xAE, 0xE1, 0xB5, 0x9F
_PATH = (_SEGMENT, _TRACKS, _TRACK, _AUDIO)
_MAX_HEADER = 1 << 20


def declared_formats(source: SourceFile) -> Iterator[tuple[int, int]]:
    """Yield sample rate in Hz and number of channels of each audio track.

    FFmpeg replaces values that make no sense by 8 kHz and one channel, as if they were absent.
    """
    for audio in reduce(_inside, _PATH, iter([source.at(0, _MAX_HEADER)])):
        values = dict(_elements(audio))
        rate = values.get(_RATE, b"")
        if len(rate) in (4, 8):
            (hertz,) = struct.unpack(">f" if len(rate) == 4 else ">d", rate)
            channels = int.from_bytes(values.get(_CHANNELS, b"\1"), "big")
            yield int(min(max(0.0, hertz), 1e12)), channels  # NaN becomes 0


def _inside(contents: Iterable[bytes], name: int) -> Iterator[bytes]:
    """Contents of the elements of a name inside others."""
    for content in contents:
        yield from (value for child, value in _elements(content) if child == name)


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Names and contents of consecutive elements; an incomplete one is shortened."""
    offset = 0
    while offset < len(content):
        name, name_bytes = _number(content[offset : offset + 8], marked=True)
        start = offset + name_bytes
        size, size_bytes = _number(content[start : start + 8], marked=False)
        if not name_bytes or not size_bytes:
            return
        start += size_bytes
        if size == (1 << 7 * size_bytes) - 1:  # unknown
            size = len(content)
        yield name, content[start : start + size]
        offset = start + size


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
