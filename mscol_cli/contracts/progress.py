"""How long work tells whoever watches; the rooms below the commands know no terminal."""

from __future__ import annotations

from typing import Protocol

NO_BAR = "MSCOL_NO_BAR"
"""Set in the environment of a process that another one of mscol's started and speaks for."""
MEGABYTE = 1_000_000


class Progress(Protocol):
    """A watcher of one long piece of work at a time."""

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Start a stage of `total` units (None when unknown); ends the stage before it."""

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Report `amount` more units done; `fields` are shown beside the bar (loss="1.23")."""

    def skip(self, amount: int) -> None:
        """Report `amount` units that were done before: they are not part of the rate."""

    def end(self) -> None:
        """Close the stage."""

    def note(self, message: str) -> None:
        """Say one line that is neither data nor failure (which store was chosen, say)."""

    def warn(self, message: str) -> None:
        """Say one line about an input that was skipped, or a result to be read with care."""


class Silent:
    """A `Progress` that watches nothing: library use and tests."""

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Show nothing."""

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Count nothing."""

    def skip(self, amount: int) -> None:
        """Count nothing."""

    def end(self) -> None:
        """Show nothing."""

    def note(self, message: str) -> None:
        """Print nothing."""

    def warn(self, message: str) -> None:
        """Print nothing."""


class ByteMeter:
    """One stage of a `Progress`, told in bytes."""

    def __init__(self, progress: Progress, title: str, total: int | None) -> None:
        """Start a stage of `total` bytes, None when unknown."""
        shown = None if total is None else max(1, round(total / MEGABYTE))
        progress.begin(title, shown, "MB")
        self._progress = progress
        self._bytes = 0

    def add(self, count: int) -> None:
        """Report `count` more bytes."""
        before = self._bytes // MEGABYTE
        self._bytes += count
        whole = self._bytes // MEGABYTE - before
        if whole:
            self._progress.advance(whole)
