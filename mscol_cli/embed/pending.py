"""Inputs that are still to be embedded."""

from __future__ import annotations

from collections.abc import Sequence

from mscol_cli.embed.inputs import SILENT, Input, Inputs, Known
from mscol_cli.errors import MscolError
from mscol_cli.system.outcomes import Failures
from mscol_cli.vectors import VectorEntry, VectorFolder


class Pending:
    """Inputs that a folder of vectors lacks: new and changed ones, and those that failed before.

    An input is done when a line of it was added since, by this process or another.
    """

    def __init__(self, folder: VectorFolder, clips: Sequence[Input]) -> None:
        """Compare inputs with a folder."""
        self._folder = folder
        self._revisions = {
            clip.id: folder.next_revision(clip.id) for clip in clips if not _is_done(folder, clip)
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
        """Vectors of files with this hash, and their number of windows; None if unknown."""
        entry = self._entries.get(sha256 or "")
        if entry is None:
            return None
        try:
            return self._folder.read(entry), entry.windows
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


def is_silent(entry: VectorEntry) -> bool:
    """Whether a track has no vector because it lacks the source."""
    return entry.failure is not None and entry.failure.endswith(SILENT)


def _is_done(folder: VectorFolder, clip: Input) -> bool:
    entry = folder.find(clip.id)
    return entry is not None and clip.is_current(entry) and folder.holds(entry)
