"""From a file to samples, or to one line that says why not."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mscol_cli.audio.declared import declared_seconds, missing_share
from mscol_cli.audio.ffmpeg import converted, find_ffmpeg
from mscol_cli.audio.quiet import quiet_c_stderr
from mscol_cli.audio.resample import resample_array
from mscol_cli.audio.suffixes import SOUNDFILE_SUFFIXES
from mscol_cli.errors import BadInputError

FloatArray = NDArray[np.float32]

_BLOCK = 1 << 20
_SMALL_BLOCK = 1 << 12


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


def read_audio(path: Path) -> Audio:
    """Decode a whole file at its own rate, all channels.

    What libsndfile cannot open is handed to an `ffmpeg` process, where there is one.

    Raises:
        BadInputError: The file is missing, empty, not audio, truncated, has no samples, or has
            samples that are not numbers.
    """
    _check_file(path)
    audio = _decode(path)
    if not audio.samples.size:
        raise BadInputError(f"{path}: holds no samples; remove or replace it")
    if not np.isfinite(audio.samples).all():
        raise BadInputError(f"{path}: has NaN or infinite samples; export it again")
    return audio


def durations(path: Path) -> tuple[float | None, float | None]:
    """Seconds of a file that can be decoded, however damaged it is, and that its header declares.

    For files that `read_audio` refuses. Each is None where there is nothing to tell it by; ffmpeg
    is not asked.
    """
    with quiet_c_stderr():
        try:
            with soundfile.SoundFile(path) as file:
                return _decodable_seconds(file), declared_seconds(file)
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


def _decode(path: Path) -> Audio:
    with quiet_c_stderr():
        try:
            file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file tells no format
            file = None
        if file is not None:
            with file:
                return _read(file, path)
    ffmpeg = find_ffmpeg()
    if ffmpeg is None:
        raise BadInputError(f"{path}: {_unreadable(path)}")
    with converted(path, ffmpeg) as wav, soundfile.SoundFile(wav) as file:
        return replace(_read(file, path), declared=None)


def _unreadable(path: Path) -> str:
    if path.suffix.lower() in SOUNDFILE_SUFFIXES:
        return "is not audio, or is damaged at its start; replace it"
    return "cannot be read without ffmpeg: install ffmpeg or convert it to FLAC, WAV or MP3"


def _read(file: soundfile.SoundFile, path: Path) -> Audio:
    try:
        samples = _read_blocks(file)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise BadInputError(f"{path}: truncated or damaged ({reason}); replace it") from None
    _check_complete(file, samples.shape[1], path)
    return Audio(samples, file.samplerate, declared_seconds(file))


def _read_blocks(file: soundfile.SoundFile) -> FloatArray:
    # Never sized by the header, which may declare any length.
    blocks = []
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        blocks.append(block)
    if not blocks:
        return np.zeros((file.channels, 0), dtype=np.float32)
    return np.ascontiguousarray(np.concatenate(blocks).T)


def _decodable_seconds(file: soundfile.SoundFile) -> float:
    frames = 0
    try:
        while read := len(file.read(_SMALL_BLOCK, dtype="float32")):
            frames += read
    except soundfile.LibsndfileError:
        pass
    return round(float(frames) / int(file.samplerate), 6)


def _check_complete(file: soundfile.SoundFile, decoded: int, path: Path) -> None:
    """Refuse a file that ends before its header says."""
    missing = missing_share(file, decoded)
    if missing > 0.0:
        raise BadInputError(
            f"{path}: truncated, {missing:.2%} of the audio that its header declares is not there;"
            " copy or download it again"
        )
