"""Reader for compressed audio: FFmpeg's libraries through PyAV."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import av
import av.logging
import numpy as np
import soundfile
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from mscol_cli.audio import mpeg
from mscol_cli.audio.frames import FloatArray, FrameBuffer, Kind
from mscol_cli.audio.headers import data_bytes, is_fragmented
from mscol_cli.audio.lengths import declared_seconds
from mscol_cli.audio.limits import check_limits
from mscol_cli.audio.packets import Losses, link_frames
from mscol_cli.audio.source import SourceFile

# A callback into Python from FFmpeg's threads may block forever; None drops messages in C.
av.logging.set_level(None)

# Containers and raw streams that hold their audio themselves. Playlists, scripts, images and
# other formats for which FFmpeg opens another file or an address are excluded.
FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,avi,caf,dsf,dts,dtshd,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,ogg,oma,shn,tak,truehd,tta,voc,w64,wav,wv"
)
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
_LOSSLESS = ("alac", "ape", "dsd_", "flac", "mlp", "mp4als", "pcm_", "ralf", "shorten", "tak")
_LOSSLESS_TOO = ("truehd", "tta", "wavpack", "wmalossless")
_MAX_EXCESS = 0.25  # seconds beyond the declared length that a complete file may have
_MAX_UNREAD = 0.1  # share of a fragmented file, which may end in an index
_CAF_PACKET, _MILLISECONDS = 0.1, 0.002


class NoAudioError(Exception):
    """FFmpeg opens the file but finds no audio in it."""


class LibavReader:
    """Reader of the default or first audio stream of a file, decoded by FFmpeg.

    Attributes:
        sample_rate: Sample rate of the first frame in Hz; later frames are resampled to it.
        channels: Channels of the first frame; later frames are mixed to this number.
        lossless: Whether the codec is lossless, so that a missing sample is detected.
        losses: What could not be decoded so far.
    """

    def __init__(
        self,
        parts: Sequence[SourceFile],
        audio_format: str | None = None,
        damage: str | None = None,
        lengths: Sequence[int | None] = (),
    ) -> None:
        """Open a file.

        Args:
            parts: The file, or the links of a chained file, decoded one after the other.
            audio_format: FFmpeg's name of the format; None detects it.
            damage: Known damage of the container, as a phrase.
            lengths: Samples of each part that is Ogg with one page of audio; None for others.

        Raises:
            av.error.FFmpegError: FFmpeg does not recognise the file.
            NoAudioError: The file has no audio stream, or none that can be decoded.
        """
        self.losses = Losses()
        self._parts, self._format = parts, audio_format
        self._lengths = lengths or [None] * len(parts)
        self._damage = damage or _unfinished(parts[-1])
        self._containers: list[InputContainer] = []
        self._stream = self._open(parts[0])
        codec = self._stream.codec_context.name
        self.lossless = codec.startswith(_LOSSLESS + _LOSSLESS_TOO)
        if self.lossless:
            # Frames with a wrong checksum are errors instead of being concealed.
            self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self._is_ogg = self._containers[0].format.name == "ogg"
        self._data = data_bytes(parts[0])
        self._header = declared_seconds(parts[0], self._containers[0], self._stream)
        # Matroska counts milliseconds, and CAF whole packets.
        caf = self._containers[0].format.name == "caf"
        self._tolerance = _CAF_PACKET if caf else _MILLISECONDS
        has_video = bool(self._containers[0].streams.video)
        self._fragmented = not has_video and is_fragmented(parts[0])
        self._decoded = 0
        self.losses.declared = self._header or 0.0
        self._pieces = self._converted()
        self._rest = next(self._pieces, None)
        if self._rest is None:
            raise NoAudioError(
                "is not audio that mscol reads, or is damaged at its start"
                if self.losses.failed
                else "holds no samples"
            )

    @property
    def declared(self) -> float | None:
        """Duration in seconds by the header, or else by the timestamps so far."""
        seconds = self._decoded / self.sample_rate
        if self._header is not None and len(self._parts) == 1:
            # The header of a joined MP3 file may be missing from the sum.
            is_mp3 = self._containers[0].format.name == "mp3"
            return None if is_mp3 and seconds >= self._header + _MAX_EXCESS else self._header
        # Ogg declares its length on its last page, to which FFmpeg cuts the last packet.
        known = self.losses.gap or (self._is_ogg and self._damage is None)
        return seconds + self.losses.gap if known else None

    @property
    def estimate(self) -> float | None:
        """Duration in seconds as FFmpeg estimates it; None without an estimate."""
        duration = self._containers[0].duration
        links = sum(part.size for part in self._parts) / self._parts[0].size
        return duration / 1_000_000 * links if duration and duration > 0 else None

    @property
    def damage(self) -> str | None:
        """What could not be decoded, as a phrase; None without losses."""
        excess = None if self._header is None else self._decoded / self.sample_rate - self._header
        complete = excess is not None and 0.0 <= excess < _MAX_EXCESS
        failed, total = self.losses.failed, self.losses.failed + self.losses.decoded
        phrases = []
        if self.losses.gap:
            phrases.append(f"damaged: {self.losses.gap:.2f} s inside could not be decoded")
        elif failed and (self.losses.inside or not complete):
            phrases.append(f"damaged: {failed} of {total} packets could not be decoded")
        if self._unread > _MAX_UNREAD:
            phrases.append(f"damaged: {self._unread:.0%} of the file could not be read")
        if self._damage and not complete:
            phrases.append(self._damage)
        return "; ".join(phrases) or None

    @property
    def _unread(self) -> float:
        """Share of the file after a damaged fragment, where FFmpeg stops without an error."""
        if not self._fragmented or not self.losses.end:
            return 0.0
        return 1.0 - self.losses.end / self._parts[0].size

    def read(self, frames: int) -> FloatArray:
        """Read the next samples: (channels, at most `frames`); empty at the end."""
        # Pages that are never written take no memory.
        block = np.empty((self.channels, frames if self._rest is not None else 0), dtype=np.float32)
        filled = 0
        while filled < frames and self._rest is not None:
            piece = self._rest[:, : frames - filled]
            count = piece.shape[1]
            block[:, filled : filled + count] = piece
            filled += count
            left = self._rest[:, count:]
            self._rest = left if left.shape[1] else next(self._pieces, None)
        self._decoded += filled
        if self.channels == 1:
            block.resize((1, filled), refcheck=False)  # in place: frees what was not filled
            return block
        return block[:, :filled]

    def missing_share(self, decoded: int) -> float:
        """Share of the declared samples that are missing after `decoded` samples per channel."""
        cut = 0.0
        if self._data is not None and self._data.declared:
            cut = self._data.missing / self._data.declared
        declared, seconds = self.declared, decoded / self.sample_rate
        if declared is None or seconds > declared - self._tolerance:
            return cut
        return max(cut, 1.0 - seconds / declared)

    def close(self) -> None:
        """Close the file."""
        self._pieces.close()
        for container in self._containers:
            container.close()

    def _open(self, part: SourceFile) -> AudioStream:
        part.seek(0)
        container = av.open(
            part, mode="r", format=self._format, options=_OPTIONS, metadata_errors="replace"
        )
        self._containers.append(container)
        if not container.streams.audio:
            raise NoAudioError("holds no audio stream")
        streams = [s for s in container.streams.audio if s.codec_context is not None]
        if not streams:
            raise NoAudioError("holds audio of a kind that FFmpeg cannot decode, or is damaged")
        return next((s for s in streams if s.disposition & Disposition.default), streams[0])

    def _open_next(self, part: SourceFile) -> bool:
        """Open the next link. Returns False if it cannot be opened or has no audio."""
        try:
            self._stream = self._open(part)
        except (av.FFmpegError, NoAudioError):
            self.losses.failed += 1
            return False
        return True

    def _converted(self) -> Generator[FloatArray, None, None]:
        """Samples of all frames, in the layout and at the sample rate of the first."""
        buffer: FrameBuffer | None = None
        for frame in self._frames():
            if buffer is None:
                self.sample_rate, self.channels = frame.sample_rate, frame.layout.nb_channels
                buffer = self._buffer(frame)
            if not buffer.push(frame):
                yield from buffer.flush()
                buffer = self._buffer(frame, buffer.target)
                buffer.push(frame)
            if buffer.is_long:
                yield from buffer.drain()
        if buffer is not None:
            yield from buffer.flush()

    def _buffer(self, first: AudioFrame, target: Kind | None = None) -> FrameBuffer:
        check_limits(self._parts[0].path, first.sample_rate, first.layout.nb_channels)
        return FrameBuffer(first, target)

    def _frames(self) -> Iterator[AudioFrame]:
        for number, part in enumerate(self._parts):
            if number and not self._open_next(part):
                return
            vorbis = self._stream.codec_context.name == "vorbis"
            if vorbis and self._lengths[number] is not None:
                yield _short_vorbis(part, self._stream.layout.name)
            else:
                yield from link_frames(self._containers[-1], self._stream, self.losses)
            part.check()


def _short_vorbis(part: SourceFile, layout: str) -> AudioFrame:
    """Decode a Vorbis stream of one page with libsndfile: FFmpeg trims it at the wrong place."""
    part.seek(0)
    samples, sample_rate = soundfile.read(part, dtype="float32", always_2d=True)
    frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = sample_rate
    return frame


def _unfinished(source: SourceFile) -> str | None:
    """Describe zeros at the end of a file, as incomplete downloads leave them; None without."""
    zeros = source.zeros_at_end()
    return f"cut off: ends in {zeros} bytes of zeros" if zeros > mpeg.PADDING else None
