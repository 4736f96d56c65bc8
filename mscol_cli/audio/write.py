"""Writing audio: 16-bit FLAC, WAV of floats, and Ogg Vorbis; each file is whole or absent."""

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
"""What a sample of 1.0 is in 16 bits, where the largest positive one is a step less."""


@dataclass(frozen=True)
class _Format:
    """What libsndfile calls a format, and the most that it holds; beyond, encoders may crash."""

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


def bytes_per_sample(form: str) -> float:
    """What a sample of one channel takes in a format, on average over music."""
    return FORMATS[form].typical


def check_format(option: str, name: str) -> None:
    """Raise UsageError, naming the option, unless it is a format that can be written."""
    if name not in FORMATS:
        raise UsageError(f"{option} takes {', '.join(FORMATS)}, not '{name}'.")


def headroom(form: str, peak: float) -> float:
    """The factor that brings a peak down to full scale; 1 where none exceeds it, and in a format
    of floats."""
    return 1.0 if peak <= 1.0 or FORMATS[form].subtype == "FLOAT" else 1.0 / peak


def write_audio(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """`write_blocks` of one block: (channels, samples)."""
    write_blocks(path, [samples], samples.shape, sample_rate)


def write_blocks(
    path: Path, blocks: Iterable[NDArray[np.float32]], shape: tuple[int, ...], sample_rate: int
) -> None:
    """Write a file, atomically; its suffix is the format: .flac, .wav or .ogg.

    Samples of 16 bits are rounded so that x / 32768 is read again. What exceeds full scale is cut
    off there: see `headroom`.

    Args:
        path: The file.
        blocks: One after the other, (channels, samples) each, full scale is 1.
        shape: Channels and samples of all of them together.
        sample_rate: Hz.

    Raises:
        BadInputError: The format has no room for so many channels, such a rate or such a length.
        OSError: It cannot be written.
    """
    form = FORMATS[path.suffix[1:]]
    _check_room(path, shape, sample_rate, form)
    write_atomically(
        path, lambda temporary: _encode(temporary, blocks, shape[0], sample_rate, form)
    )


def _check_room(path: Path, shape: tuple[int, ...], rate: int, form: _Format) -> None:
    channels, length = shape
    too_much = [f"{channels} channels"] if channels > form.channels else []
    too_much += [f"{rate} Hz"] if rate > form.sample_rate else []
    too_much += [f"{length / rate:.0f} s"] if 4 * channels * length > form.bytes else []
    if too_much:
        others = " or ".join(name for name in FORMATS if name != path.suffix[1:])
        raise BadInputError(
            f"{path}: {form.container} cannot hold {' and '.join(too_much)}; use {others}"
        )


class _Written:
    """A file as libsndfile writes it. On a full disk libsndfile would end in an assertion, so an
    error is kept until the block is done, and what comes after it is dropped."""

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
        """Raise the error that was kept."""
        if self._error is not None:
            raise self._error


def _encode(
    path: Path, blocks: Iterable[NDArray[np.float32]], channels: int, rate: int, form: _Format
) -> None:
    with path.open("w+b", buffering=0) as file:
        written = _Written(file)
        with soundfile.SoundFile(
            written, "w", rate, channels, form.subtype, format=form.container
        ) as target:
            for part in _small(blocks):
                target.write(_to_16_bits(part) if form.subtype == "PCM_16" else part)
                written.check()
        written.check()


def _small(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """(samples, channels), few at a time: Vorbis' encoder takes a long block on its stack."""
    for block in blocks:
        for start in range(0, block.shape[1], _BLOCK):
            yield np.ascontiguousarray(block[:, start : start + _BLOCK].T)


def _to_16_bits(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    steps = np.rint(samples * np.float32(INT16_SCALE))
    clipped: NDArray[np.int16] = np.clip(steps, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return clipped
