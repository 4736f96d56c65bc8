"""Chord progressions and melodies, drawn from a random stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mscol_cli.synthetic.randomness import Rng, pick, pick_weighted

PITCH_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
INTERVALS = {
    "": (0, 4, 7), "m": (0, 3, 7), "dim": (0, 3, 6), "7": (0, 4, 7, 10), "M7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10), "m7b5": (0, 3, 6, 10), "6": (0, 4, 7, 9), "9": (0, 4, 7, 10, 14),
    "sus4": (0, 5, 7),
}  # fmt: skip
PHRASE_BARS = 4

# Degrees of the scale, from 0, that may follow a degree, with their weights.
FOLLOWERS: dict[str, dict[int, dict[int, float]]] = {
    "major": {
        0: {3: 3, 4: 3, 5: 3, 1: 2, 2: 1},
        1: {4: 5, 3: 1},
        2: {5: 3, 3: 2},
        3: {4: 4, 0: 3, 1: 2},
        4: {0: 5, 5: 2, 3: 1},
        5: {1: 2, 3: 3, 4: 2, 2: 1},
    },
    "minor": {
        0: {3: 3, 5: 3, 6: 3, 4: 2, 2: 1},
        1: {4: 1},
        2: {5: 2, 3: 2, 6: 2},
        3: {4: 3, 6: 2, 0: 2, 1: 1},
        4: {0: 4, 5: 2},
        5: {6: 3, 3: 2, 2: 2, 1: 1},
        6: {2: 2, 0: 3, 5: 2},
    },
}
QUALITIES = {
    ("major", "triads"): ("", "m", "m", "", "", "m", "dim"),
    ("major", "sevenths"): ("M7", "m7", "m7", "M7", "7", "m7", "m7b5"),
    ("minor", "triads"): ("m", "dim", "", "m", "", "", ""),
    ("minor", "sevenths"): ("m7", "m7b5", "M7", "m7", "7", "M7", "7"),
}
BLUES = (0, 3, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4)


@dataclass(frozen=True)
class Key:
    """A tonic, 0 for C to 11, and a mode, `major` or `minor`."""

    tonic: int
    mode: str

    def pitch_class(self, degree: int) -> int:
        """Pitch class of a degree of the scale, counted from 0."""
        return (self.tonic + SCALES[self.mode][degree % 7]) % 12


@dataclass(frozen=True)
class Chord:
    """A root, 0 for C to 11, and a quality of `INTERVALS`."""

    root: int
    quality: str

    @property
    def symbol(self) -> str:
        """Chord symbol, such as `Bbm7`."""
        return PITCH_NAMES[self.root] + self.quality

    @property
    def pitch_classes(self) -> frozenset[int]:
        return frozenset((self.root + step) % 12 for step in INTERVALS[self.quality])


@dataclass(frozen=True)
class Note:
    """A note.

    Attributes:
        start, length: In beats.
        pitch: MIDI pitch.
        velocity: 1 to 127.
    """

    start: float
    length: float
    pitch: int
    velocity: int


def draw_key(rng: Rng) -> Key:
    """Draw one of the 24 keys."""
    return Key(int(rng.integers(12)), pick(rng, ("major", "minor")))


def progression(rng: Rng, key: Key, bars: int, colour: str) -> list[Chord]:
    """Draw a chord per bar.

    Args:
        rng: Random stream.
        key: The key, to which every second phrase returns.
        bars: Number of bars.
        colour: `triads`, `sevenths` or `blues`, which has twelve bars of dominant chords.
    """
    if colour == "blues":
        return [_blues_chord(key, BLUES[bar % len(BLUES)]) for bar in range(bars)]
    verse, chorus = _phrase(rng, key, 0), _phrase(rng, key, pick(rng, (3, 5)))
    degrees: list[int] = []
    while len(degrees) < bars:
        closing = [*verse[:-2], 4, 0]
        degrees += pick_weighted(rng, {tuple(verse): 3, tuple(chorus): 2, tuple(closing): 2})
    qualities = QUALITIES[key.mode, colour]
    return [_coloured(rng, key, degree, qualities[degree]) for degree in degrees[:bars]]


def _phrase(rng: Rng, key: Key, first: int) -> list[int]:
    degrees = [first]
    while len(degrees) < PHRASE_BARS:
        degrees.append(pick_weighted(rng, FOLLOWERS[key.mode][degrees[-1]]))
    return degrees


def _blues_chord(key: Key, degree: int) -> Chord:
    quality = "m7" if key.mode == "minor" and degree != 4 else "7"
    return Chord(key.pitch_class(degree), quality)


def _coloured(rng: Rng, key: Key, degree: int, quality: str) -> Chord:
    """A chord on a degree; some dominants are suspended and some major chords have a sixth."""
    if degree == 4 and quality in ("", "7") and rng.random() < 0.15:
        quality = "sus4"
    elif quality in ("", "M7") and rng.random() < 0.1:
        quality = "6"
    return Chord(key.pitch_class(degree), quality)


def melody(
    rng: Rng, key: Key, chords: Sequence[Chord], beats: int, low: int, high: int
) -> list[Note]:
    """Draw a melody of phrases of two bars, with a rest at the end of each.

    Rhythms repeat. Notes on the first beat of a bar belong to the chord; others move by steps of
    the scale and by leaps.

    Args:
        rng: Random stream.
        key: Key of the passing notes.
        chords: A chord per bar.
        beats: Beats per bar.
        low, high: Lowest and highest MIDI pitch, at least an octave apart.
    """
    rhythms = [_rhythm(rng, beats) for _ in range(3)]
    notes, pitch = list[Note](), float(rng.uniform(low, high))
    for bar, chord in enumerate(chords):
        lengths = rhythms[(0, 1, 0, 2)[bar % 4]]
        start = float(bar * beats)
        for place, length in enumerate(lengths):
            is_rest = place == len(lengths) - 1 and bar % 2 == 1
            pitch = _next_pitch(rng, pitch, key, chord, place == 0, (low, high))
            if not is_rest and rng.random() > 0.06:
                velocity = int(rng.integers(70, 112)) + (8 if place == 0 else 0)
                notes.append(Note(start, 0.92 * length, int(pitch), velocity))
            start += length
    return notes


def _rhythm(rng: Rng, beats: int) -> list[float]:
    """Note lengths in beats that fill a bar."""
    density = float(rng.uniform(0.6, 1.6))
    lengths: list[float] = []
    while (left := beats - sum(lengths)) > 0:
        weights = {0.5: density, 1.0: 1.5, 1.5: 0.7, 2.0: 0.8 / density, 3.0: 0.2}
        lengths.append(min(left, pick_weighted(rng, weights)))
    return lengths


def _next_pitch(
    rng: Rng, pitch: float, key: Key, chord: Chord, strong: bool, limits: tuple[int, int]
) -> int:
    """A pitch of the chord or scale near the last one, inside the limits."""
    classes = chord.pitch_classes if strong else {key.pitch_class(degree) for degree in range(7)}
    low, high = limits
    step = float(rng.normal(0.0, 2.5 if rng.random() < 0.8 else 6.0))
    target = min(max(pitch + step, low), high)
    allowed = [other for other in range(low, high + 1) if other % 12 in classes]
    return min(allowed, key=lambda other: (abs(other - target), other))


def bass_line(rng: Rng, chords: Sequence[Chord], beats: int) -> list[Note]:
    """Roots and fifths, for grooves without a bass."""
    onsets = pick(rng, ((0.0,), (0.0, 2.0), (0.0, 1.5, 2.0), tuple(0.5 * n for n in range(8))))
    notes = []
    for bar, chord in enumerate(chords):
        for place, onset in enumerate(onset for onset in onsets if onset < beats):
            fifth = 7 if place % 2 and rng.random() < 0.4 else 0
            pitch = 28 + (chord.root - 28) % 12 + fifth
            notes.append(Note(bar * beats + onset, 0.45, pitch, int(rng.integers(80, 105))))
    return notes


def comping(rng: Rng, chords: Sequence[Chord], beats: int) -> list[Note]:
    """Chords in a repeated rhythm, for grooves without chords."""
    held = ((0.0, float(beats)),)
    rhythms = (held, ((0.0, 1.5), (1.5, 0.5), (2.5, 1.0)), ((0.5, 0.5), (1.5, 0.5), (2.5, 0.5)))
    rhythm = [(onset, length) for onset, length in pick(rng, rhythms) if onset < beats]
    notes = []
    for bar, chord in enumerate(chords):
        for onset, length in rhythm:
            for pitch_class in sorted(chord.pitch_classes):
                pitch = 55 + (pitch_class - 55) % 12
                velocity = int(rng.integers(65, 90))
                notes.append(Note(bar * beats + onset, 0.95 * length, pitch, velocity))
    return notes
