"""Listening copies that `separate --export` makes: where they go, which are done, writing them."""

from __future__ import annotations

import errno
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mscol_cli.ahead import map_ahead
from mscol_cli.audio import check_format, headroom, write_blocks
from mscol_cli.errors import BadInputError, MscolError, UsageError
from mscol_cli.files import inside, real_path
from mscol_cli.store import FileStamp, SeparatorIdentity
from mscol_cli.store.copies import RECORD, CopiesHeader, CopyRecord, copies_done
from mscol_cli.store.journal import append_shared
from mscol_cli.store.records import hashes
from mscol_cli.store.spool import Spool, blocks

_OF_THE_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ}


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
            append_shared(self.folder / RECORD, CopiesHeader(self._separator), record)
        self._done[track_id, self._form] = record.inputs
        self.scaled += gain < 1.0

    def _begin(self) -> None:
        """Make the folder one of copies before there is any, or a killed run's would be refused."""
        if not self._begun:
            self.folder.mkdir(parents=True, exist_ok=True)
            append_shared(self.folder / RECORD, CopiesHeader(self._separator))
        self._begun = True

    def _path(self, track_id: str, source: str) -> Path:
        return inside(self.folder, f"{track_id}/{source}.{self._form}")


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
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.\d+{re.escape(path.suffix)}")
    for entry in path.parent.iterdir() if path.parent.is_dir() else ():
        if pattern.fullmatch(entry.name):
            entry.unlink()
    scaled = (block * np.float32(gain) for block in blocks(source))
    write_blocks(path, scaled, (source.channels or 1, len(source)), sample_rate)


@contextmanager
def explained(folder: Path, track_id: str) -> Iterator[None]:
    """Tell a name that the system refuses (BadInputError) from a disk that does (MscolError)."""
    try:
        yield
    except OSError as error:
        if error.errno in _OF_THE_NAME:
            raise BadInputError(
                f"{track_id}: cannot have copies of that name in {folder} ({error.strerror});"
                " rename it"
            ) from None
        raise MscolError(
            f"{folder} cannot be written ({error.strerror}): make room or check the disk, then run"
            " the same command again"
        ) from error
