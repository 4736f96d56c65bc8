"""What separating tracks will take: hours of music, disk, and time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from mscol_cli.audio import AudioHeader, audio_header, bytes_per_sample
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.errors import MscolError
from mscol_cli.host.guard import label_of, plugin_call
from mscol_cli.store import SAMPLE_RATE
from mscol_cli.system.files import free_bytes, is_regular
from mscol_cli.system.units import format_bytes, format_duration

_LOOKED_AT = 500
"""Files whose headers are read; of more, the rest is extrapolated by their size."""
_STORED = 2
"""Bytes of a sample in the store."""
_TRIAL_SECONDS = 10
_CPU_CLIPS, _OTHER_CLIPS = 4, 64
WORTH_A_TRIAL = 0.25
"""Hours of music from which on it pays to measure the speed first."""


@dataclass(frozen=True)
class Music:
    """What the headers of audio files say.

    Attributes:
        tracks: How many.
        hours: How long they last together; None where no header says.
        exact: Whether every header was read; else hours are extrapolated by file sizes.
        channels: Of most.
        sample_rate: Of most, Hz.
    """

    tracks: int
    hours: float | None
    exact: bool
    channels: int = 2
    sample_rate: int = 44100


@dataclass(frozen=True)
class Estimate:
    """What separating will take.

    Attributes:
        tracks: To be separated now.
        done: That are in the store already.
        hours: Of music to be separated; None where no header says how long a file is.
        exact: Whether every header was read.
        bytes_needed: By folder, on its disk.
        bytes_free: By folder.
        speed: Times real time, measured on noise; None if it was not measured.
        expected_seconds: How long it will take; None if not known.
    """

    tracks: int
    done: int
    hours: float | None
    exact: bool
    bytes_needed: Mapping[str, int]
    bytes_free: Mapping[str, int]
    speed: float | None = None
    expected_seconds: float | None = None


def survey(tracks: Sequence[TrackInput]) -> Music:
    """Read the headers of the tracks' first files, of some if they are many."""
    paths = [next(iter(track.files.values())) for track in tracks if track.files]
    step = max(1, -(-len(paths) // _LOOKED_AT))
    headers = {path: header for path in paths[::step] if (header := _header(path))}
    if not headers:
        return Music(len(tracks), None, exact=False)
    seconds = sum(header.seconds for header in headers.values())
    exact = len(headers) == len(paths)
    if not exact:
        seconds *= _bytes(paths) / max(_bytes(list(headers)), 1)
    usual = _most_common(list(headers.values()))
    return Music(len(tracks), seconds / 3600, exact, usual.channels, usual.sample_rate)


def disk_needed(
    music: Music, separator: Separator, store: Path, copies: Path | None, form: str | None
) -> dict[Path, int]:
    """Bytes that the store, and the folder of listening copies, will grow by, roughly."""
    seconds = 3600 * (music.hours or 0.0)
    needed = {store: int(seconds * SAMPLE_RATE * _STORED * (1 + len(separator.sources)))}
    if copies is not None and form is not None:
        rate = separator.sample_rate or music.sample_rate
        samples = seconds * rate * music.channels * len(separator.sources)
        needed[copies] = int(samples * bytes_per_sample(form))
    return needed


class Work(Protocol):
    """Tracks to separate, and how many are done."""

    @property
    def tracks(self) -> Sequence[TrackInput]:
        """To separate."""

    @property
    def done(self) -> int:
        """Done before."""

    @property
    def music(self) -> Music:
        """What the headers of the tracks say."""


def estimate(
    work: Work,
    separator: Separator,
    store: Path,
    copies: Path | None,
    form: str | None,
    speed: float | None,
) -> Estimate:
    """What separating will take.

    Args:
        work: Which tracks.
        separator: What separates them.
        store: Folder of the store.
        copies: Folder of listening copies; None without.
        form: Their format.
        speed: Times real time, all processes together; None where it was not measured.
    """
    hours = work.music.hours
    needed = disk_needed(work.music, separator, store, copies, form)
    return Estimate(
        tracks=len(work.tracks),
        done=work.done,
        hours=hours,
        exact=work.music.exact,
        bytes_needed={str(folder): count for folder, count in needed.items()},
        bytes_free=free_on(list(needed)),
        speed=speed,
        expected_seconds=None if speed is None or hours is None else 3600 * hours / speed,
    )


def measure_speed(separator: Separator, device: str, channels: int) -> float | None:
    """Seconds of noise that are separated in a second, decoding and storing left out; None where
    the separator does not take noise."""
    try:
        with plugin_call(label_of(separator), "noise"):
            return _measure_speed(separator, device, channels)
    except MscolError:  # one that needs other roles than the mixture, or that fails on any track
        return None


def _measure_speed(separator: Separator, device: str, channels: int) -> float:
    rate = separator.sample_rate or 44100
    samples = _TRIAL_SECONDS * rate
    most = _OTHER_CLIPS if device.startswith("cuda") else _CPU_CLIPS
    clips = max(1, min(separator.batch_samples // samples, most))
    noise = 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(0))
    separator.separate({MIXTURE: noise[:, :rate]})  # loads networks
    begun = time.perf_counter()
    found = separator.separate_many([{MIXTURE: noise}] * clips)
    float(found[-1][MIXTURE].sum())  # waits for the device
    return clips * _TRIAL_SECONDS / (time.perf_counter() - begun)


def say(estimate: Estimate, progress: Progress) -> None:
    """Tell it in a few lines."""
    about = "" if estimate.exact else "about "
    length = "of unknown length"
    if estimate.hours is not None:
        length = f"{about}{format_duration(3600 * estimate.hours)} of music"
    before = f" ({estimate.done} are done)" if estimate.done else ""
    progress.note(f"to separate: {estimate.tracks} tracks{before}, {length}")
    for folder, needed in estimate.bytes_needed.items():
        available = estimate.bytes_free[folder]
        progress.note(f"disk: {format_bytes(needed)} for {folder}, {format_bytes(available)} free")
    if estimate.expected_seconds is not None:
        progress.note(
            f"expected time: {format_duration(estimate.expected_seconds)} at"
            f" {estimate.speed:.1f} times real time"
        )


def require_space(estimate: Estimate) -> None:
    """Refuse what will not fit. Raises MscolError."""
    for folder, needed in estimate.bytes_needed.items():
        if needed > estimate.bytes_free[folder]:
            raise MscolError(
                f"{folder} needs {format_bytes(needed)}, and its disk has"
                f" {format_bytes(estimate.bytes_free[folder])} free: make room, or name another"
                " place"
            )


def free_on(folders: Sequence[Path]) -> dict[str, int]:
    """Bytes free on the disk of each folder, there or to be made."""
    return {str(folder): free_bytes(folder) for folder in folders}


def _header(path: Path) -> AudioHeader | None:
    try:
        return audio_header(path) if is_regular(path) else None
    except Exception:  # reported when it is decoded
        return None


def _bytes(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths if is_regular(path))


def _most_common(headers: Sequence[AudioHeader]) -> AudioHeader:
    kinds = [(header.channels, header.sample_rate) for header in headers]
    usual = max(set(kinds), key=kinds.count)
    return next(header for header in headers if (header.channels, header.sample_rate) == usual)
