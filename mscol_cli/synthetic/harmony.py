"""Notes, scales, chord progressions and melodies."""

from dataclasses import dataclass

import numpy as np

from mscol_cli.synthetic.randomness import Rng, pick

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "hijaz": (0, 1, 4, 5, 7, 8, 10),
    "whole tone": (0, 2, 4, 6, 8, 10),
    "octatonic": (0, 1, 3, 4, 6, 7, 9, 10),
}


@dataclass(frozen=True)
class Note:
    """A pitched event: start and length in seconds, MIDI pitch, velocity 0 to 1."""

    start_s: float
    seconds: float
    pitch: float
    velocity: float

    @property
    def end_s(self) -> float:
        """When the note is released, in seconds."""
        return self.start_s + self.seconds


@dataclass(frozen=True)
class Key:
    """Tonic (pitch class 0 to 11) and name of the scale."""

    tonic: int
    scale: str

    def pitch(self, degree: int, octave: int) -> int:
        """MIDI pitch of a scale degree; 0 is the tonic, and degrees may leave the octave."""
        steps = SCALES[self.scale]
        octaves, index = divmod(degree, len(steps))
        return 12 * (octave + 1 + octaves) + self.tonic + steps[index]

    def chord(self, root: int, octave: int, seventh: bool = False) -> list[int]:
        """Stacked thirds on a degree, folded to lie within a sixth above the octave's C."""
        stack = (0, 2, 4, 6) if seventh else (0, 2, 4)
        lowest = 12 * (octave + 1)
        return sorted(lowest + (self.pitch(root + d, octave) - lowest) % 12 for d in stack)


def melody(
    rng: Rng, key: Key, chords: list[int], lowest: int, highest: int, steps: list[int]
) -> list[int]:
    """Random walk over the scale that returns to chord tones.

    Args:
        rng: source of the walk.
        key: key of the song.
        chords: root degree of the chord under each note.
        lowest: lower end of the MIDI range.
        highest: upper end.
        steps: possible steps of the walk in scale degrees.

    Returns:
        One MIDI pitch per entry of ``chords``.
    """
    octave = (lowest + highest) // 24 - 1
    position, pitches = int(rng.integers(-2, 5)), []
    for index, root in enumerate(chords):
        position += pick(rng, steps)
        if index % 4 == 0:
            position = min(
                (root + offset for offset in (-7, -5, -3, 0, 2, 4, 7)),
                key=lambda degree: abs(degree - position),
            )
        pitches.append(_into_range(key.pitch(position, octave), lowest, highest))
        position = int(np.clip(position, -6, 9))
    return pitches


def _into_range(pitch: int, lowest: int, highest: int) -> int:
    while pitch < lowest:
        pitch += 12
    while pitch > highest:
        pitch -= 12
    return pitch
