"""Pitched instruments: parameters and rendering of notes."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from mscol_cli.synthetic.randomness import Rng, jitter
from mscol_cli.synthetic.signals import (
    Audio,
    Floats,
    as_audio,
    band,
    gate,
    harmonic_tone,
    mix_at,
    noise,
    saturate,
)

Traits = TypeVar("Traits", bound=tuple[float, ...])

ROWS_PER_SECOND = 60
HARMONICS = 72


@dataclass(frozen=True)
class Timbre:
    """Parameters of an instrument.

    Attributes:
        rolloff: harmonic k starts with amplitude ``k ** -rolloff``.
        even: amplitude of even harmonics relative to odd ones (0 for a clarinet or square wave).
        pluck: position at which the string is plucked (0 to 0.5); 0 for no comb filter.
        body: resonances as (Hz, gain, width in octaves).
        ratios: partials as multiples of the fundamental for bars and bells; empty for harmonics.
        attack_s, release_s: rise and fall times in seconds.
        decay_s: 60 dB decay of the fundamental; 0 for a sound that is held.
        damping: how much faster each further harmonic decays (or, when held, is attenuated).
        bloom_s: rise time of high harmonics (brass); 0 for none.
        sweep: low-pass as (start Hz, end Hz, seconds, resonance); start 0 for none.
        vibrato: (rate in Hz, depth in cents, delay in seconds).
        voices, detune: unison players and their spread in cents.
        breath: (level, low Hz, high Hz) of steady noise.
        strike: (level, low Hz, high Hz, seconds) of noise at the start.
        drive: distortion, 0 to 10.
        tremolo: (rate in Hz, depth 0 to 1).
    """

    rolloff: float = 1.0
    even: float = 1.0
    pluck: float = 0.0
    body: tuple[tuple[float, float, float], ...] = ()
    ratios: tuple[float, ...] = ()
    attack_s: float = 0.005
    release_s: float = 0.15
    decay_s: float = 0.0
    damping: float = 0.0
    bloom_s: float = 0.0
    sweep: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    vibrato: tuple[float, float, float] = (0.0, 0.0, 0.0)
    voices: int = 1
    detune: float = 0.0
    breath: tuple[float, float, float] = (0.0, 0.0, 0.0)
    strike: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    drive: float = 0.0
    tremolo: tuple[float, float] = (0.0, 0.0)


def vary(timbre: Timbre, rng: Rng) -> Timbre:
    """A random variation of an instrument."""
    shift = 2.0 ** rng.uniform(-0.13, 0.13)
    return replace(
        timbre,
        rolloff=jitter(rng, timbre.rolloff, 0.18),
        even=min(1.2, jitter(rng, timbre.even, 0.25)),
        pluck=jitter(rng, timbre.pluck, 0.3),
        body=tuple((f * shift, jitter(rng, g, 0.4), w) for f, g, w in timbre.body),
        attack_s=jitter(rng, timbre.attack_s, 0.4),
        release_s=jitter(rng, timbre.release_s, 0.4),
        decay_s=jitter(rng, timbre.decay_s, 0.4),
        damping=jitter(rng, timbre.damping, 0.3),
        bloom_s=jitter(rng, timbre.bloom_s, 0.5),
        sweep=_vary_each(timbre.sweep, rng, 0.5),
        vibrato=_vary_each(timbre.vibrato, rng, 0.3),
        detune=jitter(rng, timbre.detune, 0.5),
        breath=_vary_each(timbre.breath, rng, 0.4),
        strike=_vary_each(timbre.strike, rng, 0.4),
        drive=jitter(rng, timbre.drive, 0.4),
        tremolo=(jitter(rng, timbre.tremolo[0], 0.4), timbre.tremolo[1]),
    )


def _vary_each(values: Traits, rng: Rng, octaves: float) -> Traits:
    return type(values)(jitter(rng, value, octaves) for value in values)


def play(
    timbre: Timbre, frequency: float, hold_s: float, velocity: float, sample_rate: int, rng: Rng
) -> Audio:
    """Render one note, (samples,).

    Args:
        timbre: the instrument.
        frequency: pitch in Hz.
        hold_s: seconds until the note is released; the audio also contains the release.
        velocity: 0 to 1; softer notes are quieter and duller.
        sample_rate: samples per second.
        rng: source of phases, noise and small mistunings.
    """
    samples = int((hold_s + 1.2 * timbre.release_s) * sample_rate) + 1
    tone = _partials if timbre.ratios else _unison
    audio = tone(timbre, frequency, samples, velocity, sample_rate, rng)
    audio *= gate(samples, timbre.attack_s, hold_s, timbre.release_s, sample_rate)
    audio = _with_noises(timbre, audio, hold_s, sample_rate, rng)
    return as_audio(saturate(audio, timbre.drive) * (0.25 + 0.75 * velocity))


def _unison(
    timbre: Timbre, frequency: float, samples: int, velocity: float, sample_rate: int, rng: Rng
) -> Audio:
    seconds = samples / sample_rate
    spectra = _spectra(timbre, frequency, seconds, velocity)
    audio = np.zeros(samples, dtype=np.float32)
    for voice in range(timbre.voices):
        cents = timbre.detune * (voice - (timbre.voices - 1) / 2) + rng.normal(0.0, 2.0)
        curve = _pitch_curve(timbre, frequency * 2.0 ** (cents / 1200.0), samples, sample_rate, rng)
        phases = rng.uniform(0.0, 2.0 * np.pi, HARMONICS)
        audio += harmonic_tone(curve, spectra, phases, sample_rate)
    return as_audio(audio / np.sqrt(timbre.voices))


def _pitch_curve(
    timbre: Timbre, frequency: float, samples: int, sample_rate: int, rng: Rng
) -> Floats:
    rate, cents, delay = timbre.vibrato
    if rate == 0.0:
        return np.full(samples, frequency)
    time = np.arange(samples) / sample_rate
    depth = np.clip((time - delay) / 0.3, 0.0, 1.0) * cents / 1200.0
    wobble = np.sin(2.0 * np.pi * rate * time + rng.uniform(0.0, 6.28))
    return frequency * 2.0 ** (depth * wobble)


def _spectra(timbre: Timbre, frequency: float, seconds: float, velocity: float) -> Floats:
    """Amplitudes (rows, harmonics), with a sum of squares of about one in the loudest row."""
    rows = int(np.clip(seconds * ROWS_PER_SECOND, 4, 240))
    time = np.linspace(0.0, seconds, rows)[:, None]
    order = np.arange(1.0, HARMONICS + 1)
    start = order ** -(timbre.rolloff + 0.7 * (1.0 - velocity))
    start = start * np.where(order % 2 == 0, timbre.even, 1.0)
    if timbre.pluck:
        start = start * (0.05 + np.abs(np.sin(np.pi * order * timbre.pluck)))
    start = start * _body_gain(timbre, order * frequency)
    start = start / np.sqrt(np.sum(start**2) + 1e-12)
    shaped: Floats = start * _fading(timbre, order, time)
    return shaped * _low_pass(timbre, order * frequency, time)


def _body_gain(timbre: Timbre, hertz: Floats) -> Floats:
    gain = np.ones_like(hertz)
    for centre, height, octaves in timbre.body:
        gain = gain + height * np.exp(-((np.log2(hertz / centre) / octaves) ** 2))
    return gain


def _fading(timbre: Timbre, order: Floats, time: Floats) -> Floats:
    """Growth and decay of each harmonic, shape (rows, harmonics)."""
    shape = np.ones((len(time), len(order)))
    if timbre.bloom_s:
        shape = 1.0 - np.exp(-(time + 0.004) * 4.0 / (timbre.bloom_s * np.sqrt(order)))
    if timbre.decay_s:
        return shape * np.exp(-6.9 * time * (1.0 + timbre.damping * (order - 1)) / timbre.decay_s)
    return shape * np.exp(-timbre.damping * (order - 1))


def _low_pass(timbre: Timbre, hertz: Floats, time: Floats) -> Floats:
    start, end, seconds, resonance = timbre.sweep
    if start == 0.0:
        return np.ones((1, len(hertz)))
    cutoff = end + (start - end) * np.exp(-time / max(seconds, 0.01))
    bump = resonance * np.exp(-((np.log2(hertz / cutoff) / 0.25) ** 2))
    gain: Floats = 1.0 / (1.0 + (hertz / cutoff) ** 4) + bump
    return gain


def _partials(
    timbre: Timbre, frequency: float, samples: int, velocity: float, sample_rate: int, rng: Rng
) -> Audio:
    """Struck bar or bell: decaying inharmonic partials."""
    hertz = frequency * np.asarray(timbre.ratios)
    hertz = hertz[hertz < 0.47 * sample_rate]
    order = np.arange(1, len(hertz) + 1)
    level = order ** -(timbre.rolloff + 0.7 * (1.0 - velocity))
    time = np.arange(samples, dtype=np.float32) / sample_rate
    audio = np.zeros(samples, dtype=np.float32)
    for k, (hz, amplitude) in enumerate(zip(hertz, level / np.sqrt(np.sum(level**2)), strict=True)):
        fall = np.exp(-6.9 * time * (1.0 + timbre.damping * k) / timbre.decay_s)
        audio += amplitude * fall * np.sin(2 * np.pi * hz * time + rng.uniform(0.0, 6.28))
    rate, depth = timbre.tremolo
    return (audio * (1.0 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * time)))).astype(
        np.float32
    )


def _with_noises(timbre: Timbre, audio: Audio, hold_s: float, sample_rate: int, rng: Rng) -> Audio:
    level, low, high = timbre.breath
    if level:
        hiss = band(noise(rng, len(audio)), low, high, sample_rate, order=1)
        envelope = gate(len(audio), 0.5 * timbre.attack_s, hold_s, 0.1, sample_rate)
        audio = audio + np.float32(level) * hiss * envelope
    level, low, high, seconds = timbre.strike
    if level:
        burst = band(noise(rng, int(2 * seconds * sample_rate) + 8), low, high, sample_rate, 1)
        burst *= np.exp(-np.arange(len(burst)) / (0.4 * seconds * sample_rate)).astype(np.float32)
        mix_at(audio, 0, np.float32(level) * burst)
    return audio
