"""Temporary storage of waveforms that are written in pieces and read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BLOCK = 1 << 20
"""Samples processed together."""
_IN_MEMORY = 1 << 24
_BYTES = 4


class Samples(Protocol):
    """A source of a track: an array (samples,), or a `Spool`."""

    def __len__(self) -> int:
        """Length in samples."""
        ...

    def __getitem__(self, part: slice, /) -> FloatArray:
        """A slice of the samples, float32."""
        ...


class Spool:
    """Appended float32 samples, in memory while they are few, then in a temporary file.

    The file has no name, so the system removes it however the process ends.

    Attributes:
        channels: Number of channels of (channels, samples); None for (samples,).
    """

    def __init__(self, folder: Path, channels: int | None = None) -> None:
        """Create an empty spool.

        Args:
            folder: Existing folder for the temporary file.
            channels: Number of channels of (channels, samples); None for (samples,).
        """
        self._file = SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))  # noqa: SIM115
        self.channels = channels
        self._samples = 0

    def __len__(self) -> int:
        return self._samples

    def append(self, piece: FloatArray) -> None:
        """Append samples, (samples,) or (channels, samples). Raises OSError on a full disk."""
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
        """Release memory and disk space."""
        self._file.close()

    @property
    def _frame(self) -> int:
        return _BYTES * (self.channels or 1)


def blocks(samples: Samples, size: int = BLOCK) -> Iterator[FloatArray]:
    """Consecutive blocks of at most `size` samples."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
