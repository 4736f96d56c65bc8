"""Music for bench/rehearsal.py: MP3 recordings, and clips cut from them without decoding.

The 30 s clips of FMA were cut from complete tracks by copying the MP3 stream: they start in the
middle of a stream, after a header written by the cutting program, and have the bit rates of the
uploads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from mscol_cli.synthetic import FAMILIES, render_note, render_song, style_names

Floats = NDArray[np.float32]

RATE = 44_100
NOTE_RATE, NOTE_SECONDS = 16_000, 4
MAX_NOTE_SECONDS = 6.0
FRAME = 1152
QUALITY_UNIT = 118  # scale of the VBR quality of libmp3lame, FF_QP2LAMBDA
MAX_PIECES, MAX_NOTES = 48, 96


@dataclass(frozen=True)
class Format:
    """Encoding of a recording.

    Attributes:
        share: Share of the clips.
        kbit: Constant bit rate in kbit/s, or approximate mean of a variable one.
        quality: Quality of a variable bit rate, 0 is best; None for a constant bit rate.
        rate: Sample rate in Hz.
        channels: 1 or 2.
    """

    share: float
    kbit: int
    quality: int | None = None
    rate: int = RATE
    channels: int = 2

    @property
    def name(self) -> str:
        mode = f"{self.kbit}k" if self.quality is None else f"v{self.quality}"
        return f"{mode}-{self.rate}-{self.channels}"


# Estimated without FMA's tables, which state the bit rate of each track. Most clips are 44.1 kHz
# stereo at 320 or 256 kbit/s. The mean is close to 257 kbit/s, which follows from the 7.2 GiB of
# fma_small for 8,000 clips of 30 s.
FMA_FORMATS = (
    Format(0.44, 320),
    Format(0.01, 320, rate=48_000),
    Format(0.17, 256),
    Format(0.01, 256, rate=48_000),
    Format(0.09, 245, quality=0),
    Format(0.05, 190, quality=2),
    Format(0.01, 190, quality=2, rate=48_000),
    Format(0.02, 120, quality=2, channels=1),
    Format(0.06, 192),
    Format(0.04, 160),
    Format(0.03, 224),
    Format(0.05, 128),
    Format(0.01, 128, channels=1),
    Format(0.01, 64, rate=22_050, channels=1),
)
MTAT_FORMAT = Format(1.0, 32, rate=16_000, channels=1)


@dataclass(frozen=True)
class Recording:
    """An MP3 stream in memory.

    Attributes:
        path: The file.
        frames: The MP3 frames.
        frame_seconds: Duration of a frame.
    """

    path: Path
    frames: Sequence[bytes]
    frame_seconds: float

    def starts(self, seconds: float) -> int:
        """Number of frames at which a clip of this duration can start."""
        return len(self.frames) - self.count(seconds) + 1

    def count(self, seconds: float) -> int:
        """Number of complete frames in a duration."""
        return int(seconds / self.frame_seconds)


def pieces(music: Path | None, synthetic: int, seconds: float) -> list[Floats]:
    """Pieces of music, (2, samples) at 44.1 kHz: evenly sampled files of a folder, and songs.

    Args:
        music: Folder of audio files; files as short as notes are ignored. None for songs only.
        synthetic: Number of songs to synthesise.
        seconds: Duration of each song.
    """
    audio = [piece for path in _files(music, notes=False) if (piece := _piece(path)) is not None]
    styles = style_names()
    for number in range(synthetic):
        style, seed = styles[number % len(styles)], (8101, number)
        song = render_song(style, seconds=seconds, sample_rate=RATE // 2, seed=seed)
        audio.append(_stereo(resample_poly(song.mixture, 2, 1)[None]))
    return audio


def notes(music: Path | None, synthetic: int) -> list[Floats]:
    """Single notes, (64000,) at 16 kHz: short files of a folder, and synthesised notes."""
    sounds = []
    for path in _files(music, notes=True):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        note = resample_poly(audio[:, 0], NOTE_RATE, rate)[: NOTE_RATE * NOTE_SECONDS]
        sounds.append(np.pad(note, (0, NOTE_RATE * NOTE_SECONDS - len(note))).astype(np.float32))
    for number in range(synthetic):
        family = FAMILIES[number % len(FAMILIES)]
        sounds.append(render_note(family, number, 60, 100, seed=8102))
    return sounds


def record(
    folder: Path, audio_format: Format, music: Sequence[Floats], count: int, seconds: float
) -> None:
    """Encode missing recordings of one format as `folder/NAME-0.mp3`, ...

    Args:
        folder: Output folder.
        audio_format: The format.
        music: Pieces of music, (2, samples) at 44.1 kHz.
        count: Number of recordings.
        seconds: Duration of each recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{audio_format.name}-{number}.mp3"
        if not path.exists():
            parts = islice(cycle(music), number * 7, None)
            with _atomic(path) as part:
                _encode(part, audio_format, _joined(parts, seconds, audio_format))


@cache
def recordings(folder: Path, audio_format: Format) -> Sequence[Recording]:
    """Read the recordings of one format, cached."""
    return [_read(path) for path in sorted(folder.glob(f"{audio_format.name}-*.mp3"))]


def cut(recording: Recording, path: Path, start: int, seconds: float) -> None:
    """Copy frames from frame `start` into an MP3 file with the header that FFmpeg writes."""
    with _atomic(path) as part, av.open(str(recording.path)) as source:
        stream = source.streams.audio[0]
        step = round(recording.frame_seconds / stream.time_base)
        with av.open(str(part), "w", format="mp3") as target:
            copied = target.add_stream_from_template(stream)
            for number, frame in enumerate(_frames(recording, start, seconds)):
                packet = av.Packet(frame)
                packet.time_base = stream.time_base
                packet.pts = packet.dts = number * step
                packet.duration = step
                packet.stream = copied
                target.mux(packet)


def cut_bare(recording: Recording, path: Path, start: int, seconds: float) -> None:
    """Copy frames from frame `start` into a file without a header."""
    with _atomic(path) as part:
        part.write_bytes(b"".join(_frames(recording, start, seconds)))


def write_note(path: Path, note: Floats, gain: float) -> None:
    """Write a note, (samples,) at 16 kHz, with a gain as 16-bit WAV."""
    with _atomic(path) as part:
        soundfile.write(part, note * gain, NOTE_RATE, subtype="PCM_16", format="WAV")


def _frames(recording: Recording, start: int, seconds: float) -> Sequence[bytes]:
    return recording.frames[start : start + recording.count(seconds)]


@contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    """Temporary file that is renamed to `path` when it is complete."""
    part = path.with_suffix(".part")
    yield part
    part.replace(path)


def _files(music: Path | None, notes: bool) -> Iterator[Path]:
    if music is None:
        return
    suffixes = {".wav", ".flac", ".ogg"}
    paths = sorted(path for path in music.rglob("*") if path.suffix.lower() in suffixes)
    fit = [path for path in paths if (soundfile.info(path).duration < MAX_NOTE_SECONDS) == notes]
    limit = MAX_NOTES if notes else MAX_PIECES
    yield from fit[:: max(1, len(fit) // limit)][:limit]


def _piece(path: Path) -> Floats | None:
    """Read a file as (2, samples) at 44.1 kHz; None for silence."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if np.abs(audio).max(initial=0.0) < 1e-3:
        return None
    return _stereo(resample_poly(audio.T, RATE, rate, axis=1))


def _stereo(audio: Floats) -> Floats:
    """Two channels, (2, samples). The second channel of a mono piece is a delayed copy."""
    if len(audio) == 1:
        audio = np.concatenate([audio, 0.8 * np.roll(audio, 23, axis=1)])
    return np.asarray(0.7 * audio[:2] / np.abs(audio).max(), dtype=np.float32)


def _joined(parts: Iterator[Floats], seconds: float, audio_format: Format) -> Floats:
    """Concatenate pieces, (channels, samples) at the rate of a format."""
    samples, pieces = round(seconds * RATE), list[Floats]()
    while sum(piece.shape[1] for piece in pieces) < samples:
        pieces.append(next(parts))
    audio = np.concatenate(pieces, axis=1)[:, :samples]
    if audio_format.channels == 1:
        audio = audio.mean(axis=0, keepdims=True)
    divisor = np.gcd(audio_format.rate, RATE)
    resampled = resample_poly(audio, audio_format.rate // divisor, RATE // divisor, axis=1)
    return np.asarray(np.clip(resampled, -1.0, 1.0), dtype=np.float32)


def _encode(path: Path, audio_format: Format, audio: Floats) -> None:
    layout = "mono" if audio_format.channels == 1 else "stereo"
    with av.open(str(path), "w", format="mp3") as target:
        stream = target.add_stream("libmp3lame", rate=audio_format.rate)
        context = stream.codec_context
        context.layout, context.format = layout, "fltp"
        if audio_format.quality is None:
            context.bit_rate = audio_format.kbit * 1000
        else:
            quality = str(audio_format.quality * QUALITY_UNIT)
            context.options = {"flags": "+qscale", "global_quality": quality}
        for start in range(0, audio.shape[1] - FRAME, FRAME):
            block = np.ascontiguousarray(audio[:, start : start + FRAME])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = audio_format.rate, start
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def _read(path: Path) -> Recording:
    with av.open(str(path)) as source:
        stream = source.streams.audio[0]
        frames = [bytes(packet) for packet in source.demux(stream) if packet.size]
        samples = FRAME if stream.rate >= 32_000 else FRAME // 2
        return Recording(path, frames, samples / stream.rate)
