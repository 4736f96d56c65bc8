"""Reader for PCM containers, FLAC and some Ogg Vorbis: libsndfile."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import soundfile
from numpy.typing import NDArray

from mscol_cli.audio.headers import DataBytes, data_bytes, flac_samples
from mscol_cli.audio.source import SourceFile

_UNKNOWN = 1 << 36  # the maximum number of frames that FLAC can declare
_SLACK = 8  # tolerance for headers of formats other than WAV, in bytes
_WAVE = (b"RIFF", b"RIFX", b"RF64", b"BW64")


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that never seeks. By default soundfile seeks after each read, which fails at the
    end of a FLAC stream of unknown length, and sizes reads by the header."""

    def seekable(self) -> bool:
        return False


class SndfileReader:
    """Reader of a file, decoded by libsndfile.

    Attributes:
        sample_rate: Hz.
        channels: Number of channels.
        declared: Duration in seconds by the header; None if the header has none.
        lossless: Whether the codec is lossless, so that a missing sample is detected.
        damage: Known damage of the container; for others, libsndfile raises an error.
        better_by_ffmpeg: Whether the codec is MP3, ALAC, or ADPCM in WAV, where libsndfile misses
            damage, or GSM in WAV, where it takes a byte of padding for a block.
        zeros_are_loud: Whether bytes of 0 are far from silence, so that many of them are damage.
    """

    def __init__(self, source: SourceFile, damage: str | None = None) -> None:
        """Open a file. Raises soundfile.LibsndfileError if libsndfile cannot read it."""
        self.damage = damage
        self._data = data_bytes(source)
        if self._data is not None and self._data.declared is None:
            _finish_header(source, self._data)
        self._slack = 0 if source.at(0, 4) in _WAVE else _SLACK
        self._left = flac_samples(source)
        self._total = self._left
        if self._total is not None:
            # Without a total, libsndfile reads on if the header counts too few.
            source.overlay(21, bytes([source.at(21, 1)[0] & 0xF0]) + bytes(4))
        source.seek(0)
        self._file = _ForwardFile(source)
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.lossless = self._file.format != "OGG"
        self.zeros_are_loud = self._file.subtype in ("ULAW", "ALAW", "PCM_U8")
        in_wav = self._file.format in ("WAV", "WAVEX")
        self.better_by_ffmpeg = self._file.subtype.startswith(("MPEG", "ALAC")) or (
            in_wav and self._file.subtype in ("IMA_ADPCM", "MS_ADPCM", "GSM610")
        )
        self.declared = self._declared()

    def _declared(self) -> float | None:
        frames = self._total or int(self._file.frames)
        if not 0 < frames < _UNKNOWN or self.sample_rate <= 0:
            return None
        if self._data is None:
            return frames / self.sample_rate
        if self._data.declared is None:
            return None
        share = self._data.declared / self._data.present if self._data.present else 1.0
        return frames / self.sample_rate * share if self._is_cut() else frames / self.sample_rate

    @property
    def estimate(self) -> float | None:
        """Duration in seconds that is present; None if the header has none."""
        frames = self._total or int(self._file.frames)
        return frames / self.sample_rate if 0 < frames < _UNKNOWN else None

    def _is_cut(self) -> bool:
        return self._data is not None and self._data.missing > self._slack

    def read(self, frames: int) -> NDArray[np.float32]:
        """Read the next samples: (channels, at most `frames`); empty at the end."""
        if self._left == 0:
            return self._behind_total()
        if self._left is not None:
            frames = min(frames, self._left)
            self._left -= frames
        block: NDArray[np.float32] = self._file.read(frames, dtype="float32", always_2d=True)
        return np.ascontiguousarray(block.T)

    def _behind_total(self) -> NDArray[np.float32]:
        """One sample behind those that the header of a FLAC file counts; mostly empty."""
        block = np.empty((0, self.channels), dtype=np.float32)
        # libFLAC takes tags after the last frame for damage.
        with suppress(soundfile.LibsndfileError):
            block = self._file.read(1, dtype="float32", always_2d=True)
        self._left = None if len(block) else 0
        return np.ascontiguousarray(block.T)

    def missing_share(self, decoded: int) -> float:
        """Share of the declared samples that are missing after `decoded` samples per channel."""
        if self._is_cut():
            assert self._data is not None
            assert self._data.declared is not None
            return self._data.missing / self._data.declared
        if self.declared is None:
            return 0.0
        return max(0.0, 1.0 - decoded / round(self.declared * self.sample_rate))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _finish_header(source: SourceFile, data: DataBytes) -> None:
    """Patch an unfinished header so that libsndfile reads to the end of the file.

    A recorder that lost power leaves a size of 0, for which libsndfile finds no samples. Other
    formats need no patch.
    """
    kind = source.at(0, 4)
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        source.overlay(0, b"RIFX" if kind == b"RIFX" else b"RIFF")
        source.overlay(data.start - 4, b"\xff" * 4)
    if kind == b"caff":
        source.overlay(data.start - 8, data.present.to_bytes(8, "big"))
    if kind in (b".snd", b"dns."):
        source.overlay(8, b"\xff" * 4)
