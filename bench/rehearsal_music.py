"""Music for bench/rehearsal.py: recordings as MP3, and clips cut out of them without decoding.

FMA's 30 s clips were cut out of whole tracks by copying the MP3 stream: they begin in the middle of
a stream, under a header of the program that cut them, and have every bit rate that artists upload.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
LONGEST_NOTE = 6.0
FRAME = 1152
QUALITY_UNIT = 118  # of libmp3lame's VBR quality, FF_QP2LAMBDA
MOST_PIECES, MOST_NOTES = 48, 96


@dataclass(frozen=True)
class Format:
    """How a recording is encoded.

    Attributes:
        share: Of the clips.
        kbit: Constant bit rate; for a variable one, about its mean.
        quality: Of a variable bit rate, 0 the best; None for a constant one.
        rate: Samples per second.
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


# Estimated: FMA's tables state a bit rate for each track, but they are not at hand here. Most clips
# are 44.1 kHz stereo at 320 or 256 kbit/s, and the mean is about the 257 kbit/s that follow from
# the 7.2 GiB of fma_small for 8,000 clips of 30 s.
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
        path: Its file.
        frames: Its MP3 frames.
        frame_seconds: How long each lasts.
    """

    path: Path
    frames: Sequence[bytes]
    frame_seconds: float

    def starts(self, seconds: float) -> int:
        """At how many frames a clip of so many seconds can begin."""
        return len(self.frames) - self.count(seconds) + 1

    def count(self, seconds: float) -> int:
        """Whole frames in so many seconds."""
        return int(seconds / self.frame_seconds)


def pieces(music: Path | None, synthetic: int, seconds: float) -> list[Floats]:
    """Pieces of music, (2, samples) at 44.1 kHz: files of a folder, spread evenly, and songs.

    Args:
        music: A folder of audio files, those longer than a note are taken; None for songs alone.
        synthetic: How many songs to synthesise.
        seconds: Length of each song.
    """
    found = [piece for path in _files(music, notes=False) if (piece := _piece(path)) is not None]
    styles = style_names()
    for number in range(synthetic):
        style, seed = styles[number % len(styles)], (8101, number)
        song = render_song(style, seconds=seconds, sample_rate=RATE // 2, seed=seed)
        found.append(_stereo(resample_poly(song.mixture, 2, 1)[None]))
    return found


def notes(music: Path | None, synthetic: int) -> list[Floats]:
    """Single notes, (64000,) at 16 kHz: short files of a folder, and synthesised ones."""
    found = []
    for path in _files(music, notes=True):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        note = resample_poly(audio[:, 0], NOTE_RATE, rate)[: NOTE_RATE * NOTE_SECONDS]
        found.append(np.pad(note, (0, NOTE_RATE * NOTE_SECONDS - len(note))).astype(np.float32))
    for number in range(synthetic):
        family = FAMILIES[number % len(FAMILIES)]
        found.append(render_note(family, number, 60, 100, seed=8102))
    return found


def record(folder: Path, form: Format, music: Sequence[Floats], count: int, seconds: float) -> None:
    """Encode recordings of one format, those that are not there yet, as `folder/NAME-0.mp3`, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{form.name}-{number}.mp3"
        if not path.exists():
            parts = islice(cycle(music), number * 7, None)
            with _whole(path) as part:
                _encode(part, form, _joined(parts, seconds, form))


@cache
def recordings(folder: Path, form: Format) -> Sequence[Recording]:
    """The recordings of one format, read once."""
    return [_read(path) for path in sorted(folder.glob(f"{form.name}-*.mp3"))]


def cut(recording: Recording, path: Path, start: int, seconds: float) -> None:
    """Copy frames from `start` on into an MP3 file, under the header that FFmpeg writes."""
    with _whole(path) as part, av.open(str(recording.path)) as source:
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
    """Copy frames from `start` on into a file that has no header."""
    with _whole(path) as part:
        part.write_bytes(b"".join(_frames(recording, start, seconds)))


def write_note(path: Path, note: Floats, gain: float) -> None:
    """A note (samples,) at a gain, as 16-bit WAV."""
    with _whole(path) as part:
        soundfile.write(part, note * gain, NOTE_RATE, subtype="PCM_16", format="WAV")


def _frames(recording: Recording, start: int, seconds: float) -> Sequence[bytes]:
    return recording.frames[start : start + recording.count(seconds)]


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write, which takes its name when it is whole."""
    part = path.with_suffix(".part")
    yield part
    part.replace(path)


def _files(music: Path | None, notes: bool) -> Iterator[Path]:
    if music is None:
        return
    suffixes = {".wav", ".flac", ".ogg"}
    paths = sorted(path for path in music.rglob("*") if path.suffix.lower() in suffixes)
    fit = [path for path in paths if (soundfile.info(path).duration < LONGEST_NOTE) == notes]
    most = MOST_NOTES if notes else MOST_PIECES
    yield from fit[:: max(1, len(fit) // most)][:most]


def _piece(path: Path) -> Floats | None:
    """A file as (2, samples) at 44.1 kHz; None for silence."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if np.abs(audio).max(initial=0.0) < 1e-3:
        return None
    return _stereo(resample_poly(audio.T, RATE, rate, axis=1))


def _stereo(audio: Floats) -> Floats:
    """Two channels (2, samples); those of a mono piece differ, as most real ones do."""
    if len(audio) == 1:
        audio = np.concatenate([audio, 0.8 * np.roll(audio, 23, axis=1)])
    return np.asarray(0.7 * audio[:2] / np.abs(audio).max(), dtype=np.float32)


def _joined(parts: Iterator[Floats], seconds: float, form: Format) -> Floats:
    """Pieces one after another, (channels, samples) at the rate of a format."""
    wanted, found = round(seconds * RATE), list[Floats]()
    while sum(part.shape[1] for part in found) < wanted:
        found.append(next(parts))
    audio = np.concatenate(found, axis=1)[:, :wanted]
    if form.channels == 1:
        audio = audio.mean(axis=0, keepdims=True)
    divisor = np.gcd(form.rate, RATE)
    resampled = resample_poly(audio, form.rate // divisor, RATE // divisor, axis=1)
    return np.asarray(np.clip(resampled, -1.0, 1.0), dtype=np.float32)


def _encode(path: Path, form: Format, audio: Floats) -> None:
    layout = "mono" if form.channels == 1 else "stereo"
    with av.open(str(path), "w", format="mp3") as target:
        stream = target.add_stream("libmp3lame", rate=form.rate)
        context = stream.codec_context
        context.layout, context.format = layout, "fltp"
        if form.quality is None:
            context.bit_rate = form.kbit * 1000
        else:
            context.options = _variable(form.quality)
        for start in range(0, audio.shape[1] - FRAME, FRAME):
            block = np.ascontiguousarray(audio[:, start : start + FRAME])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = form.rate, start
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def _variable(quality: int) -> Mapping[str, str]:
    return {"flags": "+qscale", "global_quality": str(quality * QUALITY_UNIT)}


def _read(path: Path) -> Recording:
    with av.open(str(path)) as source:
        stream = source.streams.audio[0]
        frames = [bytes(packet) for packet in source.demux(stream) if packet.size]
        samples = FRAME if stream.rate >= 32_000 else FRAME // 2
        return Recording(path, frames, samples / stream.rate)
