"""Atomic writing of audio files: 16-bit FLAC, float WAV and Ogg Vorbis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from mscol_cli.errors import BadInputError, UsageError
from mscol_cli.system.files import write_atomically

_BLOCK = 1 << 16
INT16_SCALE = 32768
"""Value of a sample of 1.0 in 16 bits; the largest positive sample is one step lower."""


@dataclass(frozen=True)
class _Format:
    """libsndfile's names of a format and its limits, beyond which encoders may crash; `typical` is
    the average size in bytes of a sample of music."""

    container: str
    subtype: str
    channels: int
    sample_rate: int
    typical: float
    bytes: int = 1 << 62


FORMATS = {
    "flac": _Format("FLAC", "PCM_16", channels=8, sample_rate=655_350, typical=1.3),
    "wav": _Format("WAV", "FLOAT", 1024, sample_rate=1 << 30, typical=4.0, bytes=0xFFFF_0000),
    "ogg": _Format("OGG", "VORBIS", channels=255, sample_rate=200_000, typical=0.25),
}


def bytes_per_sample(audio_format: str) -> float:
    """Average size in bytes of a sample of music, for one channel."""
    return FORMATS[audio_format].typical


def check_format(option: str, name: str) -> None:
    """Raise UsageError, naming the option, unless the format can be written."""
    if name not in FORMATS:
        raise UsageError(f"{option} takes {', '.join(FORMATS)}, not '{name}'.")


def headroom(audio_format: str, peak: float) -> float:
    """Factor that scales a peak down to full scale; 1 for lower peaks and for float formats."""
    return 1.0 if peak <= 1.0 or FORMATS[audio_format].subtype == "FLOAT" else 1.0 / peak


def write_audio(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write (channels, samples) to a file; see `write_blocks`."""
    write_blocks(path, [samples], samples.shape, sample_rate)


def write_blocks(
    path: Path, blocks: Iterable[NDArray[np.float32]], shape: tuple[int, ...], sample_rate: int
) -> None:
    """Write a file atomically, in the format of its suffix: .flac, .wav or .ogg.

    16-bit samples are rounded so that x / 32768 is read back. Samples beyond full scale are
    clipped; see `headroom`.

    Args:
        path: The file.
        blocks: Consecutive blocks (channels, samples), full scale is 1.
        shape: (channels, samples) of all blocks together.
        sample_rate: Hz.

    Raises:
        BadInputError: The format does not support the channels, the sample rate or the length.
        OSError: The file cannot be written.
    """
    target = FORMATS[path.suffix[1:]]
    _check_limits(path, shape, sample_rate, target)
    write_atomically(
        path, lambda temporary: _encode(temporary, blocks, shape[0], sample_rate, target)
    )


def _check_limits(path: Path, shape: tuple[int, ...], rate: int, target: _Format) -> None:
    channels, length = shape
    too_much = [f"{channels} channels"] if channels > target.channels else []
    too_much += [f"{rate} Hz"] if rate > target.sample_rate else []
    too_much += [f"{length / rate:.0f} s"] if 4 * channels * length > target.bytes else []
    if too_much:
        others = " or ".join(name for name in FORMATS if name != path.suffix[1:])
        raise BadInputError(
            f"{path}: {target.container} cannot hold {' and '.join(too_much)}; use {others}"
        )


class _OutputFile:
    """File object for libsndfile, which aborts on a full disk: an error is stored until the block
    is written, and later writes are dropped."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def write(self, content: bytes) -> int:
        try:
            if self._error is None:
                self._file.write(content)
        except OSError as error:
            self._error = error
        return len(content)

    def check(self) -> None:
        """Raise the stored error."""
        if self._error is not None:
            raise self._error


def _encode(
    path: Path, blocks: Iterable[NDArray[np.float32]], channels: int, rate: int, target: _Format
) -> None:
    with path.open("w+b", buffering=0) as file:
        output = _OutputFile(file)
        with soundfile.SoundFile(
            output, "w", rate, channels, target.subtype, format=target.container
        ) as encoder:
            for part in _small_blocks(blocks):
                encoder.write(_to_16_bits(part) if target.subtype == "PCM_16" else part)
                output.check()
        output.check()


def _small_blocks(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Short blocks (samples, channels): the Vorbis encoder puts a block on its stack."""
    for block in blocks:
        for start in range(0, block.shape[1], _BLOCK):
            yield np.ascontiguousarray(block[:, start : start + _BLOCK].T)


def _to_16_bits(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    steps = np.rint(samples * np.float32(INT16_SCALE))
    clipped: NDArray[np.int16] = np.clip(steps, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return clipped
