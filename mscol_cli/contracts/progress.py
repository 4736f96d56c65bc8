"""Progress reports of long operations, independent of the terminal."""

from __future__ import annotations

from typing import Protocol

NO_BAR = "MSCOL_NO_BAR"
"""Environment variable set in worker processes whose parent prints the progress."""
MEGABYTE = 1_000_000


class Progress(Protocol):
    """Receiver of progress reports, one stage at a time."""

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """End the previous stage and start one of `total` units (None if unknown)."""

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Report `amount` more units; `fields` are shown beside the bar (loss="1.23")."""

    def skip(self, amount: int) -> None:
        """Report `amount` units completed in an earlier run; they do not count towards the rate."""

    def end(self) -> None:
        """End the stage."""

    def note(self, message: str) -> None:
        """Print an informative line, such as which store was chosen."""

    def warn(self, message: str) -> None:
        """Print a warning, such as that an input was skipped."""


class Silent:
    """A `Progress` that ignores all reports, for library use and tests."""

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Do nothing."""

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Do nothing."""

    def skip(self, amount: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""


class ByteMeter:
    """A stage of a `Progress` that counts bytes and reports megabytes."""

    def __init__(self, progress: Progress, title: str, total: int | None) -> None:
        """Start a stage of `total` bytes (None if unknown)."""
        megabytes = None if total is None else max(1, round(total / MEGABYTE))
        progress.begin(title, megabytes, "MB")
        self._progress = progress
        self._bytes = 0

    def add(self, count: int) -> None:
        """Report `count` more bytes."""
        before = self._bytes // MEGABYTE
        self._bytes += count
        megabytes = self._bytes // MEGABYTE - before
        if megabytes:
            self._progress.advance(megabytes)
