"""store export: sealed store -> tracks -> audio files at 16 kHz."""

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
class ExportRequest:
    """What to take out of a store, and where to.

    Attributes:
        store: A sealed store.
        output: Folder for the files.
        tracks: Ids; none with `all`.
        all: Every track.
        sources: Names; none are all, the mixture too.
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
    """What was written.

    Attributes:
        output: The folder.
        tracks: Tracks that were asked for.
        written: Files written now.
        kept: Files that were there already, and were left as they are.
        scaled: Tracks that exceed full scale and were turned down to it.
        failures: Tracks that could not be written, with the reason.
        seconds: How long it took.
    """

    output: Path
    tracks: int
    written: int
    kept: int
    scaled: int
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0


def run(request: ExportRequest, progress: Progress) -> ExportResult:
    """Write sources of tracks as audio files, one folder a track.

    Raises:
        UsageError: No such track, source or format, or an output inside the store.
        MissingDataError: There is no store, it is not finished, or one of its files is gone.
        MscolError: The store is damaged, or the output cannot be written.
        Interrupted: Stopped by Ctrl-C; the same command goes on.
    """
    begun = time.monotonic()
    _check(request)
    store = Store.open(request.store)
    rows, sources = _rows(store, request), _sources(store, request)
    written = kept = scaled = 0
    failures = []
    progress.begin("exporting", len(rows), "tracks")
    with resumable(f"the files in {request.output} are whole"):
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


def _check(request: ExportRequest) -> None:
    check_format("--format", request.format)
    if request.all == bool(request.tracks):
        raise UsageError("name tracks, or --all of them: 'mscol store ls STORE' lists them.")
    place = request.store.resolve()
    if place in (request.output.resolve(), *request.output.resolve().parents):
        raise UsageError(f"{request.output} lies in the store: choose another place with -o.")


def _rows(store: Store, request: ExportRequest) -> list[int]:
    ids = store.index.track_ids
    if request.all:
        return list(range(len(ids)))
    row_of = {name: row for row, name in enumerate(ids)}
    unknown = [name for name in request.tracks if name not in row_of]
    if unknown:
        # A big store has more ids than an error should list, and than a close look is quick for.
        near = get_close_matches(unknown[0], ids, n=3, cutoff=0.5)
        hint = f" Nearest: {', '.join(near)}." if near else ""
        raise UsageError(
            f"no track of {store.path} is called '{unknown[0]}'.{hint}"
            f" 'mscol store ls {store.path}' lists all {len(ids)}."
        )
    return [row_of[name] for name in dict.fromkeys(request.tracks)]


def _sources(store: Store, request: ExportRequest) -> dict[str, int]:
    known = {name: number for number, name in enumerate(store.index.sources)}
    for name in request.sources:
        if name not in known:
            raise unknown_name("source of this store", name, known)
    return {name: known[name] for name in request.sources or known}


def _export_track(store: Store, row: int, sources: dict[str, int], request: ExportRequest) -> int:
    """Write the files that are not there, and return how many those are."""
    track_id = store.index.track_ids[row]
    gain = headroom(request.format, store.peak(row))
    paths = {
        number: inside(request.output, f"{track_id}/{name}.{request.format}")
        for name, number in sources.items()
    }
    todo = {number: path for number, path in paths.items() if not path.exists()}
    for number, path in todo.items():
        waveform = store.waveform(row, number)
        if len(waveform) < store.index.track_samples[row]:
            raise MscolError(
                f"{store.path} is damaged at track {track_id}: 'mscol store verify' says how"
            )
        with explained(request.output, track_id):
            write_audio(path, waveform[None] * np.float32(gain), SAMPLE_RATE)
    return len(todo)
