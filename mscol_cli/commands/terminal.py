"""Terminal output: results on stdout, progress and problems on stderr."""

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
from mscol_cli.commands.json_output import error_document, json_document
from mscol_cli.commands.log import LOG_FILE, log, stamped, timestamp
from mscol_cli.contracts.progress import NO_BAR
from mscol_cli.system.text import visible

if TYPE_CHECKING:
    from rich.table import Table

BAR, MIN_BAR = 20, 10
RATE, CLOCK = len("12,345.6 /s"), len("0:00:00")
"""Widths of a rate without its unit, and of the elapsed or remaining time."""
FIELDS = 24
"""Width for fields before the bar is shortened."""
HANGING = "    "
"""Indent of continuation lines."""
LINE_EVERY = 60.0
"""Seconds between two lines of progress without a terminal, as in the log of a SLURM job."""


class Titled(Protocol):
    """An item with a title, such as a recipe or a study."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def title(self) -> str:
        """One line of description."""


def escape_unencodable() -> None:
    r"""Let stdout and stderr escape characters that their encoding lacks, as in `m\xfc.wav`.

    A terminal or pipe may have a legacy code page (cp1252, ISO-8859-1), where some file names would
    otherwise cause an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def stdout() -> Console:
    """Console for data; lines are not wrapped."""
    return Console(soft_wrap=True, highlight=False)


def terminal_width() -> int | None:
    """Width of the terminal in characters; None if stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr() -> Console:
    """Console for progress and problems."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_error(message: str) -> None:
    """Print an error as one line on stderr, wrapped at words on a terminal."""
    _print(stderr(), Text.assemble(("error: ", "bold red"), visible(" ".join(message.split()))))


def _print(console: Console, text: Text) -> None:
    log(text.plain)
    if console.is_terminal:
        console.print(_folded(text, console.width))
    else:
        console.print(Text.assemble(timestamp() if stamped(False) else "", text))


def _folded(text: Text, width: int) -> Text:
    """A text with line breaks between words. Words are never broken, so that a long path can be
    copied."""
    lines = textwrap.wrap(text.plain, width, break_long_words=False, break_on_hyphens=False)
    # Only the start of a text is styled, before the first break.
    return Text("\n".join(lines), spans=text.spans)


def print_json(result: Any) -> None:
    """Print a result as JSON on stdout; dataclasses become objects."""
    print_lines(json.dumps(json_document(result), indent=2))


def print_error_json(code: int, error: BaseException, message: str) -> None:
    """Print an error as JSON on stdout, in place of a result."""
    print_lines(json.dumps(error_document(code, error, message), indent=2))


def print_result(result: Any, json: bool, lines: Iterable[str]) -> None:
    """Print a result on stdout: as JSON, or as the given lines."""
    if json:
        print_json(result)
    else:
        print_lines(*lines)


def print_lines(*lines: str) -> None:
    """Print lines on stdout; only what a terminal would obey is escaped."""
    # One write: a store may have a hundred thousand lines, and the console is slow for each.
    file = stdout().file
    file.write(visible("".join(f"{line}\n" for line in lines)))
    file.flush()


def printable(name: str) -> str:
    """A name from a file system as one word of a line: line breaks, control characters and
    characters that change the direction of writing are escaped, and the name quoted."""
    return name if name.isprintable() else repr(name)


def print_folded(*lines: str) -> None:
    """Print lines on stdout, wrapped at words with an indent on a terminal."""
    width = terminal_width()
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
    """Indent of the continuation lines of a paragraph, a list item or an indented line."""
    if line.startswith("- "):
        return "  "
    leading = len(line) - len(line.lstrip())
    return " " * leading + HANGING if leading else ""


def plain_table(*headings: str) -> Table:
    """An empty table without borders. Long words are wrapped instead of truncated: some code pages
    lack the ellipsis."""
    from rich.table import Table

    columns = [Column(heading, overflow="fold") for heading in headings]
    return Table(*columns, box=None, pad_edge=False)


def print_titles(items: Iterable[Titled], json: bool) -> None:
    """Print names and titles on stdout, as a table or as JSON."""
    if json:
        print_json([{"name": item.name, "title": item.title} for item in items])
    else:
        print_table(("name", "title"), [(item.name, item.title) for item in items])


def print_table(header: Row, rows: Sequence[Row]) -> None:
    """Print a table on stdout: with wrapped cells on a terminal, one line per row elsewhere."""
    from rich.markup import escape

    if terminal_width() is None:
        print_lines(*aligned([header, *rows]))
        return
    table = plain_table(*header)
    for row in rows:
        table.add_row(*(escape(visible(cell)) for cell in row))
    stdout().print(table)


def redirect_prints(json: bool) -> AbstractContextManager[object]:
    """With `json`, redirect the output of nested commands to stderr, so that stdout has one JSON
    result."""
    return redirect_stdout(sys.stderr) if json else nullcontext()


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
        _print(self._console, Text(visible(message)))

    def warn(self, message: str) -> None:
        """Print a highlighted line on stderr."""
        line = visible(" ".join(message.split()))
        _print(self._console, Text.assemble(("warning: ", "yellow"), line))

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
