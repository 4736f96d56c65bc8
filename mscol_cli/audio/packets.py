"""Decoding of the packets of an FFmpeg stream, with a count of those that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from mscol_cli.audio import mpeg

_Packet: TypeAlias = "Packet[AudioStream]"

# Raw streams; FFmpeg derives their timestamps by counting packets.
UNTIMED = ("aac", "ac3", "amr", "dts", "dtshd", "eac3", "mp3", "truehd")
_MAX_FAILURES = 32
_GAP_SECONDS = 0.03
_END = 0.05  # seconds before the declared end, after which failures are not audio


@dataclass
class Losses:
    """What could not be decoded.

    Attributes:
        decoded: Number of packets decoded.
        failed: Number of packets, or reads of the container, that failed.
        inside: Number of failures before the declared end.
        gap: Seconds skipped by the timestamps.
        end: End of the last packet in the file, in bytes.
        seconds: Duration of the frames so far.
        declared: Duration in seconds by the header; 0 if the header has none.
    """

    decoded: int = 0
    failed: int = 0
    inside: int = 0
    gap: float = 0.0
    end: int = 0
    seconds: float = 0.0
    declared: float = 0.0


def link_frames(
    container: InputContainer, stream: AudioStream, losses: Losses
) -> Iterator[AudioFrame]:
    """Decode the packets of a stream, in order.

    Args:
        container: An open file.
        stream: Its audio stream.
        losses: Counters to update.
    """
    clock = None if container.format.name in UNTIMED else _Clock(losses)
    mpeg_frames = _MpegFrames(losses) if container.format.name == "mp3" else None
    last = None
    context = stream.codec_context  # a look-up by PyAV at each access
    for packet in _packets(container, stream, losses):
        failed = losses.failed
        if packet is not None:
            last = packet
            if mpeg_frames is not None and not mpeg_frames.take(packet):
                continue
        for frame in _decoded(packet, context, losses):
            if samples := frame.samples:
                if clock is not None:
                    clock.take(frame)
                losses.seconds += samples / frame.sample_rate
                yield frame
        if losses.failed > failed and losses.seconds < losses.declared - _END:
            losses.inside += 1
    if last is not None:
        losses.end = (last.pos or 0) + last.size


def _packets(
    container: InputContainer, stream: AudioStream, losses: Losses
) -> Iterator[_Packet | None]:
    """The packets of a stream, then None. Damage inside a container is skipped."""
    failures = 0
    while failures < _MAX_FAILURES:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    failures = 0
                    yield packet
            break
        except (av.FFmpegError, UnicodeError, OverflowError):
            failures += 1
            losses.failed += 1
    yield None


def _decoded(
    packet: _Packet | None, context: AudioCodecContext, losses: Losses
) -> list[AudioFrame]:
    try:
        frames = context.decode(packet)
    except av.error.EOFError:
        return []
    except (av.FFmpegError, OverflowError):
        losses.failed += packet is not None and not _is_tag(packet, context)
        return []
    corrupt = packet is not None and packet.is_corrupt
    for frame in frames:
        corrupt = corrupt or frame.is_corrupt
    if corrupt:
        losses.failed += 1
    elif packet is not None:
        losses.decoded += 1
    return frames


def _is_tag(packet: _Packet, context: AudioCodecContext) -> bool:
    return context.name.startswith("mp3") and mpeg.is_tag(bytes(packet))


class _MpegFrames:
    """Detector of incomplete MPEG frames, which FFmpeg decodes without an error."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._tag_end = 0

    def take(self, packet: _Packet) -> bool:
        """Check the next packet. Returns False for a part of a tag, which is not decoded."""
        if self._tag_end and (packet.pos or 0) < self._tag_end:
            return False
        content = bytes(packet)
        expected = mpeg.frame_bytes(content[:4])
        if expected == len(content) or expected == 0:
            return True
        self._tag_end = (packet.pos or 0) + mpeg.inner_tag_bytes(content)
        if mpeg.is_tag(content):
            return False
        # Bytes skipped before the first frame need not be audio.
        self._losses.failed += self._losses.decoded > 1
        return True


class _Clock:
    """Sum of the gaps between the timestamps of a stream."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._now: float | None = None

    def take(self, frame: AudioFrame) -> None:
        """Add the next frame."""
        if frame.pts is not None and frame.time_base is not None:
            start = float(frame.pts * frame.time_base)
            leap = 0.0 if self._now is None else start - self._now
            if self._now is None or abs(leap) > _GAP_SECONDS + 2 * float(frame.time_base):
                self._losses.gap += max(0.0, leap)
                self._losses.failed += leap < 0.0
                self._now = start
        if self._now is not None:
            self._now += frame.samples / frame.sample_rate
