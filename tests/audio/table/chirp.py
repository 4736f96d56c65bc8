"""A rising tone whose pitch tells which moment of the source is heard."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LOW, HIGH = 400.0, 3000.0
TOLERANCE = 0.07
"""Seconds by which a lossy codec may shift what is heard: two frames of MP3 and its delay."""
_WINDOW = 0.05
_SILENT = 1e-3
_PURE = 0.5
_WIDTH = 16


def chirp(seconds: float, rate: int, channels: int = 1) -> FloatArray:
    """A tone that rises linearly from 400 to 3000 Hz, and noise: (channels, samples), below 1.

    The noise begins halfway, so that a variable bit rate has something to vary with.
    """
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (LOW * time + (HIGH - LOW) / (2 * seconds) * time**2)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, len(time)) * np.where(
        time < seconds / 2, 0.01, 1.0
    )
    return np.tile(0.5 * np.sin(phase) + noise, (channels, 1)).astype(np.float32)


@dataclass(frozen=True)
class Heard:
    """What a decoded chirp contains.

    Attributes:
        time: Middle of each window, seconds from the start of what was decoded.
        moment: The moment of the source that each window plays, in seconds; NaN where a window is
            silent or noise.
    """

    time: NDArray[np.float64]
    moment: NDArray[np.float64]

    @property
    def delay(self) -> float:
        """Seconds from the moment that a window should play to the one that it plays, at worst."""
        return float(np.nanmax(np.abs(self.moment - self.time), initial=0.0))

    @property
    def without_holes(self) -> bool:
        """Whether no two neighbouring windows between the first and the last are silent or noise.

        A window at an end, or where two files were joined, may hold an encoder's padding.
        """
        bad = np.isnan(self.moment[1:-1])
        return not bool(np.any(bad[1:] & bad[:-1]))

    @property
    def stretches(self) -> list[tuple[float, float]]:
        """First and last moment of each stretch of the chirp, in the order of playing.

        A stretch is three windows or more that follow each other as in the source; where bytes are
        lost, a window or two of noise may sound like some moment.
        """
        found: list[list[float]] = [[]]
        for moment in self.moment:
            if found[-1] and not abs(moment - found[-1][-1] - _WINDOW) < _WINDOW / 2:
                found.append([])
            if not np.isnan(moment):
                found[-1].append(float(moment))
        return [(moments[0], moments[-1]) for moments in found if len(moments) >= 3]

    @property
    def in_order(self) -> bool:
        """Whether no moment is played twice and none before an earlier one."""
        pairs = pairwise(self.stretches)
        return all(after[0] > before[1] - TOLERANCE for before, after in pairs)


def listen(samples: FloatArray, rate: int, seconds: float) -> Heard:
    """Find the moments of `chirp(seconds, ...)` in (channels, samples)."""
    size = round(_WINDOW * rate)
    mono = samples.mean(axis=0)
    count = len(mono) // size
    windows = mono[: count * size].reshape(count, size) * np.hanning(size)
    spectra = np.abs(np.fft.rfft(windows, n=4 * size, axis=1))
    peak = np.argmax(spectra, axis=1)
    moment = (peak * rate / (4 * size) - LOW) * seconds / (HIGH - LOW)
    outside = (moment < -TOLERANCE) | (moment > seconds + TOLERANCE)
    moment[outside | ~_is_tone(windows, spectra, peak)] = np.nan
    return Heard((np.arange(count) + 0.5) * size / rate, moment)


def _is_tone(
    windows: NDArray[np.float64], spectra: NDArray[np.float64], peak: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether a window holds little but the frequency of its peak."""
    power = np.square(spectra)
    near = np.clip(peak[:, None] + np.arange(-_WIDTH, _WIDTH + 1), 0, power.shape[1] - 1)
    of_peak = np.take_along_axis(power, near, axis=1).sum(axis=1)
    share = of_peak / np.maximum(power.sum(axis=1), 1e-12)
    loud = np.sqrt(np.square(windows).mean(axis=1)) > _SILENT
    return np.asarray(loud & (share > _PURE))
