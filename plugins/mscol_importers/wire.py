"""Primitives of the format: varints, protocol buffer fields, masked CRC-32C."""

from __future__ import annotations

from collections.abc import Iterator

MASK_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF
_VARINT_BYTES = 10


class MalformedError(ValueError):
    """Bytes that do not follow the format; callers add the path of the file."""


class Cursor:
    """Reads bytes in order, but not past their end.

    Attributes:
        position: Number of bytes read.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def done(self) -> bool:
        """Whether all bytes were read."""
        return self.position == len(self._data)

    def take(self, count: int) -> bytes:
        """Read `count` bytes. Raises MalformedError if there are fewer."""
        if count > len(self._data) - self.position:
            raise MalformedError(f"{count} bytes announced at byte {self.position} are missing")
        taken = self._data[self.position : self.position + count]
        self.position += count
        return taken

    def varint(self) -> int:
        """Read a number: seven bits per byte, lowest first, at most ten bytes."""
        value = 0
        for index in range(_VARINT_BYTES):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value
        raise MalformedError(f"a number that ends at byte {self.position} is too long")


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer message, in order.

    Yields:
        Field number and value: an integer for varints and fixed-width fields (little-endian,
        unsigned), bytes for strings and nested messages.
    """
    cursor = Cursor(message)
    while not cursor.done:
        number, wire_type = divmod(cursor.varint(), 8)
        if wire_type == 0:
            yield number, cursor.varint()
        elif wire_type == 2:
            yield number, cursor.take(cursor.varint())
        elif wire_type in (1, 5):
            yield number, int.from_bytes(cursor.take(8 if wire_type == 1 else 4), "little")
        else:
            raise MalformedError(f"field {number} has the unknown wire type {wire_type}")


def masked_crc(data: bytes) -> int:
    """CRC-32C as the format stores it: rotated right by 15 bits, plus a constant, in 32 bits."""
    import google_crc32c

    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & _WORD
