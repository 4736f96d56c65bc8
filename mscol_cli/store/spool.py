"""A waveform that comes piece by piece, and is read again from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BLOCK = 1 << 20
"""Samples that are looked at together."""
_IN_MEMORY = 1 << 24
_BYTES = 4


class Samples(Protocol):
    """What a track's source is written from: an array (samples,), or a `Spool`."""

    def __len__(self) -> int:
        """Samples in time."""
        ...

    def __getitem__(self, part: slice, /) -> FloatArray:
        """A stretch of them, float32."""
        ...


class Spool:
    """Float samples that were appended: in memory as long as they are few, then on the disk.

    The file has no name, so nothing of it is left over, however the process ends.

    Attributes:
        channels: None for (samples,), else how many of (channels, samples).
    """

    def __init__(self, folder: Path, channels: int | None = None) -> None:
        """Begin with none.

        Args:
            folder: Where the file goes; a folder that is there.
            channels: None for (samples,), else how many of (channels, samples).
        """
        self._file = SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))  # noqa: SIM115
        self.channels = channels
        self._samples = 0

    def __len__(self) -> int:
        return self._samples

    def append(self, piece: FloatArray) -> None:
        """Take the next samples in time, along the last axis. Raises OSError on a full disk."""
        self._file.seek(self._samples * self._frame)
        self._file.write(np.ascontiguousarray(piece.T, dtype=np.float32).tobytes())
        self._samples += piece.shape[-1]

    def __getitem__(self, part: slice, /) -> FloatArray:
        start, stop, _ = part.indices(self._samples)
        self._file.seek(start * self._frame)
        read = self._file.read(max(stop - start, 0) * self._frame)
        samples = np.frombuffer(read, dtype=np.float32)
        return samples if self.channels is None else samples.reshape(-1, self.channels).T

    def close(self) -> None:
        """Give memory and disk back."""
        self._file.close()

    @property
    def _frame(self) -> int:
        return _BYTES * (self.channels or 1)


def blocks(samples: Samples, size: int = BLOCK) -> Iterator[FloatArray]:
    """Consecutive stretches of at most `size` samples."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
