"""Listening copies written by `separate --export`, and their manifest stems.jsonl."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mscol_cli.audio import check_format, headroom, write_blocks
from mscol_cli.errors import BadInputError, MscolError, UsageError
from mscol_cli.store import FileStamp, SeparatorIdentity
from mscol_cli.store.journal import append_shared
from mscol_cli.store.records import hashes, read_lines
from mscol_cli.store.spool import Spool, blocks
from mscol_cli.system.files import inside, real_path, whole_lines
from mscol_cli.system.json_files import INVALID
from mscol_cli.system.outcomes import explained
from mscol_cli.system.prefetch import map_ahead

STEMS_MANIFEST = "stems.jsonl"
_FORMAT, _VERSION = "mscol-stems", 1
Done = dict[tuple[str, str], Mapping[str, str]]
"""SHA-256 of the input files, by role, for each (track id, format)."""


class Copies:
    """A folder of listening copies, filled track by track.

    The files of a track are renamed into place first, then its line in the manifest is written,
    then its line in the store. The next run completes what an interrupted run left undone.

    Attributes:
        folder: The folder.
        format: `flac`, `wav` or `ogg`.
        scaled: Number of tracks in this run that were attenuated to full scale.
    """

    def __init__(
        self, folder: Path, audio_format: str, separator: SeparatorIdentity, sources: Sequence[str]
    ) -> None:
        """Read the manifest of the folder. Nothing is written before the first track.

        Raises:
            UsageError: The folder contains other files or copies by another separator, or the
                separator has no sources.
        """
        if not sources:
            raise UsageError(f"separator '{separator.name}' makes no sources: leave out --export.")
        self.folder, self.format = folder, audio_format
        self.scaled = 0
        self._separator, self._sources = separator, tuple(sources)
        self._done: Done = {}
        self._read_bytes = 0
        self._begun = False
        self.refresh()

    def refresh(self) -> None:
        """Read what this and other workers have appended to the manifest. Raises UsageError."""
        done, self._read_bytes = copies_done(self.folder, self._separator, self._read_bytes)
        self._done |= done

    def holds(self, track_id: str, stamps: Mapping[str, FileStamp]) -> bool:
        """Whether all files of a track exist and were made from inputs with these hashes."""
        if self._done.get((track_id, self.format)) != hashes(stamps):
            return False
        return all(self._path(track_id, source).is_file() for source in self._sources)

    def write(
        self,
        track_id: str,
        stamps: Mapping[str, FileStamp],
        separated: Mapping[str, Spool],
        sample_rate: int,
    ) -> None:
        """Write the sources of one track, replacing existing files.

        Args:
            track_id: Track id.
            stamps: The files the track was made from, by role.
            separated: Sources by name, (channels, samples) each.
            sample_rate: Sample rate of the sources in Hz.

        Raises:
            BadInputError: A source contains NaN or infinite samples, the format cannot store it, or
                the file name is invalid.
            MscolError: The folder cannot be written.
        """
        # One gain for all sources keeps their balance.
        gain = headroom(self.format, _peak(track_id, separated))
        inputs = hashes(stamps)
        with explained(self.folder, track_id):
            self._begin()
            paths = {self._path(track_id, name): separated[name] for name in self._sources}
            # Encoders release the global interpreter lock.
            writing = map_ahead(
                lambda path: _write_copy(path, paths[path], gain, sample_rate),
                paths,
                workers=len(paths),
            )
            deque(writing, maxlen=0)
            record = {
                "id": track_id,
                "format": self.format,
                "inputs": inputs,
                "sample_rate": sample_rate,
                "gain": gain,
            }
            self._append(json.dumps(record) + "\n")
        self._done[track_id, self.format] = inputs
        self.scaled += gain < 1.0

    def _begin(self) -> None:
        # Without a manifest the next run would refuse the copies of an interrupted one.
        if not self._begun:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._append()
        self._begun = True

    def _append(self, line: str = "") -> None:
        """Append the line of a track to the manifest, whose first line is the separator."""
        header = {"format": _FORMAT, "version": _VERSION, "separator": asdict(self._separator)}
        append_shared(self.folder / STEMS_MANIFEST, json.dumps(header) + "\n", line)

    def _path(self, track_id: str, source: str) -> Path:
        return inside(self.folder, f"{track_id}/{source}.{self.format}")


def open_copies(
    folder: Path | None,
    audio_format: str | None,
    separator: SeparatorIdentity,
    sources: Sequence[str],
) -> Copies | None:
    """Open a folder of copies; None if no copies are requested. Raises UsageError."""
    if not (folder and audio_format):
        return None
    return Copies(folder, audio_format, separator, sources)


def copies_folder(
    audio_format: str | None, folder: Path | None, inputs: Sequence[Path], store: Path
) -> Path | None:
    """Folder of the copies; None if no copies are requested.

    Raises:
        UsageError: The format is unknown, or the folder overlaps with an input or the store.
    """
    if audio_format is None:
        if folder is not None:
            raise UsageError(f"--export-dir {folder} needs --export flac, wav or ogg.")
        return None
    check_format("--export", audio_format)
    folder = folder or _default_folder(store)
    path = real_path(folder)
    for other in (*inputs, store):
        taken = real_path(other)
        # The next run would read copies among the inputs as music.
        if path == taken or taken in path.parents or (other != store and path in taken.parents):
            raise UsageError(
                f"copies in {folder} would mix with {other}: choose another --export-dir."
            )
    return folder


def _default_folder(store: Path) -> Path:
    named = store if store.name not in ("", "..") else real_path(store)
    return named.with_name(f"{named.name.removesuffix('.store')}-stems")


def _peak(track_id: str, sources: Mapping[str, Spool]) -> float:
    peaks = [np.abs(block).max() for spool in sources.values() for block in blocks(spool)]
    peak = np.max(peaks)
    if not np.isfinite(peak):
        raise BadInputError(f"{track_id}: a source has NaN or infinite samples")
    return float(peak)


def _write_copy(path: Path, source: Spool, gain: float, sample_rate: int) -> None:
    scaled = (block * np.float32(gain) for block in blocks(source))
    write_blocks(path, scaled, (source.channels or 1, len(source)), sample_rate)


def copies_done(folder: Path, separator: SeparatorIdentity, start: int = 0) -> tuple[Done, int]:
    """Read which copies a folder contains, according to its manifest. The folder may be missing.

    Args:
        folder: The folder.
        separator: Expected separator.
        start: First byte of the manifest to read, the end of an earlier call.

    Returns:
        The copies of the lines read, and the byte after the last one.

    Raises:
        UsageError: The folder contains other files, or copies by another separator.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose another --export-dir.")
    path = folder / STEMS_MANIFEST
    try:
        size = whole_lines(path, start)
        lines = list(read_lines(path, size, start))
        is_new = bool(lines) and start == 0
        differences = _differences(lines.pop(0), separator) if is_new else []
        done = {(line["id"], line["format"]): line["inputs"] for line in lines}
    except (MscolError, *INVALID):
        raise UsageError(f"{path} is damaged: choose another --export-dir.") from None
    if start + size == 0:
        _check_unused(folder)
    if differences:
        raise UsageError(
            f"{folder} contains copies made with other settings ({'; '.join(differences)}): choose"
            " another --export-dir."
        )
    return done, start + size


def _check_unused(folder: Path) -> None:
    """Check that a folder without copies contains no other files. Raises UsageError."""
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if any(name != STEMS_MANIFEST and name[0] != "." for name in names):
        raise UsageError(
            f"{folder} is not empty and has no {STEMS_MANIFEST}: choose another --export-dir."
        )


def _differences(header: Mapping[str, Any], separator: SeparatorIdentity) -> list[str]:
    if (header["format"], header["version"]) != (_FORMAT, _VERSION):
        return ["another version of mscol"]
    return SeparatorIdentity(**header["separator"]).differences(separator)
