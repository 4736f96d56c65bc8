"""Writing audio: 16-bit FLAC and WAV, and Ogg Vorbis; each file is whole or absent."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.files import write_atomically

_BLOCK = 1 << 16
_FULL_SCALE = 32768


@dataclass(frozen=True)
class _Format:
    """What libsndfile calls a format, and the most that it holds; beyond, encoders may crash."""

    container: str
    subtype: str
    channels: int
    sample_rate: int
    bytes: int = 1 << 62


FORMATS = {
    "flac": _Format("FLAC", "PCM_16", channels=8, sample_rate=655_350),
    "wav": _Format("WAV", "PCM_16", channels=1024, sample_rate=1 << 30, bytes=0xFFFF_0000),
    "ogg": _Format("OGG", "VORBIS", channels=255, sample_rate=200_000),
}


def check_format(option: str, name: str) -> None:
    """Raise UsageError, naming the option, unless it is a format that can be written."""
    if name not in FORMATS:
        raise UsageError(f"{option} takes {', '.join(FORMATS)}, not '{name}'.")


def headroom(peak: float) -> float:
    """The factor that brings a peak down to full scale; 1 for one that does not exceed it."""
    return 1.0 if peak <= 1.0 else 1.0 / peak


def write_audio(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write a file, atomically; its suffix is the format: .flac, .wav or .ogg.

    Samples of 16 bits are rounded so that x / 32768 is read again. What exceeds full scale is cut
    off: see `headroom`.

    Args:
        path: The file.
        samples: (channels, samples), full scale is 1.
        sample_rate: Hz.

    Raises:
        BadInputError: The format has no room for so many channels, such a rate or such a length.
        OSError: It cannot be written.
    """
    name = path.suffix[1:]
    _check_room(path, samples, sample_rate, FORMATS[name])
    # In memory first: on a full disk libsndfile ends in an assertion, not in an OSError.
    encoded = _encode(samples, sample_rate, FORMATS[name])
    write_atomically(path, lambda temporary: _fill(temporary, encoded))


def _check_room(path: Path, samples: NDArray[np.float32], rate: int, form: _Format) -> None:
    channels, length = samples.shape
    too_much = [f"{channels} channels"] if channels > form.channels else []
    too_much += [f"{rate} Hz"] if rate > form.sample_rate else []
    too_much += [f"{length / rate:.0f} s"] if 2 * channels * length > form.bytes else []
    if too_much:
        others = " or ".join(name for name in FORMATS if name != path.suffix[1:])
        raise BadInputError(
            f"{path}: {form.container} cannot hold {' and '.join(too_much)}; use {others}"
        )


def _encode(samples: NDArray[np.float32], rate: int, form: _Format) -> memoryview:
    target = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", rate, len(samples), form.subtype, format=form.container
    ) as file:
        # Vorbis' encoder takes a long block on its stack.
        for start in range(0, samples.shape[1], _BLOCK):
            block = samples[:, start : start + _BLOCK].T
            file.write(_to_16_bits(block) if form.subtype == "PCM_16" else block)
    return target.getbuffer()


def _to_16_bits(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    steps = np.rint(samples * np.float32(_FULL_SCALE))
    clipped: NDArray[np.int16] = np.clip(steps, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    return clipped


def _fill(path: Path, content: memoryview) -> None:
    path.write_bytes(content)
