"""Corruptions of audio for robustness tests: white noise, gain, pitch shift and MP3."""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from mscol_cli.audio.decode import FloatArray, OnShort, read_audio
from mscol_cli.audio.resample import resample_array
from mscol_cli.audio.write import INT16_SCALE

MP3_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
MP3_DEFAULT_RATE = 44_100
# kbit/s at compression levels 0 and 1 of libsndfile: MPEG-1 from 32 kHz, MPEG-2 below.
MPEG_1, MPEG_2 = (320, 32), (160, 8)
# Delay of LAME plus a decoder, in samples.
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
    """A corruption and its strength.

    Attributes:
        kind: `noise`, `gain`, `pitch` or `mp3`.
        amount: Signal-to-noise ratio in dB, gain in dB, semitones, or kbit/s.
    """

    kind: str
    amount: float

    @property
    def name(self) -> str:
        """Label in tables and caches, such as `noise 20 dB`."""
        sign = "+" if self.kind in ("gain", "pitch") else ""
        return f"{self.kind} {self.amount:{sign}g} {RANGES[self.kind][2]}"


def load_corrupted(
    path: Path,
    sample_rate: int,
    corruption: Corruption,
    on_short: OnShort | None = None,
) -> FloatArray:
    """Decode a file to mono, corrupt it and resample it.

    `noise` adds white noise over the band of `sample_rate`, seeded by the file name. `gain` rounds
    to 16 bits and clips at full scale, as a file would. `pitch` keeps the duration, by a phase
    vocoder. `mp3` encodes at the sample rate of the file, or at 44.1 kHz where MP3 lacks that rate.

    Args:
        path: The file.
        sample_rate: Sample rate of the result in Hz.
        corruption: Kind and strength.
        on_short: As for `read_audio`.

    Returns:
        (samples,).

    Raises:
        BadInputError: The file cannot be decoded.
    """
    audio = read_audio(path, on_short)
    mono, rate = audio.samples.mean(axis=0, dtype=np.float32), audio.sample_rate
    if corruption.kind == "mp3":
        mono, rate = through_mp3(mono, rate, corruption.amount)
    waveform = resample_array(mono, rate, sample_rate)
    if corruption.kind == "noise":
        seed = zlib.crc32(path.name.encode("utf-8", "surrogateescape"))
        return add_noise(waveform, corruption.amount, seed)
    if corruption.kind == "gain":
        return change_level(waveform, corruption.amount)
    if corruption.kind == "pitch":
        return shift_pitch(waveform, sample_rate, corruption.amount)
    return waveform


def add_noise(waveform: FloatArray, ratio_db: float, seed: int) -> FloatArray:
    """Add white noise to (samples,) at a signal-to-noise ratio; silence stays silent."""
    noise = np.random.default_rng(seed).standard_normal(len(waveform)).astype(np.float32)
    power = float(np.einsum("i,i->", waveform, waveform, dtype=np.float64))
    noise_power = float(np.einsum("i,i->", noise, noise, dtype=np.float64))
    factor = math.sqrt(power / noise_power * 10 ** (-ratio_db / 10)) if noise_power else 0.0
    noisy: FloatArray = waveform + np.float32(factor) * noise
    return noisy


def change_level(waveform: FloatArray, gain_db: float) -> FloatArray:
    """Amplify (samples,), then round to 16 bits and clip."""
    steps = np.rint(waveform * np.float32(INT16_SCALE * 10 ** (gain_db / 20)))
    clipped: FloatArray = np.clip(steps, -INT16_SCALE, INT16_SCALE - 1) / np.float32(INT16_SCALE)
    return clipped


def shift_pitch(waveform: FloatArray, sample_rate: int, semitones: float) -> FloatArray:
    """Shift the pitch of (samples,) and keep its duration: stretch by a phase vocoder, then
    resample. Frequencies shifted beyond half the sample rate are lost."""
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
    """Encode (samples,) as mono MP3 at a constant bit rate and decode it. Returns the waveform and
    its sample rate in Hz."""
    rate = sample_rate if sample_rate in MP3_RATES else MP3_DEFAULT_RATE
    source = resample_array(waveform, sample_rate, rate)
    max_kbps, min_kbps = MPEG_1 if rate >= 32_000 else MPEG_2
    coded = io.BytesIO()
    soundfile.write(
        coded,
        source,
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=(max_kbps - kbps) / (max_kbps - min_kbps),
    )
    coded.seek(0)
    decoded, decoded_rate = soundfile.read(coded, dtype="float32")
    if len(decoded) * rate > len(source) * decoded_rate:
        # Short frames have no room for the tag that tells decoders how much delay to remove.
        decoded = decoded[CODEC_DELAY:]
    return _with_length(resample_array(decoded, decoded_rate, rate), len(source)), rate


def _with_length(waveform: FloatArray, samples: int) -> FloatArray:
    """Truncate at the end, or pad with silence."""
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform))))
