"""What the header of an open file declares of its length."""

from __future__ import annotations

import re

import soundfile

_STREAMED = 0x7F000000
_SLACK = 8
_UNKNOWN = 1 << 36  # the most frames that FLAC can declare
_DECLARED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)


def declared_seconds(file: soundfile.SoundFile) -> float | None:
    """How long the header says that a file is; None where it says nothing."""
    declared, present = _data_bytes(file.extra_info)
    if not 0 < file.frames < _UNKNOWN or declared >= _STREAMED:
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


def _data_bytes(log: str) -> tuple[int, int]:
    """Bytes of samples declared and present, by libsndfile's log of a WAV, AIFF or AU header;
    zeros where both agree."""
    found = _DECLARED.search(log)
    return (int(found[1]), int(found[2])) if found else (0, 0)
