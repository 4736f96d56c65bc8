"""Decoding of audio files; an undecodable file raises an error of one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from mscol_cli.audio import mpeg
from mscol_cli.audio.headers import data_bytes, mp4_problem
from mscol_cli.audio.libav import NoAudioError
from mscol_cli.audio.limits import check_limits
from mscol_cli.audio.opening import Reader, open_reader
from mscol_cli.audio.resample import resample_array
from mscol_cli.audio.source import SourceFile
from mscol_cli.errors import BadInputError
from mscol_cli.system.signals import raise_if_interrupted

FloatArray = NDArray[np.float32]
OnShort = Callable[[str], None]
"""Takes a description of the audio that a file lacks."""

_BLOCK = 1 << 20  # samples per channel
_BLOCK_VALUES = 1 << 21  # over all channels, before and after resampling
_SMALL_BLOCK = 1 << 12
_TOO_LONG = 1e6  # seconds
SHORTFALL = 0.25
"""Tolerance in seconds between header and decoded length; headers of lossy files are inexact."""


@dataclass(frozen=True)
class Audio:
    """A decoded file.

    Attributes:
        samples: (channels, samples), full scale is 1.
        sample_rate: Hz.
        declared: Duration in seconds by the header; None if the header has none.
        shortfall: Missing audio, as a phrase; None if the file is complete.
    """

    samples: FloatArray
    sample_rate: int
    declared: float | None = None
    shortfall: str | None = None

    @property
    def seconds(self) -> float:
        """Decoded duration in seconds."""
        return round(float(self.samples.shape[1]) / self.sample_rate, 6)


class AudioStream:
    """Block-by-block decoder of a file, at its own sample rate and with all channels.

    Attributes:
        sample_rate: Hz.
        channels: Number of channels.
        decoded: Samples per channel decoded so far.
    """

    def __init__(self, source: SourceFile, reader: Reader) -> None:
        self.sample_rate, self.channels = reader.sample_rate, reader.channels
        self.decoded = 0
        self._path, self._source, self._reader = source.path, source, reader

    @property
    def seconds(self) -> float:
        """Seconds decoded so far."""
        return round(self.decoded / self.sample_rate, 6)

    @property
    def declared(self) -> float | None:
        """Duration in seconds by the header; None if the header has none."""
        declared = self._reader.declared
        return None if declared is None else round(declared, 6)

    @property
    def estimated_seconds(self) -> float | None:
        """`declared`, or else an estimate from the file size; None if neither is known."""
        return self.declared or self._reader.estimate

    @property
    def shortfall(self) -> str | None:
        """Missing audio after decoding to the end, as a phrase; None if the file is complete."""
        return shortfall(self.seconds, self.declared, self._reader.damage)

    def blocks(self, frames: int | None = None, rate: int | None = None) -> Iterator[FloatArray]:
        """Decode from the beginning to the end, in blocks (channels, samples).

        Args:
            frames: Maximum samples per channel and block; None chooses a size that bounds memory.
            rate: Sample rate in Hz to which the caller resamples blocks, if `frames` is None.

        Raises:
            BadInputError: The file is truncated, damaged or empty, or has NaN or infinite samples.
            UnreadableInputError: The system failed to read the file.
        """
        frames = frames or _block_frames(self.channels, self.sample_rate, rate)
        # Not sized by the header, which may declare any length.
        while (block := self._read(frames)).shape[1]:
            if not np.isfinite(block).all():
                raise BadInputError(f"{self._path}: has NaN or infinite samples; export it again")
            self.decoded += block.shape[1]
            yield block
        self._check_complete()

    def _read(self, frames: int) -> FloatArray:
        with _refusals(self._source):
            return self._reader.read(frames)

    def _check_complete(self) -> None:
        """Raise BadInputError for a lossless file that lacks samples."""
        missing = self._reader.missing_share(self.decoded) if self._reader.lossless else 0.0
        damage = self._reader.damage if self._reader.lossless else None
        if missing > 0.0:
            raise BadInputError(_truncated(self._path, missing, damage))
        if damage is not None:
            raise BadInputError(f"{self._path}: {damage}; copy or download it again")
        if not self.decoded:
            raise BadInputError(f"{self._path}: holds no samples; remove or replace it")


def shortfall(seconds: float, declared: float | None, damage: str | None = None) -> str | None:
    """Describe what is missing of a file after decoding to its end; None if it is complete.

    Args:
        seconds: Decoded duration in seconds.
        declared: Duration in seconds by the header; None if the header has none.
        damage: What could not be decoded, as a phrase.
    """
    missing = 0.0 if declared is None else declared - seconds
    ends = f"{missing:.3f} s shorter than its header says" if missing >= SHORTFALL else None
    return "; ".join(phrase for phrase in (damage, ends) if phrase) or None


@contextmanager
def open_audio(path: Path, quick: bool = False) -> Iterator[AudioStream]:
    """Open a file for decoding. The content decides on the decoder, not the suffix.

    Args:
        path: The file.
        quick: Read the header only, without a search for damage or further links.

    Raises:
        BadInputError: The file is empty, not audio, or has an invalid header.
        UnreadableInputError: The system cannot open or read the file.
    """
    with SourceFile(path) as source:
        with _refusals(source):
            reader = open_reader(source, quick)
        try:
            check_limits(path, reader.sample_rate, reader.channels)
            yield AudioStream(source, reader)
        finally:
            reader.close()


def read_audio(path: Path, on_short: OnShort | None = None) -> Audio:
    """Decode a file at its own sample rate, with all channels.

    Args:
        path: The file.
        on_short: Called if part of the file is missing, possibly from another thread.

    Raises:
        BadInputError: As `open_audio` and `AudioStream.blocks`.
    """
    with open_audio(path) as stream:
        blocks = list(stream.blocks())
        # A copy frees a block that is part of a larger array.
        single = len(blocks) == 1 and blocks[0].base is None
        samples = blocks[0] if single else np.concatenate(blocks, axis=1)
        if on_short is not None and stream.shortfall is not None:
            on_short(stream.shortfall)
        return Audio(samples, stream.sample_rate, stream.declared, stream.shortfall)


@dataclass(frozen=True)
class AudioHeader:
    """Format and length by the header of a file.

    Attributes:
        seconds: Duration.
        channels: Number of channels.
        sample_rate: Hz.
    """

    seconds: float
    channels: int
    sample_rate: int


def audio_header(path: Path) -> AudioHeader | None:
    """Read the header of a file without decoding it; None without a valid header or a length."""
    try:
        with open_audio(path, quick=True) as stream:
            seconds = stream.estimated_seconds
            if seconds is None or not 0.0 < seconds < _TOO_LONG:
                return None
            return AudioHeader(seconds, stream.channels, stream.sample_rate)
    except BadInputError:
        return None


def durations(path: Path) -> tuple[float | None, float | None]:
    """Decodable and declared duration, in seconds, of a file that `read_audio` refuses.

    Each is None if it cannot be determined.
    """
    try:
        with open_audio(path) as stream:
            with suppress(BadInputError):
                for _ in stream.blocks(_SMALL_BLOCK):
                    pass
            return stream.seconds, stream.declared
    except BadInputError:
        return None, None


def load_mono(path: Path, sample_rate: int) -> FloatArray:
    """Decode a file, average its channels and resample it.

    Args:
        path: The file.
        sample_rate: Sample rate of the result in Hz.

    Returns:
        (samples,).

    Raises:
        BadInputError: As `read_audio`.
    """
    audio = read_audio(path)
    mono = audio.samples.mean(axis=0, dtype=np.float32)
    return resample_array(mono, audio.sample_rate, sample_rate)


@contextmanager
def _refusals(source: SourceFile) -> Iterator[None]:
    """Turn any exception of a decoder into a BadInputError, so that other files are processed."""
    try:
        yield
    except BadInputError:
        raise
    except MemoryError:
        raise BadInputError(f"{source.path}: there is not enough memory to decode it") from None
    except Exception as error:
        raise_if_interrupted()
        source.check()
        raise BadInputError(_reason(source, error)) from None
    source.check()


def _truncated(path: Path, missing: float, damage: str | None = None) -> str:
    what = "truncated" if damage is None else "truncated or damaged"
    share = f"{missing:.2%}" if missing >= 1e-4 else "less than 0.01%"
    return (
        f"{path}: {what}, {share} of the audio that its header declares is not there;"
        " copy or download it again"
    )


def _reason(source: SourceFile, error: Exception) -> str:
    path = source.path
    if isinstance(error, soundfile.LibsndfileError):
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        if "SF_INFO" in reason:  # libsndfile's word for 0 Hz, 4 GHz or 0 channels
            return (
                f"{path}: its header has a sample rate or channels that make no sense; replace it"
            )
        return f"{path}: truncated or damaged ({reason}); replace it"
    if not isinstance(error, av.FFmpegError | NoAudioError):
        return f"{path}: cannot be decoded ({type(error).__name__}: {error}); replace it"
    data = data_bytes(source)
    if data is not None and data.declared and data.missing:
        return _truncated(path, data.missing / data.declared)
    problem = mp4_problem(source)
    if problem is not None:
        return f"{path}: {problem}; copy or export it again"
    if mpeg.frame_bytes(source.at(mpeg.id3_bytes(source), 4)) == 0:
        return f"{path}: is not audio that mscol reads: MP3 of a free bit rate; encode it again"
    if isinstance(error, NoAudioError):
        return f"{path}: {error}; leave it out or replace it"
    return f"{path}: is not audio that mscol reads, or is damaged at its start; replace it"


def _block_frames(channels: int, source_rate: int, target_rate: int | None) -> int:
    growth = max(1.0, (target_rate or source_rate) / source_rate)
    return max(_SMALL_BLOCK, min(_BLOCK, int(_BLOCK_VALUES / channels / growth)))
