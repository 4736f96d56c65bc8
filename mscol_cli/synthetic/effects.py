"""Studio effects: reverberation, tone control, levels. All are linear except the limiter."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from mscol_cli.synthetic.randomness import Rng
from mscol_cli.synthetic.signals import Audio, as_audio, band, noise


def room(rng: Rng, seconds: float, sample_rate: int) -> Audio:
    """Impulse response of a room, without the direct sound; ``seconds`` is its 60 dB decay."""
    samples = max(16, int(seconds * sample_rate))
    time = np.arange(samples, dtype=np.float32) / sample_rate
    tail = as_audio(noise(rng, samples) * np.exp(-6.9 * time / seconds))
    tail = band(tail, 150.0, float(rng.uniform(2500.0, 6500.0)), sample_rate, order=1)
    tail[: int(rng.uniform(0.005, 0.03) * sample_rate)] = 0.0
    return as_audio(tail / np.sqrt(np.sum(tail**2) + 1e-9))


def reverberate(audio: Audio, response: Audio, amount: float) -> Audio:
    """Dry audio (samples,) plus ``amount`` of the reverberated audio."""
    wet = signal.fftconvolve(audio, response)[: len(audio)]
    return as_audio(audio + amount * wet)


def echo(audio: Audio, delay_s: float, feedback: float, sample_rate: int) -> Audio:
    """Three decaying echoes of (samples,)."""
    wet = np.array(audio)
    for repeat in range(1, 4):
        shift = int(repeat * delay_s * sample_rate)
        if shift < len(audio):
            wet[shift:] += feedback**repeat * audio[: len(audio) - shift]
    return wet


def tilt(audio: Audio, low_db: float, high_db: float, sample_rate: int) -> Audio:
    """Amplify or attenuate (samples,) below about 250 Hz and above about 2.5 kHz."""
    low = band(audio, 0.0, 250.0, sample_rate, order=1)
    high = band(audio, 2500.0, 1e9, sample_rate, order=1)
    gains = [10.0 ** (db / 20.0) - 1.0 for db in (low_db, high_db)]
    return as_audio(audio + gains[0] * low + gains[1] * high)


def level_to(audio: Audio, mean_abs: float) -> Audio:
    """Scale (samples,) to a mean magnitude of ``mean_abs`` where it sounds; silence stays."""
    loud = np.abs(audio)
    peak = float(loud.max(initial=0.0))
    if peak < 1e-6:
        return np.zeros_like(audio)
    sounding = loud[_sounding(loud, 0.02 * peak)]
    return as_audio(audio * (mean_abs / float(sounding.mean())))


def _sounding(loud: Audio, threshold: float) -> NDArray[np.bool_]:
    """Samples in a block of about 2,000 that exceeds the threshold somewhere."""
    block = 2000
    padded = np.pad(loud, (0, -len(loud) % block)).reshape(-1, block).max(axis=1) > threshold
    return np.repeat(padded, block)[: len(loud)]


def limit(audio: Audio, ceiling: float) -> Audio:
    """Soft-clip (samples,) to the ceiling; quiet samples hardly change."""
    return as_audio(ceiling * np.tanh(audio / ceiling))
