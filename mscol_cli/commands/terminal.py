"""What the user sees: results on stdout, progress and problems on stderr."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
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
from rich.table import Column
from rich.text import Text

from mscol_cli.commands.columns import Row, aligned
from mscol_cli.contracts.progress import NO_BAR
from mscol_cli.system.files import escaped
from mscol_cli.system.values import as_json

if TYPE_CHECKING:
    from rich.table import Table

BAR, SHORTEST_BAR = 20, 10
RATE, CLOCK = len("12,345.6 /s"), len("0:00:00")
"""Characters of a rate without its unit, and of the time that has passed or is left."""
FIELDS = 24
"""Characters for fields, before a bar is shorter for them."""
HANGING = "    "
"""What lines begin with that go on with the one above."""
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
    r"""Let stdout and stderr escape the characters that their encoding lacks, as in `m\xfc.wav`.

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
    """One line on stderr; a terminal shows it folded at words."""
    _say(stderr(), Text.assemble(("error: ", "bold red"), escaped(" ".join(message.split()))))


def _say(console: Console, text: Text) -> None:
    if console.is_terminal:
        # Whole words: a path that is longer than a line stays in one piece.
        console.print(text, soft_wrap=False, overflow="ignore", crop=False)
    else:
        console.print(text)


def print_json(result: Any) -> None:
    """A result as JSON on stdout: dataclasses, and whatever holds some, become objects."""
    print_lines(json.dumps(as_json(result), indent=2))


def print_lines(*lines: str) -> None:
    """Lines on stdout, as they are."""
    # One call: a store has a hundred thousand lines, and a console takes its time for each.
    file = stdout().file
    file.write(escaped("".join(f"{line}\n" for line in lines)))
    file.flush()


def print_folded(*lines: str) -> None:
    """Lines on stdout, on a terminal folded at words with an indent."""
    width = room()
    if width is None:
        print_lines(*lines)
        return
    for line in lines:
        folded = textwrap.wrap(
            line,
            width,
            subsequent_indent=_indent(line),
            break_long_words=False,
            break_on_hyphens=False,
        )
        print_lines(*(folded or [line]))


def _indent(line: str) -> str:
    """What goes before the second line of a paragraph, an item of a list, or an indented line."""
    if line.startswith("- "):
        return "  "
    leading = len(line) - len(line.lstrip())
    return " " * leading + HANGING if leading else ""


def plain_table(*headings: str) -> Table:
    """An empty table without lines. Long words are wrapped, not cut: not every code page has the
    ellipsis."""
    from rich.table import Table

    columns = [Column(heading, overflow="fold") for heading in headings]
    return Table(*columns, box=None, pad_edge=False)


def print_titles(found: Iterable[Titled], heading: str, json: bool) -> None:
    """Print named items with their titles on stdout, as a table or as JSON."""
    if json:
        print_json([{"name": item.name, "title": item.title} for item in found])
    else:
        print_table(("name", heading), [(item.name, item.title) for item in found])


def print_table(header: Row, rows: Sequence[Row]) -> None:
    """A table on stdout: wrapped in its columns on a terminal, a line a row elsewhere."""
    from rich.markup import escape

    if room() is None:
        print_lines(*aligned([header, *rows]))
        return
    table = plain_table(*header)
    for row in rows:
        table.add_row(*map(escape, row))
    stdout().print(table)


def stdout_alone(json: bool) -> AbstractContextManager[object]:
    """With `json`, stdout is for one result alone: what commands run meanwhile print goes to
    stderr."""
    return redirect_stdout(sys.stderr) if json else nullcontext()


@dataclass(frozen=True)
class _Layout:
    """What there is room for on a line of progress.

    Attributes:
        bar: Characters of the bar; 0 for none.
        clocks: Whether the time that has passed is shown, beside the time left.
        rate: Whether the rate is shown.
        fields: Characters for fields.
    """

    bar: int
    clocks: bool
    rate: bool
    fields: int


def progress_layout(title: str, total: int | None, unit: str, width: int) -> _Layout:
    """Fit a line of progress to a terminal: the bar is shortened first, then the time that has
    passed, the rate and the bar itself are left out; title, count and time left stay."""
    count = 2 * len(str(total)) + 1 if total is not None else len("100000/?")
    needed = len(title) + 1 + count + 1 + CLOCK
    clocks, rate = 1 + CLOCK, 1 + RATE + len(unit)
    free = width - needed - 1
    has_rate = free >= rate + 1 + SHORTEST_BAR
    free -= rate if has_rate else 0
    has_clocks = free >= clocks + 1 + SHORTEST_BAR
    free -= clocks if has_clocks else 0
    bar = min(BAR, max(free - 1 - FIELDS, SHORTEST_BAR)) if free > SHORTEST_BAR else 0
    return _Layout(bar, has_clocks, has_rate, max(free - 1 - bar, 0))


def _columns(layout: _Layout) -> Iterator[ProgressColumn]:
    yield TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    if layout.bar:
        yield BarColumn(layout.bar)
    yield MofNCompleteColumn(table_column=Column(no_wrap=True))
    if layout.rate:
        yield _RateColumn(table_column=Column(no_wrap=True))
    if layout.clocks:
        yield TimeElapsedColumn()
    yield TimeRemainingColumn()
    yield TextColumn("{task.fields[shown]}", markup=False, table_column=Column(no_wrap=True))


def fitting(fields: dict[str, str], room: int) -> str:
    """As many fields as there is room for beside a bar: one too many would squeeze the others."""
    shown = ""
    for name, value in fields.items():
        longer = f"{shown} {name} {value}".lstrip()
        if len(longer) > room:
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
            # The first unit comes with set-up.
            self._first = self._done, now
        if now - self._said < LINE_EVERY:
            return None
        self._said = now
        return self._line(now, fields)

    def skip(self, amount: int) -> None:
        """Count units that were done before."""
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
    """A `Progress` on stderr: bars on a terminal, a line a minute elsewhere."""

    def __init__(self) -> None:
        self._console = stderr()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._lines: _Lines | None = None
        self._room = 0

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Start a bar; ends the one before it."""
        self.end()
        if os.environ.get(NO_BAR):
            return
        if not self._console.is_terminal:
            self._lines = _Lines(title, total, unit)
            return
        layout = progress_layout(title, total, unit, self._console.width)
        self._room = layout.fields
        # Bars are on stderr, and calls into plugins redirect stdout themselves.
        self._bar = Progress(*_columns(layout), console=self._console, redirect_stdout=False)
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
            self._bar.update(self._task, shown=fitting(fields, self._room))

    def skip(self, amount: int) -> None:
        """Move the bar by units that were done before, without a trace in the rate."""
        if self._lines is not None:
            self._lines.skip(amount)
        if self._bar is None or self._task is None:
            return
        # `update` would take them for units of a moment.
        task = next(task for task in self._bar.tasks if task.id == self._task)
        task.completed += amount

    def end(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = self._lines = None

    def note(self, message: str) -> None:
        """A line on stderr."""
        _say(self._console, Text(escaped(message)))

    def warn(self, message: str) -> None:
        """A line on stderr that stands out."""
        line = escaped(" ".join(message.split()))
        _say(self._console, Text.assemble(("warning: ", "yellow"), line))

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
