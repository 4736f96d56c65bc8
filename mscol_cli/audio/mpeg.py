"""Tags at the head of MPEG audio: ID3v2, and the frame count that encoders leave."""

from __future__ import annotations

from mscol_cli.audio.source import SourceFile

_ID3_HEADER = 10
_SEARCHED = 1 << 16
_RATES = (44100, 48000, 32000)
_HAS_FRAMES, _HAS_BYTES, _HAS_INDEX, _HAS_QUALITY = 1, 2, 4, 8
TAG_MARKS = (b"Xing", b"Info", b"VBRI")


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
    """How long an MP3 lasts by the tag in its first frame (Xing, Info or VBRI); None without."""
    content = source.at(id3_bytes(source), _SEARCHED)
    for mark in TAG_MARKS:
        place = content.find(mark)
        while place >= 0:
            header = content[max(0, place - _tag_offset(mark, content, place)) :][:4]
            if _is_frame(header) and _tag_offset(mark, content, place):
                return _seconds(header, content[place : place + 160])
            place = content.find(mark, place + 1)
    return None


def is_tag(packet: bytes) -> bool:
    """Whether what FFmpeg takes for an MP3 frame is a tag, which is not to be decoded."""
    if packet[:3] in (b"ID3", b"TAG") or packet[:8] == b"APETAGEX" or packet[:6] == b"LYRICS":
        return True
    return any(packet.find(mark, 4, 44) >= 0 for mark in TAG_MARKS) or not packet.strip(b"\0")


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
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return False
    return header[1] & 0x18 != 0x08 and header[2] & 0x0C != 0x0C and header[2] & 0xF0 != 0xF0


def _is_mpeg1(header: bytes) -> bool:
    return header[1] & 0x18 == 0x18


def _side_bytes(header: bytes) -> int:
    mono = header[3] & 0xC0 == 0xC0
    if _is_mpeg1(header):
        return 17 if mono else 32
    return 9 if mono else 17


def _seconds(header: bytes, tag: bytes) -> float | None:
    divisor = {0x18: 1, 0x10: 2, 0x00: 4}[header[1] & 0x18]
    rate = _RATES[header[2] >> 2 & 3] // divisor
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
