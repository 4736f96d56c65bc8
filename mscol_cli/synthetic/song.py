"""Rendering of a score to stems that sum exactly to the mixture."""

from dataclasses import dataclass
from functools import reduce

import numpy as np

from mscol_cli.synthetic import effects
from mscol_cli.synthetic.drums import strike, tune_kit
from mscol_cli.synthetic.harmony import Note
from mscol_cli.synthetic.instruments import INSTRUMENTS
from mscol_cli.synthetic.parts import bass_notes, drum_hits, line_notes, vocal_notes
from mscol_cli.synthetic.randomness import Rng, stream
from mscol_cli.synthetic.score import STEMS, Line, Score, compose
from mscol_cli.synthetic.signals import Audio, band, midi_to_hz, mix_at
from mscol_cli.synthetic.styles import STYLES
from mscol_cli.synthetic.tags import tags_of
from mscol_cli.synthetic.timbre import play, vary
from mscol_cli.synthetic.voice import cast_singer, sing

PCM_STEPS = 32768
LEVELS = {"bass": 0.05, "drums": 0.055, "other": 0.06, "vocals": 0.06}
"""Mean magnitude of a stem while it sounds, before the song's own balance."""


@dataclass(frozen=True)
class Song:
    """A rendered song.

    Attributes:
        style: one of ``STYLES``.
        sample_rate: samples per second.
        stems: ``bass``, ``drums``, ``other``, ``vocals``, each float32 of shape (samples,); a
            stem the song lacks is exactly zero. Every value is a multiple of 2**-15, so that
            16-bit files hold the stems exactly.
        score: composition of the song.
        tags: MagnaTagATune tags that apply to the song.
    """

    style: str
    sample_rate: int
    stems: dict[str, Audio]
    score: Score
    tags: frozenset[str]

    @property
    def mixture(self) -> Audio:
        """Exact sum of the stems, float32 of shape (samples,), below 1 in magnitude."""
        return reduce(np.add, (self.stems[name] for name in STEMS))

    @property
    def tempo(self) -> float:
        """Beats per minute."""
        return self.score.tempo


def render_song(
    style: str, *, seconds: float, sample_rate: int, seed: int | tuple[int, ...]
) -> Song:
    """Compose and render a song; the same arguments give the same samples.

    Args:
        style: one of ``STYLES``.
        seconds: length of the song.
        sample_rate: samples per second, 16,000 or more for the full bandwidth of the voices.
        seed: one or more non-negative integers, such as (seed of the collection, index of song).

    Raises:
        KeyError: if the style is unknown.
    """
    keys = (seed,) if isinstance(seed, int) else seed
    score = compose(style, seconds, stream(*keys, "score"))
    samples = round(seconds * sample_rate)
    renderers = {"bass": _bass, "drums": _drums, "other": _other, "vocals": _vocals}
    dry = {
        name: _windowed(
            renderers[name](score, samples, sample_rate, stream(*keys, name)),
            score.presence[name],
            sample_rate,
        )
        for name in STEMS
    }
    stems = _mix(dry, score, sample_rate, stream(*keys, "mix"))
    return Song(style, sample_rate, stems, score, tags_of(score, stems))


def _windowed(audio: Audio, window: tuple[float, float], sample_rate: int) -> Audio:
    start, end = (int(edge * sample_rate) for edge in window)
    audio[:start] = 0.0
    audio[end:] = 0.0
    fade = min(int(0.02 * sample_rate), end - start)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    if start > 0:
        audio[start : start + fade] *= ramp
    if end < len(audio):
        audio[end - fade : end] *= ramp[::-1]
    return audio


def _drums(score: Score, samples: int, sample_rate: int, rng: Rng) -> Audio:
    part = np.zeros(samples, dtype=np.float32)
    if score.drums is None:
        return part
    kit = tune_kit(score.drums[0], rng)
    takes = {name: [strike(drum, sample_rate, rng) for _ in range(2)] for name, drum in kit.items()}
    for hit in drum_hits(score, rng):
        take = takes[hit.drum][int(rng.integers(2))]
        start = int((hit.start_s + rng.normal(0.0, 0.002)) * sample_rate)
        mix_at(part, start, take * np.float32(hit.velocity**1.5))
    return part


def _bass(score: Score, samples: int, sample_rate: int, rng: Rng) -> Audio:
    part = np.zeros(samples, dtype=np.float32)
    if score.bass is None:
        return part
    return _perform(part, score.bass[0], bass_notes(score, rng), sample_rate, rng)


def _perform(part: Audio, instrument: str, notes: list[Note], sample_rate: int, rng: Rng) -> Audio:
    """Add the notes to the part; repeated notes are rendered once."""
    timbre = vary(INSTRUMENTS[instrument], rng)
    cache: dict[tuple[float, float, float], Audio] = {}
    for note in notes:
        key = (note.pitch, round(note.seconds, 2), round(note.velocity * 4) / 4)
        if key not in cache:
            cache[key] = play(timbre, midi_to_hz(key[0]), key[1], key[2], sample_rate, rng)
        start = int((note.start_s + rng.normal(0.0, 0.004)) * sample_rate)
        mix_at(part, start, cache[key])
    return part


def _other(score: Score, samples: int, sample_rate: int, rng: Rng) -> Audio:
    part = np.zeros(samples, dtype=np.float32)
    for line in score.lines:
        part += _line(line, score, samples, sample_rate, rng)
    return part


def _line(line: Line, score: Score, samples: int, sample_rate: int, rng: Rng) -> Audio:
    audio = np.zeros(samples, dtype=np.float32)
    _perform(audio, line.instrument, line_notes(line, score, rng), sample_rate, rng)
    if line.instrument == "distorted guitar":
        audio = band(audio, 90.0, 4500.0, sample_rate)
    if line.role in ("arpeggio", "texture") and rng.random() < 0.4:
        audio = effects.echo(audio, 3.0 * score.step_s, 0.4, sample_rate)
    return effects.level_to(audio, 0.05 * 2.0 ** float(rng.uniform(-0.7, 0.5)))


def _vocals(score: Score, samples: int, sample_rate: int, rng: Rng) -> Audio:
    if score.singer is None:
        return np.zeros(samples, dtype=np.float32)
    register = {"opera": "female", "rap": "male"}.get(score.singer, score.singer)
    singer = cast_singer(register, rng, operatic=score.singer == "opera")
    return sing(singer, vocal_notes(score, rng), samples, sample_rate, rng)


def _mix(dry: dict[str, Audio], score: Score, sample_rate: int, rng: Rng) -> dict[str, Audio]:
    """Apply reverberation, balance, tone and level, then round to 16 bits."""
    response = effects.room(rng, score.reverb_s, sample_rate)
    sends = {"bass": 0.03, "drums": 0.15, "other": 0.3, "vocals": 0.3}
    low_db, high_db = rng.uniform(-2.5, 2.5, 2)
    stems = {}
    for name in STEMS:
        amount = sends[name] * float(rng.uniform(0.3, 1.3))
        wet = effects.reverberate(dry[name], response, amount)
        wet = effects.tilt(wet, low_db, high_db, sample_rate)
        level = LEVELS[name] * 2.0 ** float(rng.uniform(-0.5, 0.5))
        stems[name] = effects.limit(effects.level_to(wet, level), 0.45)
    peak = float(np.abs(reduce(np.add, stems.values())).max(initial=0.0)) + 1e-9
    gain = float(rng.uniform(0.55, 0.88)) / peak
    return {name: _on_grid(audio * np.float32(gain)) for name, audio in stems.items()}


def _on_grid(audio: Audio) -> Audio:
    return (np.round(audio * PCM_STEPS) / PCM_STEPS).astype(np.float32)


def style_names() -> tuple[str, ...]:
    """Names of the styles, in the order of their labels."""
    return tuple(STYLES)
