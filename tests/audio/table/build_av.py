"""Files with a container of their own: MP4, Matroska, ASF, ADTS, TTA, WavPack, VOC, AMR, AC-3."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.audio.table import edit
from tests.audio.table.chirp import chirp
from tests.audio.table.encode import ffmpeg

_FIXED_RATE = {"libopus": 48000, "libopencore_amrnb": 8000, "pcm_alaw": 8000}
_OPTIONS = {"wmav2": {"b": "128k"}, "aac": {"b": "96k"}, "libopencore_amrnb": {"b": "12.2k"}}
_FORMAT = {"tta": "s16", "flac": "s16", "alac": "s16p"}


@cache
def encoded(container: str, codec: str, **how: Any) -> bytes:
    """The chirp in a container of FFmpeg."""
    how = {key: dict(value) if isinstance(value, tuple) else value for key, value in how.items()}
    rate, options = rate_of(codec), _OPTIONS.get(codec)
    how.setdefault("sample_format", _FORMAT.get(codec))
    return ffmpeg(chirp(3, rate), rate, container, codec, options=options, **how)


def rate_of(codec: str) -> int:
    """The sample rate in Hz that a codec's rows have."""
    return _FIXED_RATE.get(codec, 44100)


def fast_start() -> bytes:
    return encoded("ipod", "aac", muxer=(("movflags", "+faststart"),))


def fragmented() -> bytes:
    flags = ("movflags", "+frag_every_frame+empty_moov+default_base_moof")
    return encoded("mp4", "aac", muxer=(flags,))


def without_index() -> bytes:
    """As a recorder that lost its power leaves it: samples, and nothing that says where."""
    content = encoded("ipod", "aac")
    return content[: content.index(b"moov") - 4]


def live_webm() -> bytes:
    """As a browser records it: without a duration."""
    return encoded("webm", "libopus", muxer=(("live", "1"),))


def adts_id3() -> bytes:
    return edit.id3([(b"TIT2", b"\0title")]) + encoded("adts", "aac")
