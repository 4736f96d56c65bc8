"""Pitch shift with constant duration: resample, then stretch time by overlap-add."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from mscol_objectives.waveform_steps import Drawn, Step

SEGMENT, OVERLAP, SEARCH = 0.082, 0.012, 0.01468
"""Seconds, the defaults of sox."""
OVERSAMPLING = 4
ROLL_OFF = 0.95
"""Share of the pass band with unit gain."""


class PitchShift(Step):
    """Shifts pitch by whole cents, uniform from -`max_cents` to `max_cents`.

    CLMR uses sox, whose `pitch` stretches time by waveform-similarity overlap-add and then
    resamples. Here the order is reversed, which avoids buffers of different lengths; the lengths of
    segment, overlap and search are those of sox, in the shifted waveform. Frequencies above half
    the sample rate after the shift are lost; a shift of 0 cents changes nothing.
    """

    def __init__(self, sample_rate: int, max_cents: int) -> None:
        super().__init__()
        self.max_cents = max_cents
        self.segment, self.overlap, self.search = (
            round(seconds * sample_rate) for seconds in (SEGMENT, OVERLAP, SEARCH)
        )

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """The shift, in cents."""
        drawn: Drawn = rng.integers(-self.max_cents, self.max_cents + 1, (rows, 1)).astype(float)
        return drawn

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Shift each row by its cents."""
        ratio = 2.0 ** (drawn[:, 0] / 1200.0)
        faster = speed_up(waveforms, ratio)
        shifted = self.stretch(faster, 1.0 / ratio, waveforms.shape[1])
        return torch.where(drawn == 0, waveforms, shifted)

    def stretch(self, waveforms: Tensor, rate: Tensor, samples: int) -> Tensor:
        """Change duration and keep pitch, by waveform-similarity overlap-add.

        Segments are read at `rate` times the speed at which they are written. Each is moved to the
        position where its beginning best matches the end of the last segment (least squares), and
        cross-faded linearly.

        Args:
            waveforms: (rows, longest); the first `samples * rate` samples of a row are used.
            rate: (rows,) old duration divided by new duration.
            samples: New duration, in samples.

        Returns:
            (rows, samples).
        """
        hop = self.segment - self.overlap
        fade = torch.arange(self.overlap, device=rate.device).to(waveforms.dtype) / self.overlap
        written: list[Tensor] = []
        tail: Tensor | None = None
        for number in range(math.ceil(samples / hop)):
            segment = self._segment(waveforms, rate, number * hop, samples, tail)
            head = segment[:, : self.overlap]
            written.append(head if tail is None else torch.lerp(tail, head, fade))
            written.append(segment[:, self.overlap : hop])
            tail = segment[:, hop:]
        return torch.cat(written, dim=1)[:, :samples]

    def _segment(
        self, waveforms: Tensor, rate: Tensor, begin: int, samples: int, tail: Tensor | None
    ) -> Tensor:
        """The segment to write at `begin`, read from the position that best continues `tail`."""
        if tail is None:
            return _read(waveforms, torch.zeros_like(rate).long(), self.segment)
        last = (samples * rate).long() - self.segment - self.search
        start = (begin * rate).round().long() - self.search // 2
        start = torch.minimum(start, last).clamp(min=0)
        nearby = _read(waveforms, start, self.segment + self.search)
        candidates = nearby[:, : self.search + self.overlap].unfold(1, self.overlap, 1)
        distance = (candidates - tail[:, None]).square().sum(dim=2)
        return _read(nearby, distance.argmin(dim=1), self.segment)


def speed_up(waveforms: Tensor, ratio: Tensor) -> Tensor:
    """Resample each row by its own ratio.

    The spectrum is low-passed for the new sample rate and transformed to four times the old rate;
    samples in between are interpolated by cubic polynomials.

    Args:
        waveforms: (rows, samples).
        ratio: (rows,) float64; above 1 makes rows shorter and higher.

    Returns:
        (rows, longest); only the first samples / ratio[i] samples of row i are valid.
    """
    samples = waveforms.shape[1]
    size = next_fast_len(samples, real=True)
    spectrum = torch.fft.rfft(waveforms, n=size)
    passed = _pass_band(ratio, spectrum.shape[1]).to(waveforms.dtype)
    fine = OVERSAMPLING * torch.fft.irfft(spectrum * passed, n=OVERSAMPLING * size)
    longest = math.ceil(samples / float(ratio.min()))
    position = torch.arange(longest, device=ratio.device) * (OVERSAMPLING * ratio[:, None])
    return _interpolate(fine, position)


def _pass_band(ratio: Tensor, bins: int) -> Tensor:
    """Gains (rows, bins): 1 up to the roll-off, 0 from half the new or the old sample rate."""
    edge = (1.0 / ratio).clamp(max=1.0)[:, None]
    frequency = torch.linspace(0.0, 1.0, bins, device=ratio.device, dtype=ratio.dtype)
    return ((edge - frequency) / (edge * (1.0 - ROLL_OFF))).clamp(0.0, 1.0)


def _interpolate(waveforms: Tensor, position: Tensor) -> Tensor:
    """Interpolate waveforms (rows, samples) at positions (rows, n), by the cubic through the four
    nearest samples."""
    left = position.floor()
    t = (position - left).to(waveforms.dtype)
    weights = (
        -t * (t - 1.0) * (t - 2.0) / 6.0,
        (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
        -(t + 1.0) * t * (t - 2.0) / 2.0,
        (t + 1.0) * t * (t - 1.0) / 6.0,
    )
    index = left.long()
    last = waveforms.shape[1] - 1
    total = torch.zeros_like(t)
    for step, weight in enumerate(weights, start=-1):
        total += weight * waveforms.gather(1, (index + step).clamp(0, last))
    return total


def _read(waveforms: Tensor, start: Tensor, samples: int) -> Tensor:
    """Read `samples` of each row from `start` (rows,); past the end the last sample repeats."""
    index = start[:, None] + torch.arange(samples, device=start.device)
    return waveforms.gather(1, index.clamp(max=waveforms.shape[1] - 1))
