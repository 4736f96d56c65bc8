"""Reverberation by comb and all-pass filters, without a loop over samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
CPU_ROWS = 8
"""Rows computed together on a CPU, so that what lies between stays in its cache."""
FINE = 256
"""Bins per step of the coarse table of powers."""


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
        circle = _Circle(size, spectrum)
        all_passes = {spread: self._all_passes(spread, circle) for spread in (0, SPREAD)}
        rows = CPU_ROWS if waveforms.device.type == "cpu" else len(drawn)
        for part, of_part in zip(
            torch.split(spectrum, rows), torch.split(drawn, rows), strict=True
        ):
            part *= self._transfer(of_part, circle, all_passes)
        wet: Tensor = torch.fft.irfft(spectrum, n=size)[:, :samples] / decay
        return waveforms + wet

    def _transfer(self, drawn: Tensor, circle: _Circle, all_passes: Mapping[int, Tensor]) -> Tensor:
        """Transfer function of the wet part, (rows, bins): parallel combs, then all-passes."""
        reverberance, damping, room = (drawn / 100.0).unbind(dim=1)
        feedback = 1.0 - 0.7 * (0.02 / 0.7) ** reverberance
        pole = 0.2 + 0.3 * damping
        low_pass = 1.0 - circle.column(pole) * circle.power(-torch.ones_like(pole))
        loop = circle.column(feedback * (1.0 - pole))
        wet = torch.zeros_like(low_pass)
        for spread, all_pass in all_passes.items():
            combs = torch.zeros_like(low_pass)
            for tuning in _spread(COMBS, spread):
                delay = self._delay(tuning, 0.1 + 0.9 * room)
                # Not 1 / (...): torch divides complex numbers slowly.
                combs += (low_pass * circle.power(delay)).sub_(loop).reciprocal_()
            wet += combs * all_pass
        return wet * low_pass * (WET / 2)

    def _all_passes(self, spread: int, circle: _Circle) -> Tensor:
        """Product of the all-passes, (1, bins), which does not depend on the room."""
        unscaled = torch.ones(1, device=circle.device, dtype=torch.float64)
        product = circle.power(torch.zeros_like(unscaled))
        for tuning in _spread(ALL_PASSES, spread):
            z = circle.power(self._delay(tuning, unscaled))
            product = product * (1.0 + ALL_PASS_FEEDBACK - z) * (z - ALL_PASS_FEEDBACK).reciprocal()
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

    def power(self, exponent: Tensor) -> Tensor:
        """Whole powers (rows,) of z: (rows, bins), each a product of a coarse and a fine one, as to
        look up every bin takes longer."""
        radius = self.column(ALIASING ** (-exponent / self.size))
        coarse = radius * self._look_up(exponent, range(0, self.bins, FINE))
        fine = self._look_up(exponent, range(FINE))
        return (coarse[:, :, None] * fine[:, None]).flatten(1)[:, : self.bins]

    def _look_up(self, exponent: Tensor, bins: range) -> Tensor:
        """(rows, bins) powers of modulus 1; indices are whole, so that they are exact."""
        bin = torch.arange(bins.start, bins.stop, bins.step, device=self.device)
        return self.points[bin * exponent.long()[:, None] % self.size]

    def column(self, values: Tensor) -> Tensor:
        """Real values (rows,) as (rows, 1), in the spectrum's precision."""
        return values.to(self.dtype.to_real())[:, None]


def _spread(tunings: Sequence[int], spread: int) -> list[int]:
    return [tuning + spread * (-1) ** number for number, tuning in enumerate(tunings)]
