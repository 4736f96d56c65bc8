"""Reading of MIDI files."""

from __future__ import annotations

import pytest

from bench.music.harmony import Note
from bench.music.midi import read_parts

TEMPO = b"\x00\xff\x51\x03\x07\xa1\x20"
END = b"\x00\xff\x2f\x00"
HEADER = b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x00\x60"


def track(events: bytes) -> bytes:
    return b"MTrk" + len(events).to_bytes(4, "big") + events


def test_notes_are_read_in_beats_with_running_status_and_program() -> None:
    name = b"\x00\xff\x03\x04Bass"
    # 96 ticks per beat: C4 for one beat, then E4 of two beats, whose start has running status.
    events = b"\x00\xc2\x21\x00\x92\x3c\x50\x60\x3c\x00\x00\x40\x64\x81\x40\x82\x40\x00"
    system = b"\x00\xf0\x02\x01\xf7"
    content = HEADER + track(TEMPO + END) + track(name + system + events + END)
    (part,) = read_parts(content)
    assert (part.name, part.program) == ("Bass", 33)
    assert part.notes == [Note(0.0, 1.0, 60, 80), Note(1.0, 2.0, 64, 100)]


@pytest.mark.parametrize("content", [b"", b"RIFF" + HEADER[4:], HEADER[:12] + b"\xe7\x28"])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="MIDI"):
        read_parts(content)
