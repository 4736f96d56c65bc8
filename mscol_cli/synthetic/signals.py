"""Basic signals: wavetable tones, envelopes, noise, filters."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from mscol_cli.synthetic.randomness import Rng

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

TABLE_SIZE = 512
MAX_HARMONICS = 96


def as_audio(values: ArrayLike) -> Audio:
    """Convert values to float32."""
    return np.asarray(values, dtype=np.float32)


def midi_to_hz(pitch: float) -> float:
    """Equal-tempered frequency in Hz of a MIDI pitch (69 is 440 Hz)."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def harmonic_tone(frequency: Floats, spectra: Floats, phases: Floats, sample_rate: int) -> Audio:
    """Harmonic tone with time-varying pitch and spectrum.

    Each row of ``spectra`` becomes one period of a wavetable, from which samples are read by phase
    with interpolation between rows. Harmonics above the Nyquist frequency are omitted.

    Args:
        frequency: fundamental in Hz, shape (samples,).
        spectra: amplitude of harmonics 1, 2, ..., shape (rows, harmonics), rows evenly spaced.
        phases: starting phase of each harmonic in radians, shape (harmonics,).
        sample_rate: samples per second.

    Returns:
        Audio of shape (samples,).
    """
    kept = int(
        np.clip(0.47 * sample_rate / frequency.max(), 1, min(spectra.shape[1], MAX_HARMONICS))
    )
    bins = np.zeros((len(spectra), TABLE_SIZE // 2 + 1), dtype=np.complex64)
    bins[:, 1 : kept + 1] = spectra[:, :kept] * np.exp(1j * phases[:kept])
    table = as_audio(np.fft.irfft(bins, axis=1) * (TABLE_SIZE / 2))
    return _read_table(table, np.cumsum(frequency / sample_rate))


def _read_table(table: Audio, cycles: Floats) -> Audio:
    """Bilinear look-up; ``table`` is (rows, TABLE_SIZE), ``cycles`` the phase in periods."""
    rows, position = len(table), as_audio((cycles % 1.0) * TABLE_SIZE)
    # A phase just below a whole period rounds up to one in single precision.
    column = np.minimum(position.astype(np.int32), TABLE_SIZE - 1)
    along = position - column
    path = np.linspace(0.0, rows - 1.0, len(cycles), dtype=np.float32)
    row = np.minimum(path.astype(np.int32), max(rows - 2, 0))
    between = path - row
    flat = np.concatenate([table, table[:, :1]], axis=1).ravel()
    low = row * (TABLE_SIZE + 1) + column
    high = low + (TABLE_SIZE + 1 if rows > 1 else 0)
    first, second = flat[low], flat[high]
    first += along * (flat[low + 1] - first)
    second += along * (flat[high + 1] - second)
    return as_audio(first + between * (second - first))


def gate(samples: int, attack_s: float, hold_s: float, release_s: float, sample_rate: int) -> Audio:
    """Envelope (samples,) that rises to one, stays until ``hold_s``, then decays to zero."""
    time = np.arange(samples, dtype=np.float32) / sample_rate
    rise = np.minimum(1.0, time / max(attack_s, 0.001))
    fall = np.exp(-np.maximum(0.0, time - hold_s) * 4.0 / max(release_s, 0.005))
    fade = np.minimum(1.0, (samples - np.arange(samples)) / (0.008 * sample_rate))
    return as_audio(rise * fall * fade)


def decay(samples: int, seconds: float, sample_rate: int) -> Audio:
    """Envelope (samples,) with an exponential decay of 60 dB in ``seconds``."""
    return as_audio(np.exp(np.arange(samples) * (-6.9078 / (seconds * sample_rate))))


def noise(rng: Rng, samples: int) -> Audio:
    """White noise (samples,) of unit variance."""
    return rng.standard_normal(samples, dtype=np.float32)


def band(audio: Audio, low_hz: float, high_hz: float, sample_rate: int, order: int = 2) -> Audio:
    """Butterworth band; an edge outside (20 Hz, 0.45 x rate) opens that side of the filter."""
    top = 0.45 * sample_rate
    low, high = min(low_hz, top), min(high_hz, top)
    if low <= 20.0 and high >= top:
        return audio
    return as_audio(signal.sosfilt(_sections(low, high, sample_rate, order), audio))


@lru_cache(maxsize=256)
def _sections(low_hz: float, high_hz: float, sample_rate: int, order: int) -> Floats:
    """Second-order sections, cached because designing a filter is slower than applying it."""
    edges: float | tuple[float, float] = (low_hz, high_hz)
    kind = "band"
    if low_hz <= 20.0:
        edges, kind = high_hz, "low"
    elif high_hz >= 0.45 * sample_rate:
        edges, kind = low_hz, "high"
    return np.asarray(signal.butter(order, edges, kind, fs=sample_rate, output="sos"))


def resonate(audio: Audio, centre_hz: float, quality: float, sample_rate: int) -> Audio:
    """Two-pole resonance with unit gain at its centre."""
    numerator, denominator = signal.iirpeak(
        min(centre_hz, 0.45 * sample_rate), quality, fs=sample_rate
    )
    return as_audio(signal.lfilter(numerator, denominator, audio))


def saturate(audio: Audio, drive: float) -> Audio:
    """Soft clipping; ``drive`` 0 has no effect, 10 is heavy distortion."""
    if drive <= 0.0:
        return audio
    return as_audio(np.tanh(audio * (1.0 + drive)) / np.tanh(1.0 + drive))


def mix_at(track: Audio, start: int, audio: Audio) -> None:
    """Add ``audio`` to ``track`` in place at sample ``start``; samples outside are dropped."""
    first = max(0, -start)
    last = min(len(audio), len(track) - start)
    if last > first:
        track[start + first : start + last] += audio[first:last]
