"""MPEG audio: its frames, ID3v2 tags at its head, and the frame count that encoders leave."""

from __future__ import annotations

import re
from functools import lru_cache

from mscol_cli.audio.source import SourceFile

MARK_BYTES = 44
"""Bytes of a frame within which the name of a Xing, Info or VBRI tag ends."""
_ID3_HEADER = 10
_ID3_TEXT = 32  # bytes of a number, at most
_SEARCHED = 1 << 16
_RATES = (44100, 48000, 32000)
_HAS_FRAMES, _HAS_BYTES, _HAS_INDEX, _HAS_QUALITY = 1, 2, 4, 8
_TAG_MARKS = (b"Xing", b"Info", b"VBRI")
_MARKS = re.compile(b"|".join(_TAG_MARKS))
# kbit/s by the bit rate's index, from 1: of MPEG-1 by layer; of MPEG-2, layer I; of its others.
_KBPS_1 = {
    1: tuple(range(32, 449, 32)),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBPS_2_LAYER_1 = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def id3_bytes(source: SourceFile) -> int:
    """Length of the ID3v2 tags at the head of a file, 0 without any."""
    end = 0
    while (head := source.at(end, _ID3_HEADER))[:3] == b"ID3" and len(head) == _ID3_HEADER:
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        end += _ID3_HEADER + size + (_ID3_HEADER if head[5] & 0x10 else 0)
    return end


def declared_seconds(source: SourceFile) -> float | None:
    """How long an MP3 lasts by the tag in its first frame (Xing, Info or VBRI), or else by its
    ID3v2 tag; None without."""
    seconds = counted_seconds(source.at(id3_bytes(source), _SEARCHED))
    return _id3_seconds(source) if seconds is None else seconds


def counted_seconds(content: bytes) -> float | None:
    """How long an MP3 lasts by the first Xing, Info or VBRI tag in its beginning; None without."""
    for mark in _TAG_MARKS:
        place = content.find(mark)
        while place >= 0:
            header = content[max(0, place - _tag_offset(mark, content, place)) :][:4]
            if _is_frame(header) and _tag_offset(mark, content, place):
                return _seconds(header, content[place : place + 160])
            place = content.find(mark, place + 1)
    return None


def is_tag(head: bytes) -> bool:
    """Whether what FFmpeg takes for an MP3 frame is a tag, which is not to be decoded.

    Args:
        head: Its first `MARK_BYTES`.
    """
    if head[0] == 0xFF:
        return _MARKS.search(head, 4) is not None
    return head.startswith((b"ID3", b"TAG", b"APETAGEX", b"LYRICS"))


@lru_cache(maxsize=256)
def frame_bytes(header: bytes) -> int | None:
    """Bytes of the frame that begins with a header of four bytes.

    Returns:
        0 for a free bit rate, which does not tell; None if it is not a header.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    layer, rate, index = 4 - (header[1] >> 1 & 3), header[2] >> 2 & 3, header[2] >> 4
    if layer == 4 or rate == 3 or index == 15 or header[1] & 0x18 == 0x08:
        return None
    if index == 0:
        return 0
    others = _KBPS_2_LAYER_1 if layer == 1 else _KBPS_2
    kbps = (_KBPS_1[layer] if _is_mpeg1(header) else others)[index - 1]
    halved = layer == 3 and not _is_mpeg1(header)
    slots = {1: 12, 2: 144, 3: 72 if halved else 144}[layer] * 1000 * kbps // _sample_rate(header)
    return (slots + (header[2] >> 1 & 1)) * (4 if layer == 1 else 1)


def _id3_seconds(source: SourceFile) -> float | None:
    """By the text frame TLEN, in milliseconds, of an ID3v2 tag."""
    tag = source.at(0, min(id3_bytes(source), _SEARCHED))
    place = tag.find(b"TLEN")
    if place < 0:
        return None
    size = min(_ID3_TEXT, int.from_bytes(tag[place + 4 : place + 8], "big"))
    text = tag[place + 10 : place + 10 + size]
    digits = text.replace(b"\0", b"").strip(b"\x01\x02\x03\xff\xfe ")
    return int(digits) / 1000 if digits.isdigit() and int(digits) else None


def _tag_offset(mark: bytes, content: bytes, place: int) -> int:
    """Bytes from the head of the frame to its tag; 0 where none fits."""
    offsets = (36,) if mark == b"VBRI" else (36, 21, 13)
    for offset in offsets:
        header = content[place - offset :][:4] if place >= offset else b""
        if _is_frame(header) and (mark == b"VBRI" or offset == 4 + _side_bytes(header)):
            return offset
    return 0


def _is_frame(header: bytes) -> bool:
    """Whether four bytes begin a frame of layer III."""
    return frame_bytes(header) is not None and header[1] & 0x06 == 0x02


def _is_mpeg1(header: bytes) -> bool:
    return header[1] & 0x18 == 0x18


def _side_bytes(header: bytes) -> int:
    mono = header[3] & 0xC0 == 0xC0
    if _is_mpeg1(header):
        return 17 if mono else 32
    return 9 if mono else 17


def _sample_rate(header: bytes) -> int:
    return _RATES[header[2] >> 2 & 3] // {0x18: 1, 0x10: 2, 0x00: 4}[header[1] & 0x18]


def _seconds(header: bytes, tag: bytes) -> float | None:
    rate = _sample_rate(header)
    samples = 1152 if _is_mpeg1(header) else 576
    if tag[:4] == b"VBRI":
        frames, cut = int.from_bytes(tag[14:18], "big"), 0
    else:
        frames, cut = _xing(tag)
    return max(0, frames * samples - cut) / rate if frames else None


def _xing(tag: bytes) -> tuple[int, int]:
    """Frames, and samples to be cut off at both ends; no frames where the tag has no count."""
    flags, place = int.from_bytes(tag[4:8], "big"), 8
    if not flags & _HAS_FRAMES:
        return 0, 0
    frames = int.from_bytes(tag[place : place + 4], "big")
    sizes = {_HAS_FRAMES: 4, _HAS_BYTES: 4, _HAS_INDEX: 100, _HAS_QUALITY: 4}
    place += sum(size for flag, size in sizes.items() if flags & flag)
    lame = tag[place : place + 24]
    if len(lame) < 24 or not lame[:4].isalnum():
        return frames, 0
    delays = int.from_bytes(lame[21:24], "big")
    return frames, (delays >> 12) + (delays & 0xFFF)
