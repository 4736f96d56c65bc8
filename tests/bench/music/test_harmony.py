"""Chords and melodies of rendered songs."""

from __future__ import annotations

import numpy as np
import pytest

from bench.music.harmony import (
    SCALES,
    Chord,
    Key,
    bass_line,
    comping,
    draw_key,
    melody,
    progression,
)
from mscol_cli.synthetic.randomness import stream

KEYS = [Key(0, "major"), Key(7, "minor")]


def scale(key: Key) -> set[int]:
    return {(key.tonic + step) % 12 for step in SCALES[key.mode]}


@pytest.mark.parametrize("key", KEYS)
def test_triads_of_a_progression_belong_to_the_key(key: Key) -> None:
    chords = progression(stream(1), key, 64, "triads")
    assert len(chords) == 64
    # A sixth may lie outside of a minor key, whose dominant is major.
    allowed = scale(key) | ({(key.tonic + 11) % 12} if key.mode == "minor" else set())
    plain = [chord for chord in chords if chord.quality != "6"]
    assert all(chord.pitch_classes <= allowed for chord in plain)
    assert len({chord.root for chord in chords}) > 3


def test_blues_has_twelve_bars() -> None:
    chords = progression(stream(1), Key(9, "major"), 24, "blues")
    assert [chord.symbol for chord in chords[:12]] == [
        "A7", "D7", "A7", "A7", "D7", "D7", "A7", "A7", "E7", "D7", "A7", "E7",
    ]  # fmt: skip
    assert chords[:12] == chords[12:]


@pytest.mark.parametrize("beats", [2, 3, 4, 6])
@pytest.mark.parametrize("key", KEYS)
def test_a_melody_stays_in_its_range_key_and_bars(key: Key, beats: int) -> None:
    chords = progression(stream(2), key, 16, "triads")
    notes = melody(stream(3), key, chords, beats, 50, 66)
    assert len({note.pitch for note in notes}) > 3
    assert all(50 <= note.pitch <= 66 and 1 <= note.velocity <= 127 for note in notes)
    assert all(note.start + note.length <= 16 * beats for note in notes)
    allowed = scale(key).union(*(chord.pitch_classes for chord in chords))
    assert {note.pitch % 12 for note in notes} <= allowed
    assert [note.start for note in notes] == sorted(note.start for note in notes)


def test_the_first_note_of_a_bar_is_of_its_chord() -> None:
    key = Key(0, "major")
    chords = progression(stream(4), key, 32, "sevenths")
    for note in melody(stream(5), key, chords, 4, 55, 72):
        if note.start % 4 == 0:
            assert note.pitch % 12 in chords[int(note.start) // 4].pitch_classes


def test_the_same_stream_gives_the_same_music() -> None:
    def draw(seed: int) -> object:
        rng = stream(seed)
        key = draw_key(rng)
        chords = progression(rng, key, 8, "sevenths")
        return key, chords, melody(rng, key, chords, 4, 50, 66)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_bass_and_comping_follow_the_chords() -> None:
    chords = [Chord(0, ""), Chord(9, "m")]
    bass = bass_line(np.random.default_rng(1), chords, 4)
    assert {note.pitch % 12 for note in bass if note.start in (0, 4)} == {0, 9}
    for note in comping(np.random.default_rng(1), chords, 4):
        assert note.pitch % 12 in chords[int(note.start) // 4].pitch_classes
