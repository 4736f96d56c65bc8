"""Reader of the sorted table in an `.index` file: keys and values in checksummed blocks.

    blocks of entries, metaindex block, index block, footer

A block consists of entries, the offsets of its restart points and their count (4 bytes each), one
byte for its compression, and the masked CRC-32C of all these. An entry shares the prefix of its key
with the previous entry. The index block has one entry per block, whose value is its location.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mscol_importers.wire import Cursor, MalformedError, masked_crc

FOOTER_BYTES = 48
MAGIC = 0xDB4775248B80FB57
TRAILER_BYTES = 5
UNCOMPRESSED, SNAPPY = 0, 1


class ForeignError(ValueError):
    """The file is of a kind that is not supported, but does not look damaged."""


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Read all entries of a table, and verify all checksums.

    Raises:
        ForeignError: The file is not a table, or is compressed.
        MalformedError: The file is damaged.
    """
    metaindex, index = _handles(data)
    _block(data, *metaindex)
    table: dict[bytes, bytes] = {}
    last: bytes | None = None
    for _, value in _entries(_block(data, *index)):
        for key, item in _entries(_block(data, *_handle(Cursor(value)))):
            if last is not None and key <= last:
                raise MalformedError("its keys are not in order")
            table[key] = item
            last = key
    return table


def _handles(data: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Offset and size in bytes of the metaindex and the index block."""
    footer = data[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ForeignError(
            "does not end like the index of a TensorFlow checkpoint: it is another kind of file or"
            " truncated"
        )
    cursor = Cursor(footer)
    return _handle(cursor), _handle(cursor)


def _handle(cursor: Cursor) -> tuple[int, int]:
    return cursor.varint(), cursor.varint()


def _block(data: bytes, offset: int, size: int) -> bytes:
    stored = data[offset : offset + size + TRAILER_BYTES]
    if len(stored) < size + TRAILER_BYTES:
        raise MalformedError(f"the block at byte {offset} reaches past the end of the file")
    compression, checksum = struct.unpack("<BI", stored[size:])
    if masked_crc(stored[: size + 1]) != checksum:
        raise MalformedError(f"the checksum of the block at byte {offset} is wrong")
    if compression != UNCOMPRESSED:
        name = "snappy" if compression == SNAPPY else f"method {compression}"
        raise ForeignError(f"is compressed ({name}); only uncompressed checkpoints are supported")
    return stored[:size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    cursor = Cursor(_without_restarts(block))
    key = b""
    while not cursor.done:
        shared, unshared, size = cursor.varint(), cursor.varint(), cursor.varint()
        if shared > len(key):
            raise MalformedError(f"a key shares {shared} bytes with one of {len(key)}")
        key = key[:shared] + cursor.take(unshared)
        yield key, cursor.take(size)


def _without_restarts(block: bytes) -> bytes:
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (count + 1)
    if len(block) < 4 or end < 0:
        raise MalformedError(f"a block of {len(block)} bytes announces {count} restart points")
    return block[:end]
