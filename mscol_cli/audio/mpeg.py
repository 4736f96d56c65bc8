"""MPEG audio headers: ID3v2 tags, frame counts (Xing, Info, VBRI) and frame sizes."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mscol_cli.audio.source import SourceFile

_ID3_HEADER = 10
_MAX_TAIL = 1 << 12  # bytes of tags at the end of a joined file
_CHUNK = 1 << 16
_SLACK = 1 << 12  # bytes of tags after the last frame
PADDING = 1 << 12  # bytes of zeros taken for padding; incomplete downloads leave more
_TAG_BYTES = 164  # bytes of a tag that are read
_LARGEST_OFFSET = 36
_INNER_TAG = re.compile(b"ID3[\2-\4][\0-\xfe].[\0-\x7f]{4}", re.DOTALL)
_MARKS = (b"Xing", b"Info", b"VBRI")
_ANY_MARK = re.compile(b"|".join(_MARKS))
_RATES = (44100, 48000, 32000)
_HAS_FRAMES, _HAS_BYTES, _HAS_INDEX, _HAS_QUALITY = 1, 2, 4, 8
_KBITS = {  # by version 1 or 2, and layer
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def id3_bytes(source: SourceFile) -> int:
    """Size in bytes of the ID3v2 tags at the start of a file; 0 without tags."""
    end = 0
    while size := _id3_size(source.at(end, _ID3_HEADER)):
        end += size
    return end


def inner_tag_bytes(content: bytes) -> int:
    """Bytes up to the end of an ID3v2 tag that begins in `content`; 0 without a tag.

    In joined files, the second begins with a tag, after the ID3v1 tag of the first. FFmpeg searches
    it for frames and finds some in pictures.
    """
    tag = _INNER_TAG.search(content, 0, _MAX_TAIL)
    return tag.start() + _id3_size(tag.group()) if tag else 0


def _id3_size(head: bytes) -> int:
    """Size in bytes of the tag with this header; 0 if it is not a tag."""
    if head[:3] != b"ID3" or len(head) < _ID3_HEADER:
        return 0
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return _ID3_HEADER + size + (_ID3_HEADER if head[5] & 0x10 else 0)


def declared_seconds(source: SourceFile) -> float | None:
    """Duration in seconds by the Xing, Info or VBRI tag in the first frame; None without a tag.

    ID3's TLEN is ignored: taggers do not update it when the audio changes. If a file is much longer
    than its tag declares, other files were joined to it, and their tags are added.
    """
    start = id3_bytes(source)
    # A tag is in the first frame. Only if other bytes precede that frame is it searched for.
    searched = _LARGEST_OFFSET + _TAG_BYTES if frame_bytes(source.at(start, 4)) else _CHUNK
    first = next(_tags(source.at(start, searched)), None)
    if first is None or not first.seconds:
        return None
    if not 0 < first.bytes < source.size - start - _SLACK:
        return first.seconds
    total = 0.0
    for offset in range(start, source.size, _CHUNK):
        # The first bytes of the next block complete a tag at the end of this one.
        content = source.at(offset, _CHUNK + _LARGEST_OFFSET + _TAG_BYTES)
        total += sum(tag.seconds for tag in _tags(content) if tag.frame < _CHUNK)
    return total


def is_tag(packet: bytes) -> bool:
    """Whether a packet that FFmpeg takes for an MP3 frame is a tag or padding."""
    if packet[:3] in (b"ID3", b"TAG") or packet[:8] == b"APETAGEX" or packet[:6] == b"LYRICS":
        return True
    if len(packet) <= PADDING and not packet.strip(b"\0"):
        return True
    return _ANY_MARK.search(packet, 4, 44) is not None


@lru_cache(maxsize=256)
def frame_bytes(head: bytes) -> int | None:
    """Size in bytes of the frame of layer I to III that begins with these four bytes.

    Returns:
        0 for a free bit rate, where the size is unknown; None if no frame begins here.
    """
    header = _Header.parse(head)
    return None if header is None else header.bytes


@dataclass(frozen=True)
class _Tag:
    """A frame count: offset of its frame, declared duration, bytes of all frames."""

    frame: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class _Header:
    """Header of a frame; `bytes` is 0 for a free bit rate."""

    version: int
    layer: int
    sample_rate: int
    samples: int
    side_bytes: int
    bytes: int

    @staticmethod
    def parse(head: builtins.bytes) -> _Header | None:
        """Parse four bytes; None if no frame begins with them."""
        if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
            return None
        version_bits, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
        rate_index, kbits_index = head[2] >> 2 & 3, head[2] >> 4
        if version_bits == 1 or layer == 4 or rate_index == 3 or kbits_index == 15:
            return None
        version = 1 if version_bits == 3 else 2
        rate = _RATES[rate_index] // {3: 1, 2: 2, 0: 4}[version_bits]
        samples = 384 if layer == 1 else 576 if (layer, version) == (3, 2) else 1152
        mono = head[3] >> 6 == 3
        side = {(1, False): 32, (1, True): 17, (2, False): 17, (2, True): 9}[version, mono]
        slot = 4 if layer == 1 else 1
        slots = samples * 125 * _KBITS[version, layer][kbits_index] // (rate * slot)
        size = (slots + (head[2] >> 1 & 1)) * slot if kbits_index else 0
        return _Header(version, layer, rate, samples, side, size)


def _tags(content: bytes) -> Iterator[_Tag]:
    # Most content has no mark, and `in` rules that out much faster than the pattern.
    if not any(mark in content for mark in _MARKS):
        return
    for match in _ANY_MARK.finditer(content):
        mark, position = match.group(), match.start()
        for offset in (36,) if mark == b"VBRI" else (36, 21, 13):
            header = _Header.parse(content[position - offset :][:4]) if position >= offset else None
            if header is None or header.layer != 3:
                continue
            if mark == b"VBRI" or offset == 4 + header.side_bytes:
                yield _tag(header, position - offset, content[position : position + _TAG_BYTES])
                break


def _tag(header: _Header, frame: int, tag: bytes) -> _Tag:
    if tag[:4] == b"VBRI":
        size, frames = (int.from_bytes(tag[at : at + 4], "big") for at in (10, 14))
        return _Tag(frame, frames * header.samples / header.sample_rate, size)
    flags, offset = int.from_bytes(tag[4:8], "big"), 8
    values = dict.fromkeys((_HAS_FRAMES, _HAS_BYTES), 0)
    for flag, size in ((_HAS_FRAMES, 4), (_HAS_BYTES, 4), (_HAS_INDEX, 100), (_HAS_QUALITY, 4)):
        if flags & flag:
            values[flag] = int.from_bytes(tag[offset : offset + 4], "big")
            offset += size
    samples = values[_HAS_FRAMES] * header.samples
    lame = tag[offset : offset + 24]
    if len(lame) == 24 and lame[:4].isalnum():
        delays = int.from_bytes(lame[21:24], "big")
        samples -= (delays >> 12) + (delays & 0xFFF)
    return _Tag(frame, max(0, samples) / header.sample_rate, values[_HAS_BYTES])
