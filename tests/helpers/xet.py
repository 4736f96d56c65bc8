"""Xet, the Hub's storage of large files, as its client calls it: xorbs, shards, reconstructions.

A xorb is a sequence of chunks; a shard names the chunks of which files consist. The client has to
be set to send chunks uncompressed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

ENTRY = 48
"""Bytes of each record of a shard, and of its header."""
VERIFIED, WITH_SHA256 = 1 << 31, 1 << 30
CHUNK_HEADER = 8


@dataclass(frozen=True)
class XetFile:
    """A file of an uploaded shard.

    Attributes:
        hash: Hash by which the client asks for it.
        terms: Xorb, size in bytes, first chunk and chunk behind the last one of each part.
    """

    hash: str
    terms: list[tuple[str, int, int, int]]

    @property
    def size(self) -> int:
        return sum(size for _, size, _, _ in self.terms)


@dataclass
class XetStorage:
    """Uploaded xorbs by hash, and files of the uploaded shards by SHA-256."""

    xorbs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, XetFile] = field(default_factory=dict)

    def add_shard(self, shard: bytes) -> None:
        """Register the files of a shard."""
        position = ENTRY
        while shard[position : position + 32] != b"\xff" * 32:
            flags, count = struct.unpack_from("<2I", shard, position + 32)
            digest = _hex(shard[position:])
            position += ENTRY
            terms = [_term(shard[position + ENTRY * term :]) for term in range(count)]
            position += ENTRY * count * (2 if flags & VERIFIED else 1)
            if flags & WITH_SHA256:
                sha256 = _hex(shard[position:])
                position += ENTRY
                self.files[sha256] = XetFile(digest, terms)

    def content(self, file: XetFile) -> bytes:
        """The bytes of a file."""
        return b"".join(
            self.xorbs[xorb][offset + CHUNK_HEADER : following]
            for xorb, _, start, end in file.terms
            for offset, following in list(pairwise(self._offsets(xorb)))[start:end]
        )

    def _offsets(self, xorb: str) -> list[int]:
        """Where the chunks of a xorb begin, and where the last one ends."""
        data, offsets = self.xorbs[xorb], [0]
        while offsets[-1] < len(data) and data[offsets[-1]] == 0:
            size = int.from_bytes(data[offsets[-1] + 1 : offsets[-1] + 4], "little")
            offsets.append(offsets[-1] + CHUNK_HEADER + size)
        return offsets

    def reconstruction(self, digest: str, url: str) -> dict[str, Any]:
        """Answer to a client that asks for a file, whose xorbs are at `url`."""
        file = next(file for file in self.files.values() if file.hash == digest)
        terms, xorbs = [], {}
        for xorb, size, start, end in file.terms:
            chunks = {"start": start, "end": end}
            offsets = self._offsets(xorb)
            span = {"start": offsets[start], "end": offsets[end] - 1}
            terms.append({"hash": xorb, "unpacked_length": size, "range": chunks})
            xorbs[xorb] = [{"url": f"{url}/{xorb}", "ranges": [{"chunks": chunks, "bytes": span}]}]
        return {"offset_into_first_range": 0, "terms": terms, "xorbs": xorbs}


def _hex(data: bytes) -> str:
    """A hash as text: four numbers of 64 bits."""
    return "".join(f"{number:016x}" for number in struct.unpack_from("<4Q", data))


def _term(data: bytes) -> tuple[str, int, int, int]:
    return _hex(data), *struct.unpack_from("<3I", data, 36)
