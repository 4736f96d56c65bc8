"""What happens to audio on its way to a listener: noise, another level, another pitch, MP3."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mscol_cli.audio.decode import read_audio
from mscol_cli.audio.resample import resample_array
from mscol_cli.audio.write import INT16_SCALE

FloatArray = NDArray[np.float32]

MP3_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
MP3_DEFAULT_RATE = 44_100
# kbit/s at compression levels 0 and 1 of libsndfile: of MPEG-1 from 32 kHz on, of MPEG-2 below.
MPEG_1, MPEG_2 = (320, 32), (160, 8)
# Samples by which LAME and a decoder are late, together.
CODEC_DELAY = 1105
VOCODER_SECONDS = 0.064
RANGES = {
    "noise": (-20.0, 100.0, "dB"),
    "gain": (-96.0, 60.0, "dB"),
    "pitch": (-24.0, 24.0, "semitones"),
    "mp3": (40.0, 160.0, "kbit/s"),
}


@dataclass(frozen=True)
class Corruption:
    """One kind of damage.

    Attributes:
        kind: `noise`, `gain`, `pitch` or `mp3`.
        amount: Signal-to-noise ratio in dB, gain in dB, semitones, or kbit/s.
    """

    kind: str
    amount: float

    @property
    def name(self) -> str:
        """For tables and caches: `noise 20 dB`."""
        sign = "+" if self.kind in ("gain", "pitch") else ""
        return f"{self.kind} {self.amount:{sign}g} {RANGES[self.kind][2]}"


def load_corrupted(
    path: Path,
    sample_rate: int,
    deformation: Corruption,
    warn: Callable[[str], None] | None = None,
) -> FloatArray:
    """Decode a file to mono at `sample_rate` Hz, (samples,), as it is after a deformation.

    `noise` adds white noise over the band of `sample_rate`, the same for a file of the same name;
    `gain` rounds to 16 bits and clips at full scale, as a file would; `pitch` keeps the duration,
    by a phase vocoder; `mp3` encodes at the file's own sample rate, or the next that MP3 has.

    Raises:
        BadInputError: The file cannot be decoded.
    """
    audio = read_audio(path, warn)
    mono, rate = audio.samples.mean(axis=0, dtype=np.float32), audio.sample_rate
    if deformation.kind == "mp3":
        mono, rate = through_mp3(mono, rate, deformation.amount)
    waveform = resample_array(mono, rate, sample_rate)
    if deformation.kind == "noise":
        seed = zlib.crc32(path.name.encode("utf-8", "surrogateescape"))
        return add_noise(waveform, deformation.amount, seed)
    if deformation.kind == "gain":
        return change_level(waveform, deformation.amount)
    if deformation.kind == "pitch":
        return shift_pitch(waveform, sample_rate, deformation.amount)
    return waveform


def add_noise(waveform: FloatArray, ratio_db: float, seed: int) -> FloatArray:
    """Add white noise to (samples,), at a ratio of powers over the whole; silence stays silent."""
    noise = np.random.default_rng(seed).standard_normal(len(waveform)).astype(np.float32)
    power = float(np.einsum("i,i->", waveform, waveform, dtype=np.float64))
    of_noise = float(np.einsum("i,i->", noise, noise, dtype=np.float64))
    factor = math.sqrt(power / of_noise * 10 ** (-ratio_db / 10)) if of_noise else 0.0
    noisy: FloatArray = waveform + np.float32(factor) * noise
    return noisy


def change_level(waveform: FloatArray, gain_db: float) -> FloatArray:
    """Amplify (samples,), and store the result in 16 bits."""
    steps = np.rint(waveform * np.float32(INT16_SCALE * 10 ** (gain_db / 20)))
    kept: FloatArray = np.clip(steps, -INT16_SCALE, INT16_SCALE - 1) / np.float32(INT16_SCALE)
    return kept


def shift_pitch(waveform: FloatArray, sample_rate: int, semitones: float) -> FloatArray:
    """Shift (samples,) by semitones and keep its duration: stretched by a phase vocoder, and
    resampled. What comes to lie above half the sample rate is lost."""
    import torch
    from scipy.signal import resample_poly
    from torchaudio.functional import phase_vocoder

    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(200)
    if ratio == 1 or len(waveform) == 0:
        return waveform
    size = 1 << round(math.log2(VOCODER_SECONDS * sample_rate))
    hop, window = size // 8, torch.hann_window(size)
    padded = torch.nn.functional.pad(torch.from_numpy(waveform), (0, size))
    spectrum = torch.stft(
        padded, size, hop, window=window, return_complex=True, pad_mode="constant"
    )
    advance = torch.linspace(0, math.pi * hop, size // 2 + 1)[:, None]
    stretched = phase_vocoder(spectrum, 1 / float(ratio), advance)
    slow = torch.istft(stretched, size, hop, window=window).numpy()
    shifted = resample_poly(slow, ratio.denominator, ratio.numerator).astype(np.float32)
    return _with_length(shifted, len(waveform))


def through_mp3(waveform: FloatArray, sample_rate: int, kbps: float) -> tuple[FloatArray, int]:
    """Encode (samples,) as mono MP3 of a constant bit rate, and decode it; with its rate in Hz."""
    rate = sample_rate if sample_rate in MP3_RATES else MP3_DEFAULT_RATE
    source = resample_array(waveform, sample_rate, rate)
    most, least = MPEG_1 if rate >= 32_000 else MPEG_2
    coded = io.BytesIO()
    soundfile.write(
        coded,
        source,
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=(most - kbps) / (most - least),
    )
    coded.seek(0)
    decoded, found_rate = soundfile.read(coded, dtype="float32")
    if len(decoded) * rate > len(source) * found_rate:
        # Frames of few bits have no room for the tag by which decoders cut the delay off.
        decoded = decoded[CODEC_DELAY:]
    return _with_length(resample_array(decoded, found_rate, rate), len(source)), rate


def _with_length(waveform: FloatArray, samples: int) -> FloatArray:
    """Cut or filled up with silence at the end."""
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform))))
