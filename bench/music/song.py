"""Songs over grooves: what a seed decides about them, and their audio."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np

from bench.music.grooves import GrooveFile, accompany
from bench.music.harmony import Chord, Key, Note, bass_line, comping, draw_key, melody, progression
from bench.music.instruments import ACCOMPANISTS, BASSES, KITS, SINGERS, SOLOISTS, Instruments
from bench.music.midi import Part
from bench.music.synth import RATE, Event, Floats, Soundfont
from mscol_cli.synthetic import effects
from mscol_cli.synthetic.randomness import Rng, pick, pick_weighted, stream

STEMS = ("vocals", "drums", "bass", "other")
"""Group of MIDI channels, by position, of each stem."""
TEMPI = {
    "blues": (70, 140), "country": (85, 160), "electronic": (95, 150), "jazz": (80, 200),
    "latin": (85, 160), "march": (90, 135), "rock": (85, 165), "soul": (75, 125),
    "waltz": (85, 180), "ballad": (55, 95), "pop": (80, 140),
}  # fmt: skip
COLOURS = {
    "blues": {"blues": 4.0, "sevenths": 1.0}, "jazz": {"sevenths": 4.0, "blues": 1.0},
    "latin": {"sevenths": 2.0, "triads": 1.0}, "soul": {"sevenths": 2.0, "triads": 1.0},
    "rock": {"triads": 4.0, "blues": 1.0},
}  # fmt: skip
ANY_COLOUR = {"triads": 3.0, "sevenths": 1.0}
DYNAMICS = {"quiet": (0.6, 0.35), "medium": (0.85, 0.65), "loud": (1.0, 1.0)}
"""Factors of velocity and of level."""
LEVELS = {"vocals": 0.05, "drums": 0.045, "bass": 0.05, "other": 0.045}
LEVEL_DB, PEAK = 4.0, 0.9
MAX_ACCOMPANISTS = 3
KEEP_INSTRUMENT = 0.5


@dataclass(frozen=True)
class Song:
    """What is known of a song before it is rendered.

    Attributes:
        file: File of its grooves.
        grooves: Groove of each half.
        key: Key.
        chords: A chord per bar.
        tempo: Beats per minute.
        soundfont: Name of the soundfont.
        dynamics: Key of `DYNAMICS`.
        cast: Stems that may sound.
        solo: Whether a single part plays.
        seed: Random stream of everything else.
    """

    file: GrooveFile
    grooves: tuple[str, str]
    key: Key
    chords: tuple[Chord, ...]
    tempo: float
    soundfont: str
    dynamics: str
    cast: frozenset[str]
    solo: bool
    seed: tuple[int | str, ...]


@dataclass(frozen=True)
class Voice:
    """Notes in beats, played by a program; its stem is one of `STEMS`."""

    stem: str
    program: int
    notes: Sequence[Note]


def draw_song(
    files: Sequence[GrooveFile],
    soundfonts: Sequence[str],
    seconds: float,
    seed: tuple[int | str, ...],
) -> Song:
    """Draw a song; every file is equally likely."""
    rng = stream(*seed, "song")
    file = pick(rng, files)
    tempo = float(rng.uniform(*TEMPI[file.style]))
    key, bars = draw_key(rng), ceil(seconds * tempo / 60 / file.beats)
    colour = pick_weighted(rng, COLOURS.get(file.style, ANY_COLOUR))
    chords = tuple(progression(rng, key, bars, colour))
    shares = {"vocals": 0.65, "drums": 0.88, "bass": 0.94, "other": 1.0}
    return Song(
        file=file,
        grooves=(pick(rng, file.grooves), pick(rng, file.grooves)),
        key=key,
        chords=chords,
        tempo=tempo,
        soundfont=pick(rng, soundfonts),
        dynamics=pick(rng, tuple(DYNAMICS)),
        cast=frozenset(stem for stem, share in shares.items() if rng.random() < share),
        solo=bool(rng.random() < 0.06),
        seed=seed,
    )


def arrange(song: Song, parts: Sequence[Part]) -> list[Voice]:
    """Choose instruments for the parts of a groove, and add a melody.

    Grooves with drums alone get a bass and chords.
    """
    rng, beats = stream(*song.seed, "arrangement"), song.file.beats
    voices = [_voice(rng, part) for part in parts]
    if not any(voice.stem == "bass" for voice in voices):
        voices.append(Voice("bass", pick(rng, BASSES), bass_line(rng, song.chords, beats)))
    if not any(voice.stem == "other" for voice in voices):
        voices.append(Voice("other", pick(rng, ACCOMPANISTS), comping(rng, song.chords, beats)))
    accompanists = [voice for voice in voices if voice.stem == "other"][:MAX_ACCOMPANISTS]
    voices = [voice for voice in voices if voice.stem != "other"] + accompanists
    voices += _melodies(rng, song)
    if song.solo:
        return [pick(rng, [voice for voice in voices if voice.stem == "other"])]
    return [voice for voice in voices if voice.stem in song.cast]


def _voice(rng: Rng, part: Part) -> Voice:
    if part.name.startswith("Drum"):
        return Voice("drums", pick_weighted(rng, KITS), part.notes)
    is_low = float(np.median([note.pitch for note in part.notes])) < 50
    is_bass = part.name in ("Bass", "Walk") or (part.name.startswith(("Bass", "Walk")) and is_low)
    choices = BASSES if is_bass else ACCOMPANISTS
    keeps = part.program in choices and rng.random() < KEEP_INSTRUMENT
    program = part.program if keeps else pick(rng, choices)
    return Voice("bass" if is_bass else "other", program, part.notes)


def _melodies(rng: Rng, song: Song) -> Iterator[Voice]:
    """A sung melody, or an instrumental one in three of four songs without singing."""
    low = int(rng.integers(48, 66))
    notes = melody(rng, song.key, song.chords, song.file.beats, low, low + 16)
    if "vocals" in song.cast:
        yield Voice("vocals", pick(rng, SINGERS), notes)
    elif rng.random() < 0.75:
        yield Voice("other", pick(rng, SOLOISTS), notes)


def perform(song: Song, instruments: Instruments) -> list[Voice]:
    """Run MMA and arrange its parts."""
    seed = int(stream(*song.seed, "mma").integers(1 << 31))
    with tempfile.TemporaryDirectory() as folder:
        parts = accompany(
            instruments.grooves, song.file, song.grooves, song.chords, seed, Path(folder)
        )
    return arrange(song, parts)


def render(
    song: Song, voices: Sequence[Voice], instruments: Instruments, seconds: float
) -> dict[str, Floats]:
    """Render the stems, (samples,) each at 16 kHz; stems without a voice are silent."""
    rng = stream(*song.seed, "mix")
    programs, events = _score(song, voices)
    font = _soundfont(instruments.soundfont(song.soundfont))
    dry = dict(zip(STEMS, font.render(programs, events, seconds), strict=True))
    response = effects.room(rng, float(rng.uniform(0.2, 1.6)), RATE)
    stems = {}
    for name, audio in dry.items():
        amount = float(rng.uniform(0.0, 0.15 if name in ("bass", "drums") else 0.45))
        wet = effects.reverberate(audio, response, amount)
        gain = 10 ** (float(rng.uniform(-LEVEL_DB, LEVEL_DB)) / 20)
        stems[name] = effects.level_to(wet, LEVELS[name] * gain)
    level = DYNAMICS[song.dynamics][1] * float(rng.uniform(0.8, 1.1))
    peak = max(float(np.abs(sum(stems.values())).max()), 1e-6)
    scale = np.float32(min(level, PEAK / peak))
    return {name: audio * scale for name, audio in stems.items()}


@cache
def _soundfont(path: Path) -> Soundfont:
    return Soundfont(path)


def _score(song: Song, voices: Sequence[Voice]) -> tuple[dict[int, int], list[Event]]:
    """Programs by channel, and events."""
    programs, events = dict[int, int](), list[Event]()
    loudness, beat = DYNAMICS[song.dynamics][0], 60 / song.tempo
    for voice in voices:
        group = STEMS.index(voice.stem)
        channel = 9 if voice.stem == "drums" else group
        while channel in programs:
            channel += len(STEMS)
        programs[channel] = voice.program
        for note in voice.notes:
            velocity = min(127, max(1, round(note.velocity * loudness)))
            start, end = note.start * beat, (note.start + note.length) * beat
            events.append(Event(start, channel, note.pitch, velocity))
            events.append(Event(end, channel, note.pitch, 0))
    return programs, events
