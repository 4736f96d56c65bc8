"""Files that are not audio, under an audio file's name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np

HTML = b"<!DOCTYPE html>\n<html><body><h1>404 Not Found</h1></body></html>\n" * 200


def _png() -> bytes:
    rows = np.random.default_rng(4).integers(0, 256, (64, 1 + 3 * 64), dtype=np.uint8)
    rows[:, 0] = 0
    blocks = [
        (b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    ]
    target = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    target.seek(0, io.SEEK_END)
    for name, data in blocks:
        target.write(struct.pack(">I", len(data)) + name + data)
        target.write(struct.pack(">I", zlib.crc32(name + data)))
    return target.getvalue()


IMPOSTORS: Mapping[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "a web page": lambda: HTML,
    "an image": _png,
    "zeros": lambda: bytes(20_000),
    "noise": lambda: np.random.default_rng(5).bytes(40_000),
    "text": lambda: b"0123456789 not music\n" * 500,
}
"""Content by name. Playlists, which point to other files, have tests of their own."""
