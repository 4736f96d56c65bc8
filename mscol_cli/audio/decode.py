"""From a file to samples, or to one line that says why not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mscol_cli.audio.declared import declared_seconds, missing_share
from mscol_cli.audio.ffmpeg import converted, find_ffmpeg
from mscol_cli.audio.quiet import quiet_c_stderr
from mscol_cli.audio.resample import resample_array
from mscol_cli.audio.suffixes import SOUNDFILE_SUFFIXES
from mscol_cli.audio.uncounted import is_uncounted, piped
from mscol_cli.errors import BadInputError

FloatArray = NDArray[np.float32]

_BLOCK = 1 << 20
_SMALL_BLOCK = 1 << 12
_TOO_LONG = 1e6  # seconds; what a streamed file declares is beyond


@dataclass(frozen=True)
class Audio:
    """A decoded file.

    Attributes:
        samples: (channels, samples), full scale is 1.
        sample_rate: Hz.
        declared: Seconds that the file's header says it lasts; None where it says nothing, or was
            read by ffmpeg.
    """

    samples: FloatArray
    sample_rate: int
    declared: float | None = None

    @property
    def seconds(self) -> float:
        """How long it lasts as decoded."""
        return round(float(self.samples.shape[1]) / self.sample_rate, 6)


class AudioStream:
    """A file that is decoded piece by piece, at its own rate, all channels.

    Attributes:
        sample_rate: Hz.
        declared: As in `Audio`.
        decoded: Samples per channel that came so far.
    """

    def __init__(self, path: Path, file: soundfile.SoundFile, declared: float | None) -> None:
        self.sample_rate: int = file.samplerate
        self.declared = declared
        self.decoded = 0
        self._path, self._file = path, file

    @property
    def seconds(self) -> float:
        """How long it lasts, as far as it was decoded."""
        return round(self.decoded / self.sample_rate, 6)

    def blocks(self, frames: int = _BLOCK) -> Iterator[FloatArray]:
        """(channels, samples) from the beginning to the end, at most `frames` samples at a time.

        Raises:
            BadInputError: The file is truncated or damaged, holds no samples, or some that are
                not numbers.
        """
        # Never sized by the header, which may declare any length.
        while len(block := self._read(frames)):
            if not np.isfinite(block).all():
                raise BadInputError(f"{self._path}: has NaN or infinite samples; export it again")
            self.decoded += len(block)
            yield np.ascontiguousarray(block.T)
        self._check_complete()

    def _read(self, frames: int) -> FloatArray:
        try:
            with quiet_c_stderr():
                block: FloatArray = self._file.read(frames, dtype="float32", always_2d=True)
                return block
        except soundfile.LibsndfileError as error:
            reason = error.error_string.removeprefix("Error : ").rstrip(".")
            raise BadInputError(
                f"{self._path}: truncated or damaged ({reason}); replace it"
            ) from None

    def _check_complete(self) -> None:
        """Refuse a file that ends before its header says."""
        missing = missing_share(self._file, self.decoded)
        if missing > 0.0:
            raise BadInputError(
                f"{self._path}: truncated, {missing:.2%} of the audio that its header declares is"
                " not there; copy or download it again"
            )
        if not self.decoded:
            raise BadInputError(f"{self._path}: holds no samples; remove or replace it")


@contextmanager
def open_audio(path: Path) -> Iterator[AudioStream]:
    """Open a file for decoding.

    What libsndfile cannot open is handed to an `ffmpeg` process, where there is one.

    Raises:
        BadInputError: The file is missing, empty, or not audio.
    """
    _check_file(path)
    with ExitStack() as stack:
        file = _open(path)
        if file is None:
            wav = stack.enter_context(converted(path, _ffmpeg(path)))
            declared, file = None, stack.enter_context(soundfile.SoundFile(wav))
        elif is_uncounted(stack.enter_context(file), path):
            declared, file = None, stack.enter_context(piped(path))
        else:
            declared = declared_seconds(file)
        yield AudioStream(path, file, declared)


def read_audio(path: Path) -> Audio:
    """Decode a whole file at its own rate, all channels.

    Raises:
        BadInputError: As `open_audio` and `AudioStream.blocks`.
    """
    with open_audio(path) as stream:
        samples = np.concatenate(list(stream.blocks()), axis=1)
        return Audio(samples, stream.sample_rate, stream.declared)


@dataclass(frozen=True)
class AudioHeader:
    """What the header of a file says.

    Attributes:
        seconds: How long it lasts, or libsndfile's guess.
        channels: How many.
        sample_rate: Hz.
    """

    seconds: float
    channels: int
    sample_rate: int


def audio_header(path: Path) -> AudioHeader | None:
    """The header of a file, nothing decoded; None where libsndfile finds none, or no length."""
    file = _open(path) if path.is_file() else None
    if file is None:
        return None
    with file:
        seconds = file.frames / file.samplerate
        known = 0.0 < seconds < _TOO_LONG
        return AudioHeader(seconds, file.channels, file.samplerate) if known else None


def durations(path: Path) -> tuple[float | None, float | None]:
    """Seconds of a file that can be decoded, however damaged it is, and that its header declares.

    For files that `read_audio` refuses. Each is None where there is nothing to tell it by; ffmpeg
    is not asked.
    """
    with quiet_c_stderr():
        try:
            with soundfile.SoundFile(path) as file:
                declared = None if is_uncounted(file, path) else declared_seconds(file)
                return _decodable_seconds(file), declared
        except (soundfile.LibsndfileError, TypeError):
            return None, None


def load_mono(path: Path, sample_rate: int) -> FloatArray:
    """Decode a file, average its channels and resample to `sample_rate` Hz: (samples,).

    Raises:
        BadInputError: As `read_audio`.
    """
    audio = read_audio(path)
    mono = audio.samples.mean(axis=0, dtype=np.float32)
    return resample_array(mono, audio.sample_rate, sample_rate)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise BadInputError(f"{path}: no such file")
    if not path.is_file():
        raise BadInputError(f"{path}: is not a file")
    if not os.access(path, os.R_OK):
        raise BadInputError(f"{path}: no permission to read it")
    if not path.stat().st_size:
        raise BadInputError(f"{path}: is empty (0 bytes); copy or download it again")


def _open(path: Path) -> soundfile.SoundFile | None:
    """The file as libsndfile opens it; None if it cannot."""
    try:
        with quiet_c_stderr():
            return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file tells no format
        return None


def _ffmpeg(path: Path) -> str:
    ffmpeg = find_ffmpeg()
    if ffmpeg is None:
        raise BadInputError(f"{path}: {_unreadable(path)}")
    return ffmpeg


def _unreadable(path: Path) -> str:
    if path.suffix.lower() in SOUNDFILE_SUFFIXES:
        return "is not audio, or is damaged at its start; replace it"
    return "cannot be read without ffmpeg: install ffmpeg or convert it to FLAC, WAV or MP3"


def _decodable_seconds(file: soundfile.SoundFile) -> float:
    frames = 0
    try:
        while read := len(file.read(_SMALL_BLOCK, dtype="float32")):
            frames += read
    except soundfile.LibsndfileError:
        pass
    return round(float(frames) / int(file.samplerate), 6)
