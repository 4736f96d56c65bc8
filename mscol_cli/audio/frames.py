"""Conversion of FFmpeg frames to arrays of samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Kind = tuple[int, str, int]
"""Sample rate in Hz, layout, channels."""

_PIECE = 1 << 14  # samples; larger arrays cause page faults
_MAX_PLANES = 8
_TYPE = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
_FULL_SCALE = {"u8": 1 << 7, "s16": 1 << 15, "s32": 1 << 31, "s64": 1 << 63, "flt": 1, "dbl": 1}


class FrameBuffer:
    """Buffer that joins frames of one format: converting short frames one by one is slow.

    Args:
        first: A frame of the format.
        target: Format to convert to; None keeps the format of the frame.
    """

    def __init__(self, first: AudioFrame, target: Kind | None = None) -> None:
        kind = (first.sample_rate, first.layout.name, first.layout.nb_channels)
        self.target = target or kind
        self._fifo = AudioFifo()
        self._channels = kind[2]
        self._resampler: AudioResampler | None = None
        rate, layout, channels = self.target
        # PyAV does not find the end of the list of planes with 8 channels and more.
        too_many = first.format.is_planar and max(channels, kind[2]) >= _MAX_PLANES
        if too_many or (rate, channels) != (kind[0], kind[2]):
            self._resampler = AudioResampler("flt", layout, rate)

    @property
    def is_long(self) -> bool:
        """Whether the buffer holds enough samples to be drained."""
        return self._fifo.samples >= _PIECE

    def push(self, frame: AudioFrame) -> bool:
        """Append a frame. Returns False for a frame of another format."""
        # PyAV does not check it, and reads the planes of the first frame's channels.
        if frame.layout.nb_channels != self._channels:
            return False
        frame.pts = None
        try:
            self._fifo.write(frame)
        except ValueError:
            return False
        return True

    def flush(self) -> Iterator[FloatArray]:
        """Yield all remaining samples, (channels, samples)."""
        yield from self.drain()
        if self._resampler is not None:
            yield from (samples_of(frame) for frame in self._resampler.resample(None))

    def drain(self) -> Iterator[FloatArray]:
        """Yield the samples buffered so far, (channels, samples)."""
        frame = self._fifo.read()
        if frame is None:
            return
        if self._resampler is None:
            yield samples_of(frame)
        else:
            yield from (samples_of(converted) for converted in self._resampler.resample(frame))


def samples_of(frame: AudioFrame) -> FloatArray:
    """Samples of a frame, (channels, samples), full scale is 1."""
    name, count = frame.format.name.removesuffix("p"), frame.samples
    # Not to_ndarray, which copies each plane twice.
    planes = [np.frombuffer(memoryview(plane), _TYPE[name]) for plane in frame.planes]
    if not frame.format.is_planar:
        channels = frame.layout.nb_channels
        array: NDArray[Any] = planes[0][: count * channels].reshape(count, channels).T
    elif len(planes) == 1:
        array = planes[0][None, :count]
    else:
        array = np.stack([plane[:count] for plane in planes])
    scale = _FULL_SCALE[name]
    samples: FloatArray = array.astype(np.float32, copy=False)
    if scale == 1:
        return samples
    if scale == 1 << 7:
        samples -= 128
    samples *= np.float32(1 / scale)
    return samples
