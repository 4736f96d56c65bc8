"""store export: tracks of a sealed store -> audio files at 16 kHz."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from mscol_cli.audio import check_format, headroom, write_audio
from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import BadInputError, MscolError, UsageError
from mscol_cli.host.names import unknown_name
from mscol_cli.store.reader import Store
from mscol_cli.store.segments import SAMPLE_RATE
from mscol_cli.system.files import inside
from mscol_cli.system.outcomes import explained, resumable


@dataclass(frozen=True)
class StoreExportRequest:
    """Arguments of `store export`.

    Attributes:
        store: A sealed store.
        output: Folder for the files.
        tracks: Track ids; empty with `all`.
        all: Whether to export every track.
        sources: Names of sources; empty for all sources and the mixture.
        format: `flac`, `wav` or `ogg`.
    """

    store: Path
    output: Path
    tracks: tuple[str, ...] = ()
    all: bool = False
    sources: tuple[str, ...] = ()
    format: str = "flac"


@dataclass(frozen=True)
class ExportResult:
    """Result of an export.

    Attributes:
        output: Folder of the files.
        tracks: Number of requested tracks.
        written: Number of files written.
        kept: Number of files that existed already and were kept.
        scaled: Number of tracks that exceed full scale and were attenuated.
        failures: Tracks that could not be written, with reasons.
        seconds: Processing time.
    """

    output: Path
    tracks: int
    written: int
    kept: int
    scaled: int
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0


def run(request: StoreExportRequest, progress: Progress) -> ExportResult:
    """Write the sources of tracks as audio files, one folder per track.

    Raises:
        UsageError: A track, source or format is unknown, or the output lies inside the store.
        MissingDataError: The store does not exist, is not sealed, or lacks a file.
        MscolError: The store is damaged, or the output cannot be written.
        Interrupted: Stopped by Ctrl-C; the same command resumes.
    """
    begun = time.monotonic()
    _check(request)
    store = Store.open(request.store)
    rows, sources = _rows(store, request), _sources(store, request)
    written = kept = scaled = 0
    failures = []
    progress.begin("exporting", len(rows), "tracks")
    with resumable(f"the files in {request.output} are complete"):
        for row in rows:
            try:
                new = _export_track(store, row, sources, request)
            except BadInputError as error:
                progress.warn(f"skipped {error}")
                failures.append((store.index.track_ids[row], str(error)))
            else:
                written, kept = written + new, kept + len(sources) - new
                scaled += new > 0 and headroom(request.format, store.peak(row)) < 1.0
            progress.advance()
    progress.end()
    seconds = round(time.monotonic() - begun, 3)
    return ExportResult(request.output, len(rows), written, kept, scaled, failures, seconds)


def _check(request: StoreExportRequest) -> None:
    check_format("--format", request.format)
    if request.all == bool(request.tracks):
        raise UsageError("name tracks, or --all of them: 'mscol store ls STORE' lists them.")
    output = request.output.resolve()
    if request.store.resolve() in (output, *output.parents):
        raise UsageError(f"{request.output} lies in the store: choose another -o.")


def _rows(store: Store, request: StoreExportRequest) -> list[int]:
    ids = store.index.track_ids
    if request.all:
        return list(range(len(ids)))
    row_of = {name: row for row, name in enumerate(ids)}
    unknown = [name for name in request.tracks if name not in row_of]
    if unknown:
        # A store may have too many ids to list.
        matches = get_close_matches(unknown[0], ids, n=3, cutoff=0.5)
        hint = f" Nearest: {', '.join(matches)}." if matches else ""
        raise UsageError(
            f"no track of {store.path} is called '{unknown[0]}'.{hint}"
            f" 'mscol store ls {store.path}' lists all {len(ids)}."
        )
    return [row_of[name] for name in dict.fromkeys(request.tracks)]


def _sources(store: Store, request: StoreExportRequest) -> dict[str, int]:
    known = {name: number for number, name in enumerate(store.index.sources)}
    for name in request.sources:
        if name not in known:
            raise unknown_name("source of this store", name, known)
    return {name: known[name] for name in request.sources or known}


def _export_track(
    store: Store, row: int, sources: dict[str, int], request: StoreExportRequest
) -> int:
    """Write the missing files and return their number."""
    track_id = store.index.track_ids[row]
    gain = headroom(request.format, store.peak(row))
    paths = {
        number: inside(request.output, f"{track_id}/{name}.{request.format}")
        for name, number in sources.items()
    }
    missing = {number: path for number, path in paths.items() if not path.exists()}
    for number, path in missing.items():
        waveform = store.waveform(row, number)
        if len(waveform) < store.index.track_samples[row]:
            raise MscolError(
                f"{store.path} is damaged at track {track_id}: run 'mscol store verify'"
            )
        with explained(request.output, track_id):
            write_audio(path, waveform[None] * np.float32(gain), SAMPLE_RATE)
    return len(missing)
