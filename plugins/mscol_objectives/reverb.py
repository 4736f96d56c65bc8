"""Reverberation by comb and all-pass filters, without a loop over samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from mscol_objectives.waveform_steps import Drawn, Step

TUNING_RATE = 44_100
COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
ALL_PASSES = (225, 341, 441, 556)
"""Samples of delay at 44.1 kHz: the tunings of Freeverb, which are in the public domain."""
SPREAD = 12
"""Samples by which the second channel's delays differ, in turn longer and shorter."""
ALL_PASS_FEEDBACK = 0.5
WET = 0.015
ALIASING = 1e-4
"""Remainder of the response after one period of the FFT."""


class Reverb(Step):
    """The reverberation of sox, which is that of Freeverb.

    Eight comb filters with a one-pole low-pass in their feedback sound in parallel, four all-pass
    filters follow. Reverberance sets the feedback, from 0.3 to 0.98, where 1 - feedback falls
    exponentially; damping sets the low-pass, from 0.2 to 0.5; room scale multiplies the combs'
    delays by 0.1 to 1. The mean of two channels is added to the dry waveform, as CLMR mixes sox's
    stereo down. Unlike in sox, samples are not clipped at full scale.

    Feedback filters have infinite responses. They are exact here up to an aliasing of 1e-4: their
    transfer function H is evaluated on a circle of radius r slightly above 1, where the response
    has decayed by r**-n. The waveform is multiplied by r**-n, convolved by an FFT of twice its
    length, and multiplied by r**n.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    def draw(self, rng: np.random.Generator, rows: int) -> Drawn:
        """Reverberance, damping and room scale, whole percents from 0 to 99."""
        drawn: Drawn = rng.integers(0, 100, (rows, 3)).astype(float)
        return drawn

    def forward(self, waveforms: Tensor, drawn: Tensor) -> Tensor:
        """Add reverberation to each row."""
        samples = waveforms.shape[1]
        size = next_fast_len(2 * samples, real=True)
        time = torch.arange(samples, device=waveforms.device, dtype=torch.float64)
        decay = (ALIASING ** (time / size)).to(waveforms.dtype)
        spectrum = torch.fft.rfft(waveforms * decay, n=size)
        spectrum *= self._transfer(drawn, _Circle(size, spectrum))
        wet: Tensor = torch.fft.irfft(spectrum, n=size)[:, :samples] / decay
        return waveforms + wet

    def _transfer(self, drawn: Tensor, circle: _Circle) -> Tensor:
        """Transfer function of the wet part, (rows, bins): parallel combs, then all-passes."""
        reverberance, damping, room = (drawn / 100.0).unbind(dim=1)
        feedback = 1.0 - 0.7 * (0.02 / 0.7) ** reverberance
        pole = 0.2 + 0.3 * damping
        low_pass = 1.0 - circle.column(pole) / circle.power(torch.ones_like(pole))
        loop = circle.column(feedback * (1.0 - pole))
        wet = torch.zeros_like(low_pass)
        for spread in (0, SPREAD):
            combs = torch.zeros_like(low_pass)
            for tuning in _spread(COMBS, spread):
                delay = self._delay(tuning, 0.1 + 0.9 * room)
                combs += 1.0 / (low_pass * circle.power(delay) - loop)
            wet += combs * self._all_passes(spread, circle)
        return wet * low_pass * (WET / 2)

    def _all_passes(self, spread: int, circle: _Circle) -> Tensor:
        """Product of the all-passes, (1, bins), which does not depend on the room."""
        unscaled = torch.ones(1, device=circle.device, dtype=torch.float64)
        product = torch.ones_like(circle.points[None, : circle.bins])
        for tuning in _spread(ALL_PASSES, spread):
            z = circle.power(self._delay(tuning, unscaled))
            product = product * (1.0 + ALL_PASS_FEEDBACK - z) / (z - ALL_PASS_FEEDBACK)
        return product

    def _delay(self, tuning: int, scale: Tensor) -> Tensor:
        """(rows,) whole samples at this sample rate."""
        return (scale * (tuning * self.sample_rate / TUNING_RATE) + 0.5).floor()


class _Circle:
    """Points z = r exp(2 pi i k / size), for bins k from 0 to size / 2, at which an FFT of that
    size evaluates a response multiplied by r**-n."""

    def __init__(self, size: int, like: Tensor) -> None:
        """`like` is a spectrum (rows, bins), whose device and dtype are used."""
        self.size, self.bins = size, like.shape[1]
        self.device, self.dtype = like.device, like.dtype
        angle = torch.arange(size, device=self.device, dtype=torch.float64) * (2 * torch.pi / size)
        self.points = torch.polar(torch.ones_like(angle), angle).to(self.dtype)
        self.bin = torch.arange(self.bins, device=self.device)

    def power(self, exponent: Tensor) -> Tensor:
        """Whole powers (rows,) of z: (rows, bins)."""
        radius = self.column(ALIASING ** (-exponent / self.size))
        return radius * self.points[self.bin * exponent.long()[:, None] % self.size]

    def column(self, values: Tensor) -> Tensor:
        """Real values (rows,) as (rows, 1), in the spectrum's precision."""
        return values.to(self.dtype.to_real())[:, None]


def _spread(tunings: Sequence[int], spread: int) -> list[int]:
    return [tuning + spread * (-1) ** number for number, tuning in enumerate(tunings)]
