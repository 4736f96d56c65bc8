"""Duration of a compressed file by its header, where FFmpeg does not estimate it."""

from __future__ import annotations

from av.audio.stream import AudioStream
from av.container import InputContainer

from mscol_cli.audio import mpeg
from mscol_cli.audio.headers import caf_samples, data_bytes, is_fragmented
from mscol_cli.audio.source import SourceFile

_EXACT = {"ape", "dsf", "flac", "mov", "mpc", "mpc8", "oma", "shn", "tak", "tta", "wv"}
_ASF_PROPERTIES = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_MICROSECONDS = 1_000_000


def declared_seconds(
    source: SourceFile, container: InputContainer, stream: AudioStream
) -> float | None:
    """Duration in seconds by the header; None if the header has none.

    FFmpeg estimates a missing duration from size and bit rate, so its value is used only for
    formats whose headers have a length.
    """
    names = set(container.format.name.split(","))
    total = _flac_seconds(stream)
    if total is not None:
        return total
    if names & {"mp3"}:
        return mpeg.declared_seconds(source)
    if names & {"asf"}:
        return _asf_seconds(source)
    if names & {"caf"}:
        samples = caf_samples(source)
        return samples / stream.codec_context.sample_rate if samples else None
    if names & {"avi"}:
        return float(stream.frames * stream.time_base) if stream.time_base else None
    if names & {"wav", "w64"}:
        return _wave_seconds(source, stream)
    if names & {"mov"} and is_fragmented(source):
        return None
    if names & _EXACT and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    has_video = bool(container.streams.video)
    if names & {"matroska", "webm", "flv"} and container.duration and not has_video:
        return container.duration / _MICROSECONDS
    return None


def _flac_seconds(stream: AudioStream) -> float | None:
    """Duration by the header of FLAC, which has the number of samples in every container."""
    context = stream.codec_context
    info = context.extradata if context.name == "flac" else None
    if info is None or len(info) < 18:
        return None
    rate = int.from_bytes(info[10:13], "big") >> 4
    samples = int.from_bytes(info[13:18], "big") & (1 << 36) - 1
    return samples / rate if samples and rate else None


def _asf_seconds(source: SourceFile) -> float | None:
    head = source.at(0, 1 << 16)
    offset = head.find(_ASF_PROPERTIES)
    if offset < 0 or len(head) < offset + 88:
        return None
    play, preroll = (
        int.from_bytes(head[offset + at : offset + at + 8], "little") for at in (64, 80)
    )
    seconds = play / 1e7 - preroll / 1e3
    return seconds if 0 < seconds < _MICROSECONDS else None


def _wave_seconds(source: SourceFile, stream: AudioStream) -> float | None:
    """Duration by the sample count of a WAV file, or by its size including missing bytes."""
    data = data_bytes(source)
    if data is None or data.declared is None or not stream.duration or not stream.time_base:
        return None
    seconds = float(stream.duration * stream.time_base)
    bit_rate = stream.codec_context.bit_rate
    return max(seconds, 8 * data.declared / bit_rate) if bit_rate and data.missing else seconds
