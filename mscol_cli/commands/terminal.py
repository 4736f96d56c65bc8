"""What the user sees: results on stdout, progress and problems on stderr."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import asdict, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
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
from rich.text import Text

from mscol_cli.commands.columns import aligned
from mscol_cli.contracts.progress import NO_BAR

if TYPE_CHECKING:
    from rich.table import Table

BAR, BESIDE = 20, 72
"""Width of a bar, and of all but the fields beside it."""
LINE_EVERY = 60.0
"""Seconds between two lines of progress where there is no terminal, as in a SLURM job's log."""


class Titled(Protocol):
    """A recipe, a study."""

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def title(self) -> str:
        """One line on what it is for."""


def escape_unencodable() -> None:
    """Let stdout and stderr escape the characters that their encoding lacks, as in `m\\xfc.wav`.

    A terminal or a pipe may have a legacy code page (cp1252, ISO-8859-1), which no name of a file
    may turn into an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def stdout() -> Console:
    """Where data goes; lines keep their length when it is no terminal."""
    return Console(soft_wrap=True, highlight=False)


def room() -> int | None:
    """Columns of the terminal that stdout is; None where it is none, and lines may be long."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr() -> Console:
    """Where everything else goes."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def say_error(message: str) -> None:
    """One line on stderr."""
    stderr().print(Text.assemble(("error: ", "bold red"), " ".join(message.split())))


def print_json(result: Any) -> None:
    """A result as JSON on stdout: dataclasses, and whatever holds some, become objects."""
    print_lines(json.dumps(result, indent=2, default=_plain))


def print_lines(*lines: str) -> None:
    """Lines on stdout, as they are."""
    # One call: a store has a hundred thousand lines, and a console takes its time for each.
    file = stdout().file
    file.write("".join(f"{line}\n" for line in lines))
    file.flush()


def plain_table(*headings: str) -> Table:
    """An empty table without lines. Long words are wrapped, not cut: not every code page has the
    ellipsis."""
    from rich.table import Column, Table

    columns = [Column(heading, overflow="fold") for heading in headings]
    return Table(*columns, box=None, pad_edge=False)


def print_titles(found: Iterable[Titled], heading: str, json: bool) -> None:
    """What comes along under a name, each with its title, as a table or as JSON on stdout."""
    if json:
        print_json([{"name": item.name, "title": item.title} for item in found])
        return
    if room() is None:
        rows = [("name", heading), *((item.name, item.title) for item in found)]
        print_lines(*aligned(rows))
        return
    table = plain_table("name", heading)
    for item in found:
        table.add_row(item.name, item.title)
    stdout().print(table)


def stdout_alone(json: bool) -> AbstractContextManager[object]:
    """With `json`, stdout is for one result alone: what commands run meanwhile print goes to
    stderr."""
    return redirect_stdout(sys.stderr) if json else nullcontext()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def fitting(fields: dict[str, str], room: int) -> str:
    """As many fields as there is room for beside a bar: one too many would squeeze the others."""
    shown = ""
    for name, value in fields.items():
        longer = f"{shown} {name} {value}".lstrip()
        if shown and len(longer) > room:
            break
        shown = longer
    return shown


class _RateColumn(ProgressColumn):
    """Units per second, as measured so far."""

    def render(self, task: Task) -> Text:
        speed = task.speed
        unit = task.fields.get("unit", "")
        return Text("" if speed is None else f"{speed:,.1f} {unit}/s", style="cyan")


class _Lines:
    """Progress where there is no terminal: nothing for what is soon done, then a line a minute."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._first: tuple[int, float] | None = None
        self._said = time.monotonic()

    def advance(self, amount: int, fields: dict[str, str]) -> str | None:
        """Count units; a line when it is time for one."""
        now = time.monotonic()
        self._done += amount
        if self._first is None:
            # A run that goes on comes with what it made before, and a first unit with set-up.
            self._first = self._done, now
        if now - self._said < LINE_EVERY:
            return None
        self._said = now
        return self._line(now, fields)

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
    """A `Progress` on stderr: bars on a terminal, a line a minute elsewhere."""

    def __init__(self) -> None:
        self._console = stderr()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._lines: _Lines | None = None

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Start a bar; ends the one before it."""
        self.end()
        if os.environ.get(NO_BAR):
            return
        if not self._console.is_terminal:
            self._lines = _Lines(title, total, unit)
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(BAR),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
            console=self._console,
            # Bars are on stderr, and calls into plugins redirect stdout themselves.
            redirect_stdout=False,
        )
        self._task = self._bar.add_task(title, total=total, unit=unit, shown="")
        self._bar.start()

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Move the bar, and show the fields beside it."""
        line = self._lines.advance(amount, fields) if self._lines is not None else None
        if line is not None:
            self.note(line)
        if self._bar is None or self._task is None:
            return
        self._bar.advance(self._task, amount)
        if fields:
            self._bar.update(self._task, shown=fitting(fields, self._console.width - BESIDE))

    def end(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = self._lines = None

    def note(self, message: str) -> None:
        """A line on stderr."""
        self._console.print(Text(message))

    def warn(self, message: str) -> None:
        """A line on stderr that stands out."""
        self._console.print(Text.assemble(("warning: ", "yellow"), " ".join(message.split())))

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
