"""Styles of music. They share instruments, kits and rhythms on purpose."""

from dataclasses import dataclass

Weights = dict[str, float]


@dataclass(frozen=True)
class Layer:
    """One accompaniment part of a style.

    Attributes:
        chance: probability that a song has it.
        role: ``chords``, ``strum``, ``power``, ``arpeggio``, ``melody``, ``drone``, ``texture``.
        instruments: names and weights; one is drawn per song.
        rhythms: names in ``patterns.CHORD_RHYTHMS`` (chords, strum, power).
        octave: scientific octave around which it plays.
        step: sixteenths between notes (arpeggio) or shortest note (melody).
    """

    chance: float
    role: str
    instruments: Weights
    rhythms: tuple[str, ...] = ("held",)
    octave: int = 4
    step: int = 2


@dataclass(frozen=True)
class Style:
    """Ranges and probabilities for songs of one style.

    Attributes:
        tempo: slowest and fastest, in beats per minute.
        swing: delay of every second sixteenth (or eighth) as a share of its length.
        beats: beats per bar, one drawn per song.
        scales: names in ``harmony.SCALES``.
        progressions: chord roots as scale degrees, one a bar.
        drums: ``kit/grid`` names, or ``none``.
        bass: ``instrument/rhythm`` names, or ``none``.
        layers: accompaniment, at least one of which always sounds.
        singers: ``female``, ``male``, ``choir``, ``rap``, ``opera`` or ``none``.
        reverb_s: shortest and longest decay of the room.
    """

    tempo: tuple[float, float]
    scales: Weights
    progressions: tuple[tuple[int, ...], ...]
    drums: Weights
    bass: Weights
    layers: tuple[Layer, ...]
    singers: Weights
    swing: tuple[float, float] = (0.0, 0.0)
    beats: tuple[int, ...] = (4,)
    reverb_s: tuple[float, float] = (0.3, 1.2)


STYLES: dict[str, Style] = {
    "Hip-Hop": Style(
        tempo=(72, 102),
        swing=(0.1, 0.4),
        scales={"minor": 3, "dorian": 2, "phrygian": 1},
        progressions=((0, 0, 5, 5), (0, 3, 0, 4), (0, 5, 0, 5), (0, 0, 0, 0)),
        drums={"boombap/boombap": 3, "808/trap": 2, "boombap/breaks": 1, "none": 0.2},
        bass={
            "sub bass/sparse": 3,
            "sub bass/syncopated": 2,
            "upright bass/syncopated": 1,
            "none": 0.3,
        },
        layers=(
            Layer(
                0.8,
                "chords",
                {"electric piano": 3, "piano": 2, "string section": 1, "vibraphone": 1},
                ("stabs", "halves", "held"),
                4,
            ),
            Layer(0.4, "arpeggio", {"bells": 1, "pizzicato": 1, "harp": 1, "synth pluck": 1}),
            Layer(0.2, "melody", {"square lead": 1, "flute": 1, "trumpet": 1}, octave=5),
        ),
        singers={"rap": 4, "female": 1, "male": 0.5, "none": 1.5},
        reverb_s=(0.2, 0.7),
    ),
    "Pop": Style(
        tempo=(92, 130),
        scales={"major": 4, "mixolydian": 1, "minor": 1},
        progressions=((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (3, 0, 4, 5)),
        drums={
            "rock/backbeat": 2,
            "909/four": 2,
            "808/backbeat": 2,
            "909/backbeat": 1,
            "none": 0.4,
        },
        bass={
            "synth bass/eighths": 2,
            "picked bass/eighths": 2,
            "picked bass/syncopated": 2,
            "none": 0.4,
        },
        layers=(
            Layer(
                0.7,
                "chords",
                {
                    "warm pad": 2,
                    "piano": 2,
                    "glass pad": 1,
                    "electric piano": 1,
                    "string section": 1,
                },
                ("held", "beats", "halves"),
                4,
            ),
            Layer(0.5, "strum", {"acoustic guitar": 2, "clean guitar": 2}, ("strum",), 3),
            Layer(0.4, "arpeggio", {"synth pluck": 2, "clean guitar": 1, "piano": 1}, octave=5),
        ),
        singers={"female": 4, "male": 2.5, "none": 0.8},
        reverb_s=(0.4, 1.2),
    ),
    "Folk": Style(
        tempo=(66, 128),
        scales={"major": 3, "mixolydian": 2, "dorian": 2, "minor": 1},
        progressions=((0, 3, 0, 4), (0, 4, 3, 0), (0, 6, 3, 0), (0, 5, 3, 4)),
        drums={"none": 5, "brushes/soft": 2, "brushes/backbeat": 1},
        swing=(0.0, 0.2),
        bass={"none": 3, "upright bass/two": 3, "picked bass/two": 1},
        beats=(4, 4, 3),
        layers=(
            Layer(
                0.88,
                "strum",
                {"acoustic guitar": 5, "banjo": 1.5, "nylon guitar": 1.5},
                ("strum",),
                3,
            ),
            Layer(0.5, "arpeggio", {"nylon guitar": 2, "acoustic guitar": 3, "banjo": 2}, octave=3),
            Layer(
                0.45, "melody", {"violin": 3, "flute": 2, "harmonica": 3, "recorder": 1}, octave=5
            ),
        ),
        singers={"male": 3, "female": 3, "none": 2},
        reverb_s=(0.2, 0.8),
    ),
    "Experimental": Style(
        tempo=(48, 150),
        scales={"whole tone": 2, "octatonic": 2, "phrygian": 1, "hijaz": 0.5},
        progressions=((0, 0, 0, 0), (0, 1, 0, 1), (0, 3, 1, 5), (0, 2, 4, 1)),
        drums={"none": 3, "scrap/scatter": 3, "808/scatter": 1, "scrap/breaks": 1},
        bass={"none": 3, "sub bass/sparse": 2, "acid bass/sparse": 1},
        beats=(4, 5, 7),
        layers=(
            Layer(
                0.95, "texture", {"fm growl": 2, "bells": 2, "gamelan": 2, "distorted guitar": 1}
            ),
            Layer(0.6, "drone", {"glass pad": 2, "fm growl": 2, "cello": 1, "pipe organ": 1}),
            Layer(
                0.3,
                "arpeggio",
                {"square lead": 1, "pizzicato": 1, "piano": 1, "bells": 1},
                octave=5,
                step=1,
            ),
        ),
        singers={"none": 4, "choir": 1, "female": 0.7},
        reverb_s=(0.8, 2.5),
    ),
    "Rock": Style(
        tempo=(96, 172),
        scales={"minor": 3, "mixolydian": 2, "dorian": 1, "phrygian": 1},
        progressions=((0, 5, 6, 0), (0, 6, 3, 4), (0, 0, 3, 4), (0, 2, 5, 6)),
        drums={"rock/rock": 5, "rock/backbeat": 2, "none": 0.3},
        bass={"picked bass/eighths": 5, "picked bass/syncopated": 1, "none": 0.3},
        layers=(
            Layer(0.95, "power", {"distorted guitar": 1}, ("chug", "beats", "held", "chug"), 3),
            Layer(0.3, "melody", {"distorted guitar": 3, "harmonica": 1}, octave=5),
            Layer(0.3, "chords", {"drawbar organ": 2, "piano": 1}, ("held", "beats"), 4),
            Layer(0.25, "strum", {"clean guitar": 2, "acoustic guitar": 1}, ("strum",), 3),
        ),
        singers={"male": 4, "female": 1.5, "none": 1.5},
        reverb_s=(0.2, 0.9),
    ),
    "International": Style(
        tempo=(76, 136),
        scales={"hijaz": 3, "phrygian": 2, "dorian": 2, "harmonic minor": 2, "major": 1},
        progressions=((0, 0, 0, 0), (0, 1, 0, 1), (0, 0, 3, 0), (0, 6, 5, 0)),
        drums={"hands/hands": 7, "hands/soft": 1, "none": 0.6},
        swing=(0.0, 0.15),
        bass={"none": 3, "upright bass/syncopated": 2, "picked bass/syncopated": 1},
        beats=(4, 4, 3, 7),
        layers=(
            Layer(
                0.7,
                "melody",
                {"sitar": 4, "oud": 2, "flute": 1, "clarinet": 1, "violin": 1, "gamelan": 1},
                octave=4,
                step=1,
            ),
            Layer(0.55, "drone", {"sitar": 3, "harmonica": 1, "cello": 1}, octave=2),
            Layer(0.45, "arpeggio", {"gamelan": 1.5, "oud": 2, "marimba": 1.5, "sitar": 1}),
            Layer(0.25, "strum", {"nylon guitar": 2, "oud": 1}, ("strum", "stabs"), 3),
        ),
        singers={"none": 3, "male": 2, "female": 2},
        reverb_s=(0.3, 1.3),
    ),
    "Electronic": Style(
        tempo=(112, 146),
        scales={"minor": 4, "phrygian": 1, "dorian": 2},
        progressions=((0, 0, 5, 6), (0, 0, 0, 0), (0, 5, 2, 6), (0, 3, 5, 4)),
        drums={"909/four": 5, "808/four": 1, "909/breaks": 1, "none": 0.4},
        bass={
            "synth bass/offbeat": 3,
            "acid bass/sixteenths": 3,
            "sub bass/offbeat": 1,
            "none": 0.5,
        },
        layers=(
            Layer(
                0.85,
                "arpeggio",
                {"synth pluck": 4, "saw lead": 2, "square lead": 2},
                octave=4,
                step=1,
            ),
            Layer(
                0.7,
                "chords",
                {"warm pad": 3, "glass pad": 2, "string section": 1, "saw lead": 1.5},
                ("held", "stabs"),
                4,
            ),
            Layer(0.25, "melody", {"saw lead": 2, "square lead": 1}, octave=5),
        ),
        singers={"none": 5, "female": 1.5, "male": 0.5},
        reverb_s=(0.4, 1.8),
    ),
    "Instrumental": Style(
        tempo=(52, 132),
        scales={"major": 3, "minor": 2, "harmonic minor": 2},
        progressions=((0, 3, 4, 0), (0, 5, 1, 4), (0, 4, 5, 2), (5, 3, 0, 4)),
        drums={"none": 7, "brushes/soft": 1.5},
        beats=(4, 4, 3),
        bass={"none": 6, "upright bass/walking": 1.5, "upright bass/two": 1},
        layers=(
            Layer(0.65, "arpeggio", {"piano": 3, "harpsichord": 4, "harp": 4, "nylon guitar": 2}),
            Layer(
                0.55,
                "chords",
                {
                    "string section": 3,
                    "piano": 3,
                    "pipe organ": 1,
                    "brass section": 1,
                    "warm pad": 1,
                },
                ("held", "halves"),
                4,
            ),
            Layer(
                0.6,
                "melody",
                {
                    "violin": 3,
                    "cello": 3,
                    "flute": 3,
                    "piano": 1.5,
                    "oboe": 1,
                    "horn": 1,
                    "harpsichord": 1,
                },
                octave=4,
            ),
        ),
        singers={"none": 5, "choir": 2, "opera": 2},
        reverb_s=(0.8, 2.4),
    ),
}
