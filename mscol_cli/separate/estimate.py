"""Estimates of audio duration, disk space and processing time before a separation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mscol_cli.audio import AudioHeader, audio_header, bytes_per_sample
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress
from mscol_cli.contracts.separator import Separator, TrackInput
from mscol_cli.engine.devices import forbid_tf32
from mscol_cli.errors import MscolError
from mscol_cli.host.guard import label_of, plugin_call
from mscol_cli.separate.copies import Copies
from mscol_cli.store import SAMPLE_RATE
from mscol_cli.system.files import existing_parent, free_bytes, is_regular
from mscol_cli.system.units import counted, format_bytes, format_duration

_MAX_HEADERS = 500
"""Files whose headers are read; the duration of the others is extrapolated from their size."""
_STORED_BYTES = 2
"""Bytes per sample in the store."""
_TRIAL_SECONDS = 10
_MAX_CLIPS, _MAX_CLIPS_CUDA = 4, 64
MIN_TRIAL_HOURS = 0.25
"""Hours of music above which measuring the speed pays off."""
MAX_SPEED = 1_000
"""Speed above which the separator's share of the time is negligible: decoding takes longer."""


@dataclass(frozen=True)
class Music:
    """Summary of the headers of audio files.

    Attributes:
        tracks: Number of tracks.
        hours: Total duration; None if unknown.
        exact: Whether every header was read; otherwise hours are extrapolated from file sizes.
        channels: Most common number of channels.
        sample_rate: Most common sample rate in Hz.
    """

    tracks: int
    hours: float | None
    exact: bool
    channels: int = 2
    sample_rate: int = 44100


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a separation.

    Attributes:
        tracks: Number of tracks to separate.
        done: Number of tracks already in the store.
        hours: Duration of the music to separate; None if unknown.
        exact: Whether every header was read.
        bytes_needed: Disk space needed, by folder.
        bytes_free: Free disk space, by folder.
        speed: Speed relative to real time, measured on noise; None if not measured.
        expected_seconds: Processing time; None if unknown, or if most of it is decoding.
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
    """Read the header of each track's first file; of many files a sample."""
    paths = [next(iter(track.files.values())) for track in tracks if track.files]
    step = max(1, -(-len(paths) // _MAX_HEADERS))
    headers = {path: header for path in paths[::step] if (header := _header(path))}
    if not headers:
        return Music(len(tracks), None, exact=False)
    seconds = sum(header.seconds for header in headers.values())
    exact = len(headers) == len(paths)
    if not exact:
        seconds *= _bytes(paths) / max(_bytes(list(headers)), 1)
    formats = [(header.channels, header.sample_rate) for header in headers.values()]
    return Music(len(tracks), seconds / 3600, exact, *max(set(formats), key=formats.count))


def _disk_needed(
    music: Music, new_music: Music, separator: Separator, store: Path, copies: Copies | None
) -> dict[Path, int]:
    """Approximate size in bytes of the new data in the store and the folder of copies."""
    new_samples = 3600 * (new_music.hours or 0.0) * SAMPLE_RATE
    needed = {store: int(new_samples * _STORED_BYTES * (1 + len(separator.sources)))}
    if copies is not None:
        rate = separator.sample_rate or music.sample_rate
        channels = separator.channels or music.channels
        samples = 3600 * (music.hours or 0.0) * rate * channels * len(separator.sources)
        needed[copies.folder] = int(samples * bytes_per_sample(copies.format))
    return needed


def estimate(
    music: Music,
    new_music: Music,
    done: int,
    separator: Separator,
    store: Path,
    copies: Copies | None,
    speed: float | None,
) -> Estimate:
    """Estimate the cost of separating tracks.

    Args:
        music: Summary of the tracks to separate.
        new_music: The same without tracks that are in the store and lack only copies.
        done: Number of tracks already in the store.
        separator: The separator to run.
        store: Folder of the store.
        copies: Listening copies to write; None without.
        speed: Speed of all processes relative to real time; None if not measured.
    """
    hours = music.hours
    needed = _disk_needed(music, new_music, separator, store, copies)
    expected = None
    if hours is not None and speed is not None and speed <= MAX_SPEED:
        expected = 3600 * hours / speed
    return Estimate(
        tracks=music.tracks,
        done=done,
        hours=hours,
        exact=music.exact,
        bytes_needed={str(folder): count for folder, count in needed.items()},
        bytes_free={str(folder): free_bytes(folder) for folder in needed},
        speed=speed,
        expected_seconds=expected,
    )


def measure_speed(separator: Separator, device: str, channels: int) -> float | None:
    """Speed of a separator on noise relative to real time, without decoding and storing; None if
    it fails on noise."""
    try:
        with torch.no_grad(), forbid_tf32(), plugin_call(label_of(separator), "noise"):
            return _measure_speed(separator, device, channels)
    except MscolError:  # it needs other roles than the mixture, or fails on every track
        return None


def _measure_speed(separator: Separator, device: str, channels: int) -> float:
    rate = separator.sample_rate or 44100
    samples = _TRIAL_SECONDS * rate
    max_clips = _MAX_CLIPS_CUDA if device.startswith("cuda") else _MAX_CLIPS
    clips = max(1, min(separator.batch_samples // samples, max_clips))
    noise = 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(0))
    # Networks are loaded on first use. Sums wait for the device.
    _sum(separator, separator.separate({MIXTURE: noise[:, :rate]}))
    begun = time.perf_counter()
    for separated in separator.separate_many([{MIXTURE: noise}] * clips):
        _sum(separator, separated)
    return clips * _TRIAL_SECONDS / (time.perf_counter() - begun)


def _sum(separator: Separator, separated: Mapping[str, Tensor]) -> float:
    return sum(float(separated[source].sum()) for source in separator.sources)


def print_estimate(estimate: Estimate, progress: Progress) -> None:
    """Print an estimate in a few lines."""
    about = "" if estimate.exact else "about "
    length = "of unknown length"
    if estimate.hours is not None:
        length = f"{about}{format_duration(3600 * estimate.hours)} of music"
    verb = "is" if estimate.done == 1 else "are"
    before = f" ({estimate.done} {verb} done)" if estimate.done else ""
    progress.note(f"to separate: {counted(estimate.tracks, 'track')}{before}, {length}")
    for folder, needed in estimate.bytes_needed.items():
        available = estimate.bytes_free[folder]
        progress.note(f"disk: {format_bytes(needed)} for {folder}, {format_bytes(available)} free")
    if estimate.expected_seconds is not None:
        progress.note(
            f"expected time: {format_duration(estimate.expected_seconds)} at"
            f" {estimate.speed:.1f} times real time"
        )


def check_disk_space(estimate: Estimate) -> None:
    """Check that every disk has enough free space for all its folders. Raises MscolError."""
    disks: dict[int, list[str]] = {}
    for folder in estimate.bytes_needed:
        disks.setdefault(existing_parent(Path(folder)).stat().st_dev, []).append(folder)
    for folders in disks.values():
        needed = sum(estimate.bytes_needed[folder] for folder in folders)
        free = min(estimate.bytes_free[folder] for folder in folders)
        if needed > free:
            names = " and ".join(folders)
            verb = "needs" if len(folders) == 1 else "need"
            raise MscolError(
                f"{names} {verb} {format_bytes(needed)}, the disk has {format_bytes(free)} free:"
                " free space, or choose another folder"
            )


def _header(path: Path) -> AudioHeader | None:
    try:
        return audio_header(path) if is_regular(path) else None
    except Exception:  # reported when it is decoded
        return None


def _bytes(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths if is_regular(path))
