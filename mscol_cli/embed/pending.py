"""Inputs that are still to be embedded."""

from __future__ import annotations

from collections.abc import Sequence

from mscol_cli.embed.inputs import Input, Inputs, Known, is_silent
from mscol_cli.errors import MscolError
from mscol_cli.system.outcomes import Failures
from mscol_cli.vectors import VectorFolder, VectorWriter


class Pending:
    """Inputs that a folder of vectors lacks: new and changed ones, and those that failed before.

    An input is done when a line of it was added since, by this process or another.
    """

    def __init__(self, folder: VectorFolder, clips: Sequence[Input], retry: bool = True) -> None:
        """Compare inputs with a folder.

        Args:
            folder: The folder.
            clips: All inputs.
            retry: Whether inputs that failed are to be embedded again.
        """
        self._folder = folder
        self._revisions = {
            clip.id: folder.next_revision(clip.id)
            for clip in clips
            if not _is_done(folder, clip) and (retry or not _has_failed(folder, clip))
        }

    def __len__(self) -> int:
        return len(self._revisions)

    def __contains__(self, clip: Input) -> bool:
        return clip.id in self._revisions

    def update(self) -> int:
        """Read what was added to the folder, and return the number of inputs done since."""
        done = [
            name
            for name in self._folder.refresh() & self._revisions.keys()
            if self._folder.next_revision(name) > self._revisions[name]
        ]
        for name in done:
            del self._revisions[name]
        return len(done)

    def forget_failures(self) -> None:
        """Remove the failures of earlier commands from the folder.

        Workers that start later then know that a failure in the folder was found by another worker
        of the same command. Raises OSError if the folder cannot be written.
        """
        failed = [
            entry.id
            for entry in self._folder.entries
            if entry.id in self._revisions and entry.failure is not None
        ]
        with VectorWriter(self._folder) as writer:
            for name in failed:
                writer.remove(name)
        self._folder.refresh()
        self._revisions = {name: self._folder.next_revision(name) for name in self._revisions}


class KnownContent:
    """Vectors of renamed, moved or touched files, which are copied instead of computed again."""

    def __init__(self, folder: VectorFolder, clips: Sequence[Input]) -> None:
        """Collect the entries that no input matches."""
        self._folder = folder
        current = {clip.id for clip in clips if _is_done(folder, clip)}
        self._entries = {
            entry.sha256: entry
            for entry in folder.entries
            if entry.sha256 is not None and entry.rows and entry.id not in current
        }

    def find(self, sha256: str | None) -> Known | None:
        """Vectors of files with this hash, and their entry; None if unknown."""
        entry = self._entries.get(sha256 or "")
        if entry is None:
            return None
        try:
            return self._folder.read(entry), entry
        except MscolError:  # damaged: the file is embedded again
            return None


def failures_of(folder: VectorFolder, inputs: Inputs) -> Failures:
    """Inputs that have no vectors, with reasons, without silent sources."""
    found: Failures = []
    for clip in inputs.clips:
        entry = folder.find(clip.id)
        if entry is not None and entry.failure is not None and not is_silent(entry):
            found.append((clip.id, entry.failure))
    return [*found, *inputs.unlisted]


def _is_done(folder: VectorFolder, clip: Input) -> bool:
    entry = folder.find(clip.id)
    return entry is not None and clip.is_current(entry) and folder.holds(entry)


def _has_failed(folder: VectorFolder, clip: Input) -> bool:
    entry = folder.find(clip.id)
    return entry is not None and entry.failure is not None
