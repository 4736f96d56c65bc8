"""Listening copies that `separate --export` writes, and stems.jsonl, their manifest."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mscol_cli.audio import check_format, headroom, write_blocks
from mscol_cli.errors import BadInputError, MscolError, UsageError
from mscol_cli.store import FileStamp, SeparatorIdentity
from mscol_cli.store.journal import append_shared, whole_lines
from mscol_cli.store.records import hashes, read_lines
from mscol_cli.store.spool import Spool, blocks
from mscol_cli.system.files import inside, leftovers, real_path
from mscol_cli.system.outcomes import explained
from mscol_cli.system.prefetch import map_ahead

STEMS_MANIFEST = "stems.jsonl"
_FORMAT, _VERSION = "mscol-stems", 1
Done = dict[tuple[str, str], Mapping[str, str]]
"""SHA-256 of its inputs, by role, for each track and format."""


class Copies:
    """A folder of listening copies that grows.

    The files of a track are renamed into place before its line is written, and that before the
    store's: whatever a killed run leaves undone, the next one does.

    Attributes:
        folder: Where they are.
        scaled: Tracks of this run that were turned down to full scale.
    """

    def __init__(
        self, folder: Path, form: str, separator: SeparatorIdentity, sources: Sequence[str]
    ) -> None:
        """Look at the folder; nothing is written before the first track.

        Raises:
            UsageError: It holds something else, or copies by another separator, or there are no
                sources to copy.
        """
        if not sources:
            raise UsageError(f"separator '{separator.name}' makes no sources: leave out --export.")
        self.folder = folder
        self.scaled = 0
        self._form, self._separator, self._sources = form, separator, tuple(sources)
        self._done = copies_done(folder, separator)
        self._begun = False

    def holds(self, track_id: str, stamps: Mapping[str, FileStamp]) -> bool:
        """Whether all files of a track are there, made from inputs of this content."""
        if self._done.get((track_id, self._form)) != hashes(stamps):
            return False
        return all(self._path(track_id, source).is_file() for source in self._sources)

    def write(
        self,
        track_id: str,
        stamps: Mapping[str, FileStamp],
        separated: Mapping[str, Spool],
        sample_rate: int,
    ) -> None:
        """Write the sources of one track, (channels, samples) each, over any that are there.

        Raises:
            BadInputError: They are no numbers, the format cannot hold them, or the system cannot
                name them.
            MscolError: The folder cannot be written.
        """
        gain = headroom(self._form, _peak(track_id, separated))
        with explained(self.folder, track_id):
            self._begin()
            paths = {self._path(track_id, name): separated[name] for name in self._sources}
            # Encoders leave the interpreter to others while they work.
            writing = map_ahead(
                lambda path: _write_copy(path, paths[path], gain, sample_rate),
                paths,
                workers=len(paths),
            )
            deque(writing, maxlen=0)
            record = CopyRecord(track_id, self._form, hashes(stamps), sample_rate, gain)
            append_shared(self.folder / STEMS_MANIFEST, CopiesHeader(self._separator), record)
        self._done[track_id, self._form] = record.inputs
        self.scaled += gain < 1.0

    def _begin(self) -> None:
        """Make the folder one of copies before there is any, or a killed run's would be refused."""
        if not self._begun:
            self.folder.mkdir(parents=True, exist_ok=True)
            append_shared(self.folder / STEMS_MANIFEST, CopiesHeader(self._separator))
        self._begun = True

    def _path(self, track_id: str, source: str) -> Path:
        return inside(self.folder, f"{track_id}/{source}.{self._form}")


@dataclass(frozen=True)
class CopiesHeader:
    """First line of the record: who separated.

    Attributes:
        separator: Name, options, weights and their licence.
    """

    separator: SeparatorIdentity

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        fixed = {"format": _FORMAT, "version": _VERSION}
        return json.dumps({**fixed, "separator": asdict(self.separator)}) + "\n"


@dataclass(frozen=True)
class CopyRecord:
    """One track whose copies are written.

    Attributes:
        id: Its name.
        format: Suffix of its files.
        inputs: SHA-256 of the files it was made from, by role.
        sample_rate: Hz.
        gain: What all its sources were multiplied by so that none exceeds full scale.
    """

    id: str
    format: str
    inputs: Mapping[str, str]
    sample_rate: int
    gain: float

    def to_line(self) -> str:
        """One line of JSON, with its line end."""
        return json.dumps(asdict(self)) + "\n"


def open_copies(
    folder: Path | None, form: str | None, separator: SeparatorIdentity, sources: Sequence[str]
) -> Copies | None:
    """`Copies`; None where none are asked for. Raises UsageError."""
    return Copies(folder, form, separator, sources) if folder and form else None


def copies_folder(
    form: str | None, folder: Path | None, inputs: Sequence[Path], store: Path
) -> Path | None:
    """Where the copies go; None where none are asked for.

    Raises:
        UsageError: There is no such format, or the folder would mix with the inputs or the store.
    """
    if form is None:
        if folder is not None:
            raise UsageError(f"--export-dir {folder} needs --export flac, wav or ogg.")
        return None
    check_format("--export", form)
    chosen = folder or _beside(store)
    place = real_path(chosen)
    for other in (*inputs, store):
        taken = real_path(other)
        # Copies among the inputs would be music to separate next time, or lie over it.
        if place == taken or taken in place.parents or (other != store and place in taken.parents):
            raise UsageError(
                f"copies in {chosen} would mix with {other}: name another place with --export-dir."
            )
    return chosen


def _beside(store: Path) -> Path:
    named = store if store.name not in ("", "..") else real_path(store)
    return named.with_name(f"{named.name.removesuffix('.store')}-stems")


def _peak(track_id: str, sources: Mapping[str, Spool]) -> float:
    peaks = [np.abs(block).max() for spool in sources.values() for block in blocks(spool)]
    peak = np.max(peaks)
    if not np.isfinite(peak):
        raise BadInputError(f"{track_id}: a source came out with NaN or infinite samples")
    return float(peak)


def _write_copy(path: Path, source: Spool, gain: float, sample_rate: int) -> None:
    # A process that was killed leaves its half-written file under a name of its own.
    for entry in leftovers(path):
        entry.unlink()
    scaled = (block * np.float32(gain) for block in blocks(source))
    write_blocks(path, scaled, (source.channels or 1, len(source)), sample_rate)


def copies_done(folder: Path, separator: SeparatorIdentity) -> Done:
    """What the record of a folder, which need not exist, says is written.

    Raises:
        UsageError: The folder holds something else, or copies by another separator.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose another place with --export-dir.")
    try:
        lines = list(read_lines(folder / STEMS_MANIFEST, whole_lines(folder / STEMS_MANIFEST)))
        found = _differences(lines, separator)
        done = {(line["id"], line["format"]): line["inputs"] for line in lines[1:]}
    except (MscolError, AttributeError, KeyError, TypeError):
        raise UsageError(
            f"{folder / STEMS_MANIFEST} is damaged: choose another --export-dir."
        ) from None
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if not lines and any(name != STEMS_MANIFEST and name[0] != "." for name in names):
        raise UsageError(
            f"{folder} is not empty and holds no copies by mscol: choose another with --export-dir."
        )
    if found:
        raise UsageError(
            f"{folder} holds copies made with other settings ({'; '.join(found)}): choose another"
            " with --export-dir."
        )
    return done


def _differences(records: Sequence[Mapping[str, Any]], separator: SeparatorIdentity) -> list[str]:
    if not records:
        return []
    if (records[0]["format"], records[0]["version"]) != (_FORMAT, _VERSION):
        return ["by another mscol"]
    return SeparatorIdentity(**records[0]["separator"]).differences(separator)
