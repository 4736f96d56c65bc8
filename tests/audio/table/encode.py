"""Encoding with PyAV and libsndfile."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Options = Mapping[str, str]

_FRAME = 1024


def sndfile(samples: FloatArray, rate: int, container: str, subtype: str, **how: Any) -> bytes:
    """Encode (channels, samples) with libsndfile."""
    target = io.BytesIO()
    soundfile.write(target, samples.T, rate, subtype, format=container, **how)
    return target.getvalue()


def ffmpeg(
    samples: FloatArray,
    rate: int,
    container: str,
    codec: str,
    *,
    options: Options | None = None,
    muxer: Options | None = None,
    tags: Mapping[str, str] | None = None,
    sample_format: str | None = None,
    streams: int = 1,
    video: bool = False,
    cover: bool = False,
) -> bytes:
    """Encode (channels, samples) with FFmpeg's libraries.

    Args:
        samples: (channels, samples)
        rate: Hz.
        container: Name of the muxer.
        codec: Name of the encoder.
        options: Of the encoder.
        muxer: Options of the muxer.
        tags: Metadata of the file.
        sample_format: Of the encoder's input; its first where None.
        streams: How many audio streams; the first holds `samples`, the others silence.
        video: Whether a video stream comes first.
        cover: Whether a picture is attached.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A path and not a buffer: the MP4 muxer opens its file again to move the index forward.
        path = Path(folder, "file")
        with av.open(str(path), "w", format=container, options=dict(muxer or {})) as target:
            target.metadata.update(tags or {})
            pictures = _add_video(target, samples.shape[1] / rate) if video else []
            pictures += _add_cover(target) if cover else []
            silence = np.zeros_like(samples)
            audio = [_add_audio(target, codec, rate, len(samples), options) for _ in range(streams)]
            for stream in audio if sample_format else ():
                stream.format = sample_format
            for stream, picture in pictures:
                target.mux(stream.encode(picture))
            for number, stream in enumerate(audio):
                for frame in _frames(silence if number else samples, rate, stream.format.name):
                    target.mux(stream.encode(frame))
                target.mux(stream.encode(None))
        return path.read_bytes()


def _add_audio(target: Any, codec: str, rate: int, channels: int, options: Options | None) -> Any:
    layout = {1: "mono", 2: "stereo"}[channels]
    return target.add_stream(codec, rate=rate, layout=layout, options=dict(options or {}))


def _frames(samples: FloatArray, rate: int, sample_format: str) -> Iterator[av.AudioFrame]:
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
    for start in range(0, samples.shape[1], _FRAME):
        part = np.ascontiguousarray(samples[:, start : start + _FRAME])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield from resampler.resample(frame)


def _add_video(target: Any, seconds: float) -> list[tuple[Any, Any]]:
    stream = target.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    pictures = [_picture(5 * number % 256, number) for number in range(round(10 * seconds))]
    return [(stream, picture) for picture in [*pictures, None]]


def _add_cover(target: Any) -> list[tuple[Any, Any]]:
    stream = target.add_stream("mjpeg", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
    stream.disposition = av.stream.Disposition.attached_pic
    return [(stream, _picture(90, 0)), (stream, None)]


def _picture(grey: int, number: int) -> av.VideoFrame:
    picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, dtype=np.uint8))
    picture.pts, picture.time_base = number, Fraction(1, 10)
    return picture
