"""Bytes as they come, shown in megabytes."""

from __future__ import annotations

from mscol_cli.contracts.progress import Progress

MEGABYTE = 1_000_000


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
