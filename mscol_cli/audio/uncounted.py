"""MP3 files that do not say how many frames they have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import soundfile

_FRAME_COUNTS = (b"Xing", b"Info", b"VBRI")  # what an MP3's first frame calls its count of frames
_BLOCK = 1 << 16


def is_uncounted(file: soundfile.SoundFile, path: Path) -> bool:
    """Whether libsndfile has to guess the length of an MP3, by its size and first bit rate."""
    if file.format != "MP3":
        return False
    with path.open("rb") as mp3:
        tag = mp3.read(_tag_bytes(path))
        return not any(mark in tag + mp3.read(256) for mark in _FRAME_COUNTS)


@contextmanager
def piped(path: Path) -> Iterator[soundfile.SoundFile]:
    """The file as libsndfile reads it from a pipe: to its end, where of a file on disk it decodes
    as much as it guessed, which at a variable bit rate may be a third."""
    source, target = os.pipe()
    feeder = Thread(target=_feed, args=(path, target), daemon=True)
    feeder.start()
    with soundfile.SoundFile(source, closefd=True) as file:
        yield file
    feeder.join()


def _feed(path: Path, target: int) -> None:
    # Raised where the reader had enough, and once more when the pipe is closed.
    with suppress(BrokenPipeError), path.open("rb") as mp3, os.fdopen(target, "wb") as pipe:
        mp3.seek(_tag_bytes(path))
        while block := mp3.read(_BLOCK):
            pipe.write(block)


def _tag_bytes(path: Path) -> int:
    """Length of the ID3v2 tag at the head of a file, 0 without one."""
    with path.open("rb") as file:
        head = file.read(10)
    if head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte
    return 10 + size
