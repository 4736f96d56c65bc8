"""What the header of an open file declares of its length."""

from __future__ import annotations

import re
from pathlib import Path

import soundfile

_STREAMED = 0x7F000000
_SLACK = 8
_UNKNOWN = 1 << 36  # the most frames that FLAC can declare
_FRAME_COUNTS = (b"Xing", b"Info", b"VBRI")  # what an MP3's first frame calls its count of frames
_DECLARED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)


def declared_seconds(file: soundfile.SoundFile) -> float | None:
    """How long the header says that a file is; None where it says nothing."""
    declared, present = _data_bytes(file.extra_info)
    if not 0 < file.frames < _UNKNOWN or declared >= _STREAMED:
        return None
    # Without a count libsndfile guesses by size and bit rate, tags taken for music.
    if file.format == "MP3" and not _counts_frames(Path(file.name)):
        return None
    there = float(file.frames) / int(file.samplerate)
    return round(there * max(1.0, declared / present if present else 1.0), 6)


def missing_share(file: soundfile.SoundFile, decoded: int) -> float:
    """The share of a lossless file's samples that its header declares and that are not there.

    Lossy formats only estimate their length, or take it from the last page that is there.

    Args:
        file: The open file.
        decoded: Samples per channel that were decoded.
    """
    if file.format == "FLAC" and 0 < file.frames < _UNKNOWN:
        return 1.0 - decoded / int(file.frames)
    declared, present = _data_bytes(file.extra_info)
    # A recorder that streams to a pipe declares the largest size there is.
    if declared >= _STREAMED or declared <= present + _SLACK:
        return 0.0
    return 1.0 - present / declared


def _counts_frames(mp3: Path) -> bool:
    with mp3.open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":
            size = 0
            for byte in head[6:10]:
                size = size << 7 | byte
            file.seek(10 + size)
        first_frame = file.read(256)
    return any(mark in head + first_frame for mark in _FRAME_COUNTS)


def _data_bytes(log: str) -> tuple[int, int]:
    """Bytes of samples declared and present, by libsndfile's log of a WAV, AIFF or AU header;
    zeros where both agree."""
    found = _DECLARED.search(log)
    return (int(found[1]), int(found[2])) if found else (0, 0)
