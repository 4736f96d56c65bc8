"""Progress on stderr: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from mscol_cli.commands.log import LOG_FILE, log
from mscol_cli.commands.terminal import print_text, stderr
from mscol_cli.contracts.progress import NO_BAR
from mscol_cli.system.text import visible

BAR, MIN_BAR = 20, 10
RATE, CLOCK = len("12,345.6 /s"), len("0:00:00")
"""Widths of a rate without its unit, and of the elapsed or remaining time."""
FIELDS = 24
"""Width for fields before the bar is shortened."""
LINE_EVERY = 60.0
"""Seconds between two lines of progress without a terminal, as in the log of a SLURM job."""


@dataclass(frozen=True)
class _Layout:
    """Layout of a line of progress.

    Attributes:
        bar: Width of the bar in characters; 0 for none.
        elapsed: Whether the elapsed time is shown.
        rate: Whether the rate is shown.
        fields: Width for fields in characters.
    """

    bar: int
    elapsed: bool
    rate: bool
    fields: int


def progress_layout(title: str, total: int | None, unit: str, width: int) -> _Layout:
    """Fit a line of progress to a terminal. The bar is shortened first; then elapsed time, rate and
    bar are omitted. Title, count and remaining time are always shown."""
    count = 2 * len(str(total)) + 1 if total is not None else len("100000/?")
    needed = len(title) + 1 + count + 1 + CLOCK
    elapsed, rate = 1 + CLOCK, 1 + RATE + len(unit)
    free = width - needed - 1
    has_rate = free >= rate + 1 + MIN_BAR
    free -= rate if has_rate else 0
    has_elapsed = free >= elapsed + 1 + MIN_BAR
    free -= elapsed if has_elapsed else 0
    bar = min(BAR, max(free - 1 - FIELDS, MIN_BAR)) if free > MIN_BAR else 0
    return _Layout(bar, has_elapsed, has_rate, max(free - 1 - bar, 0))


def _columns(layout: _Layout) -> Iterator[ProgressColumn]:
    yield TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    if layout.bar:
        yield BarColumn(layout.bar)
    yield MofNCompleteColumn(table_column=Column(no_wrap=True))
    if layout.rate:
        yield _RateColumn(table_column=Column(no_wrap=True))
    if layout.elapsed:
        yield TimeElapsedColumn()
    yield TimeRemainingColumn()
    yield TextColumn("{task.fields[shown]}", markup=False, table_column=Column(no_wrap=True))


def format_fields(fields: dict[str, str], max_width: int) -> str:
    """Format the first fields that fit beside a bar."""
    shown = ""
    for name, value in fields.items():
        longer = f"{shown} {name} {value}".lstrip()
        if len(longer) > max_width:
            break
        shown = longer
    return shown


class _RateColumn(ProgressColumn):
    """Average units per second."""

    def render(self, task: Task) -> Text:
        speed = task.speed
        unit = task.fields.get("unit", "")
        return Text("" if speed is None else f"{speed:,.1f} {unit}/s", style="cyan")


class _Lines:
    """Progress without a terminal: one line per minute, none in the first minute."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._first: tuple[int, float] | None = None
        self._printed = time.monotonic()

    def advance(self, amount: int, fields: dict[str, str]) -> str | None:
        """Count units. Returns a line if one is due."""
        now = time.monotonic()
        self._done += amount
        if self._first is None:
            # The first unit includes the set-up, so it is excluded from the rate.
            self._first = self._done, now
        if now - self._printed < LINE_EVERY:
            return None
        self._printed = now
        return self._line(now, fields)

    def skip(self, amount: int) -> None:
        """Count units that were done in an earlier run."""
        self._done += amount
        if self._first is not None:
            start, since = self._first
            self._first = start + amount, since

    def _line(self, now: float, fields: dict[str, str]) -> str:
        start, since = self._first or (0, now)
        count = f"{self._done:,}" if self._total is None else f"{self._done:,}/{self._total:,}"
        parts = [f"{self._title}: {count} {self._unit}"]
        if self._done > start and now > since:
            rate = (self._done - start) / (now - since)
            parts.append(f"{rate:,.1f}/s")
            if self._total is not None and self._total >= self._done:
                left = timedelta(seconds=round((self._total - self._done) / rate))
                parts.append(f"{left} left")
        return ", ".join([*parts, *(f"{name} {value}" for name, value in fields.items())])


class TerminalProgress:
    """A `Progress` on stderr: bars on a terminal, one line per minute elsewhere."""

    def __init__(self) -> None:
        self._console = stderr()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._lines: _Lines | None = None
        self._fields_width = 0

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Start a bar; ends the previous one."""
        self.end()
        title = visible(title)
        if os.environ.get(NO_BAR):
            return
        if not self._console.is_terminal or os.environ.get(LOG_FILE):
            self._lines = _Lines(title, total, unit)
        if not self._console.is_terminal:
            return
        layout = progress_layout(title, total, unit, self._console.width)
        self._fields_width = layout.fields
        # Bars are on stderr, and plugin calls redirect stdout themselves.
        self._bar = Progress(*_columns(layout), console=self._console, redirect_stdout=False)
        self._task = self._bar.add_task(title, total=total, unit=unit, shown="")
        self._bar.start()

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Move the bar, and show the fields beside it."""
        line = self._lines.advance(amount, fields) if self._lines is not None else None
        if line is not None:
            self._print_line(line)
        if self._bar is None or self._task is None:
            return
        self._bar.advance(self._task, amount)
        if fields:
            shown = visible(format_fields(fields, self._fields_width))
            self._bar.update(self._task, shown=shown)

    def _print_line(self, line: str) -> None:
        if self._bar is None:
            self.note(line)
        else:
            log(line)

    def skip(self, amount: int) -> None:
        """Move the bar by units that were done in an earlier run, without counting for the rate."""
        if self._lines is not None:
            self._lines.skip(amount)
        if self._bar is None or self._task is None:
            return
        # `update` would count them for the rate.
        task = next(task for task in self._bar.tasks if task.id == self._task)
        task.completed += amount

    def end(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = self._lines = None

    def note(self, message: str) -> None:
        """Print a line on stderr."""
        print_text(self._console, Text(visible(message)))

    def warn(self, message: str) -> None:
        """Print a highlighted line on stderr."""
        line = visible(" ".join(message.split()))
        print_text(self._console, Text.assemble(("warning: ", "yellow"), line))

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
