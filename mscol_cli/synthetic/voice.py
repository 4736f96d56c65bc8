"""Singing: harmonics of a gliding pitch, filtered by moving formants."""

from dataclasses import dataclass

import numpy as np

from mscol_cli.synthetic.harmony import Note
from mscol_cli.synthetic.randomness import Rng, pick
from mscol_cli.synthetic.signals import (
    Audio,
    Floats,
    as_audio,
    band,
    harmonic_tone,
    mix_at,
    noise,
    resonate,
)

ROWS_PER_SECOND = 100
HARMONICS = 72

# Formants of a man's vowels in Hz (after Peterson and Barney, 1952); women's lie higher.
VOWELS: dict[str, tuple[float, float, float]] = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
    "ae": (660.0, 1720.0, 2410.0),
}
# Consonants as (low Hz, high Hz, seconds, level) of their noise.
CONSONANTS = (
    (4000.0, 7800.0, 0.09, 0.55),
    (2200.0, 5500.0, 0.07, 0.5),
    (2500.0, 7000.0, 0.025, 0.8),
    (400.0, 1800.0, 0.02, 0.6),
    (0.0, 0.0, 0.0, 0.0),
)


@dataclass(frozen=True)
class Singer:
    """Parameters of a voice.

    Attributes:
        register: ``male``, ``female`` or ``choir``.
        tract: formant frequencies relative to the vowel table.
        tension: 0 for breathy and dark to 1 for pressed and bright.
        vibrato_hz, vibrato_cents: rate and depth once a note is held.
        breath: level of aspiration noise.
        glide_s: seconds from one pitch to the next.
        players: number of singers in unison.
    """

    register: str
    tract: float
    tension: float
    vibrato_hz: float
    vibrato_cents: float
    breath: float
    glide_s: float
    players: int = 1


def cast_singer(register: str, rng: Rng, operatic: bool = False) -> Singer:
    """Draw a singer of a register."""
    centre = {"male": 0.98, "female": 1.16, "choir": 1.08}[register]
    return Singer(
        register=register,
        tract=float(rng.normal(centre, 0.03)),
        tension=float(rng.uniform(0.2, 0.9)),
        vibrato_hz=float(rng.uniform(4.8, 6.3)),
        vibrato_cents=float(rng.uniform(50, 90) if operatic else rng.uniform(8, 40)),
        breath=float(rng.uniform(0.01, 0.05)),
        glide_s=float(rng.uniform(0.03, 0.09)),
        players=4 if register == "choir" else 1,
    )


def sing(singer: Singer, notes: list[Note], samples: int, sample_rate: int, rng: Rng) -> Audio:
    """Render a vocal part, phrase by phrase.

    Args:
        singer: the voice.
        notes: melody in order of time; a gap of more than 0.15 s starts a new phrase.
        samples: length of the part in samples.
        sample_rate: samples per second.
        rng: source of vowels, consonants and noise.

    Returns:
        Audio of shape (samples,).
    """
    part = np.zeros(samples, dtype=np.float32)
    for phrase in _phrases(notes):
        vowels = [pick(rng, tuple(VOWELS)) for _ in phrase]
        start = phrase[0].start_s
        for _ in range(singer.players):
            late = float(rng.uniform(0.0, 0.03)) if singer.players > 1 else 0.0
            audio = sing_phrase(singer, phrase, vowels, sample_rate, rng)
            mix_at(part, int((start + late) * sample_rate), audio / np.float32(singer.players**0.5))
    return part


def _phrases(notes: list[Note]) -> list[list[Note]]:
    phrases: list[list[Note]] = []
    for note in notes:
        if phrases and note.start_s - phrases[-1][-1].end_s < 0.15:
            phrases[-1].append(note)
        else:
            phrases.append([note])
    return phrases


def sing_phrase(
    singer: Singer, phrase: list[Note], vowels: list[str], sample_rate: int, rng: Rng
) -> Audio:
    """Render one phrase, (samples,), from the start of the first to the end of the last note."""
    begin, seconds = phrase[0].start_s, phrase[-1].end_s - phrase[0].start_s
    samples = int(seconds * sample_rate) + 1
    rows = max(4, int(seconds * ROWS_PER_SECOND))
    time = np.linspace(0.0, seconds, rows)
    frequency = _pitch_rows(singer, phrase, time + begin, rng)
    formants = _formant_rows(singer, phrase, vowels, time + begin)
    loudness = _loudness_rows(phrase, time + begin)
    spectra = _formant_gain(singer, frequency, formants) * loudness[:, None]
    curve = np.interp(np.arange(samples) / sample_rate, time, frequency)
    audio = harmonic_tone(curve, spectra, rng.uniform(0.0, 6.28, HARMONICS), sample_rate)
    audio += _aspiration(singer, formants.mean(axis=0), loudness, samples, sample_rate, rng)
    for note in phrase:
        _consonant(audio, int((note.start_s - begin) * sample_rate), sample_rate, rng)
    return audio


def _pitch_rows(singer: Singer, phrase: list[Note], time: Floats, rng: Rng) -> Floats:
    starts = np.asarray([note.start_s for note in phrase])
    pitches = np.asarray([note.pitch for note in phrase]) + rng.normal(0.0, 0.06, len(phrase))
    which = np.clip(np.searchsorted(starts, time, side="right") - 1, 0, len(phrase) - 1)
    pitch = _smooth(pitches[which], singer.glide_s)
    held = np.clip((time - starts[which] - 0.15) / 0.3, 0.0, 1.0)
    rate = singer.vibrato_hz * rng.uniform(0.95, 1.05)
    wobble = np.sin(2 * np.pi * rate * time + rng.uniform(0.0, 6.28))
    pitch = pitch + held * singer.vibrato_cents / 100.0 * wobble
    drift = _smooth(rng.normal(0.0, 0.5, len(time)), 0.1)
    return np.asarray(440.0 * 2.0 ** ((pitch + drift - 69.0) / 12.0), dtype=np.float64)


def _smooth(values: Floats, seconds: float) -> Floats:
    width = max(1, int(seconds * ROWS_PER_SECOND))
    window = np.hanning(2 * width + 3)[1:-1]
    padded = np.pad(values, (width, width), mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")


def _formant_rows(singer: Singer, phrase: list[Note], vowels: list[str], time: Floats) -> Floats:
    """Formant frequencies in Hz, shape (rows, 3), moving from vowel to vowel."""
    starts = np.asarray([note.start_s for note in phrase])
    which = np.clip(np.searchsorted(starts, time, side="right") - 1, 0, len(phrase) - 1)
    table = np.asarray([VOWELS[vowel] for vowel in vowels]) * singer.tract
    return np.stack([_smooth(column, 0.05) for column in table[which].T], axis=1)


def _loudness_rows(phrase: list[Note], time: Floats) -> Floats:
    """Loudness (rows,), with dips between syllables and fades at both ends."""
    level = np.zeros_like(time)
    for note in phrase:
        inside = (time >= note.start_s) & (time <= note.end_s)
        since = time[inside] - note.start_s
        left = note.end_s - time[inside]
        rise = np.clip(0.15 + since / 0.05, 0.0, 1.0)
        level[inside] = note.velocity * rise * np.clip(0.15 + left / 0.06, 0.0, 1.0)
    fade = np.clip((time[-1] - time) / 0.05, 0.0, 1.0) * np.clip((time - time[0]) / 0.03, 0.0, 1.0)
    return np.asarray(_smooth(level, 0.02) * fade)


def _formant_gain(singer: Singer, frequency: Floats, formants: Floats) -> Floats:
    """Amplitude of each harmonic, shape (rows, harmonics)."""
    order = np.arange(1.0, HARMONICS + 1)
    hertz = frequency[:, None] * order
    source = order ** -(2.0 - 0.9 * singer.tension)
    gain = np.full_like(hertz, 0.02)
    for index, (height, width) in enumerate(((1.0, 90.0), (0.7, 120.0), (0.45, 180.0))):
        centre = np.maximum(formants[:, index : index + 1], frequency[:, None])
        gain += height / (1.0 + ((hertz - centre) / width) ** 2)
    gain += 0.25 / (1.0 + ((hertz - 3400.0 * singer.tract) / 350.0) ** 2)
    spectra = source * gain
    return np.asarray(spectra / np.sqrt(np.sum(spectra**2, axis=1, keepdims=True) + 1e-9))


def _aspiration(
    singer: Singer, formants: Floats, loudness: Floats, samples: int, sample_rate: int, rng: Rng
) -> Audio:
    hiss = noise(rng, samples)
    shaped = sum((resonate(hiss, f, 4.0, sample_rate) for f in formants), 0.15 * hiss)
    rows = np.linspace(0, samples - 1, len(loudness))
    envelope = np.interp(np.arange(samples), rows, loudness)
    return as_audio(singer.breath * shaped * envelope)


def _consonant(audio: Audio, start: int, sample_rate: int, rng: Rng) -> None:
    low, high, seconds, level = pick(rng, CONSONANTS)
    if level == 0.0:
        return
    samples = int(seconds * sample_rate)
    burst = band(noise(rng, samples), low, high, sample_rate) * np.hanning(samples)
    mix_at(audio, start - samples // 2, as_audio(level * burst * rng.uniform(0.4, 1.0)))


def hold_vowel(
    singer: Singer, pitch: float, hold_s: float, velocity: float, sample_rate: int, rng: Rng
) -> Audio:
    """Render one long note on one vowel, (samples,)."""
    note = Note(0.0, hold_s, pitch, velocity)
    part = np.zeros(int((hold_s + 0.2) * sample_rate), dtype=np.float32)
    vowels = [pick(rng, tuple(VOWELS))]
    for _ in range(singer.players):
        late = int(rng.uniform(0.0, 0.04) * sample_rate) if singer.players > 1 else 0
        mix_at(part, late, sing_phrase(singer, [note], vowels, sample_rate, rng))
    scale = (0.25 + 0.75 * velocity) / singer.players**0.5
    return as_audio(part * scale)
