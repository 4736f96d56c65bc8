"""Notes of a standard MIDI file, by track."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.music.harmony import Note

DRUM_CHANNEL = 9


@dataclass
class Part:
    """A track of a MIDI file.

    Attributes:
        name: Name of the track.
        program: First program of the track, 0 to 127.
        notes: Notes with start and length in beats.
    """

    name: str = ""
    program: int = 0
    notes: list[Note] = field(default_factory=list)


def read_parts(content: bytes) -> list[Part]:
    """Read the tracks of a MIDI file that have notes.

    Controllers, tempo and meter are ignored.

    Raises:
        ValueError: The content is not a MIDI file with a division in ticks per beat.
    """
    division = int.from_bytes(content[12:14], "big")
    if content[:4] != b"MThd" or not 0 < division < 0x8000:
        raise ValueError("not a MIDI file with ticks per beat")
    parts = [_part(chunk, division) for chunk in _chunks(content)]
    return [part for part in parts if part.notes]


def _chunks(content: bytes) -> Iterator[bytes]:
    position = 8 + int.from_bytes(content[4:8], "big")
    while position + 8 <= len(content):
        length = int.from_bytes(content[position + 4 : position + 8], "big")
        if content[position : position + 4] == b"MTrk":
            yield content[position + 8 : position + 8 + length]
        position += 8 + length


def _part(chunk: bytes, division: int) -> Part:
    part, programs = Part(), list[int]()
    sounding: dict[tuple[int, int], tuple[int, int]] = {}
    for tick, status, data in _events(chunk):
        kind, key = status & 0xF0, (status & 0x0F, data[0] if data else 0)
        if status == 0xFF and data[0] == 3:
            part.name = data[1:].decode("latin-1").strip()
        elif kind == 0xC0:
            programs.append(data[0])
        elif kind in (0x80, 0x90):
            if key in sounding:
                start, velocity = sounding.pop(key)
                length = (tick - start) / division
                part.notes.append(Note(start / division, length, data[0], velocity))
            if kind == 0x90 and data[1]:
                sounding[key] = (tick, data[1])
    part.program = programs[0] if programs else 0
    part.notes.sort(key=lambda note: (note.start, note.pitch))
    return part


def _events(chunk: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the tick, status and data of each event; data of a meta event starts with its type."""
    position = tick = status = 0
    while position < len(chunk):
        delta, position = _number(chunk, position)
        tick += delta
        if chunk[position] & 0x80:
            status = chunk[position]
            position += 1
        if status in (0xF0, 0xF7, 0xFF):
            kind = chunk[position : position + 1] if status == 0xFF else b""
            length, start = _number(chunk, position + len(kind))
            yield tick, status, kind + chunk[start : start + length]
            position = start + length
        else:
            length = 1 if status & 0xF0 in (0xC0, 0xD0) else 2
            yield tick, status, chunk[position : position + length]
            position += length


def _number(chunk: bytes, position: int) -> tuple[int, int]:
    """A number of variable length, and the position after it."""
    value = 0
    while True:
        byte = chunk[position]
        value, position = value << 7 | byte & 0x7F, position + 1
        if not byte & 0x80:
            return value, position
