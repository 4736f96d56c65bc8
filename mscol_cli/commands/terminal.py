"""Terminal output: results on stdout, problems on stderr."""

from __future__ import annotations

import io
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.table import Column
from rich.text import Text

from mscol_cli.commands.columns import Row, aligned
from mscol_cli.commands.json_output import error_document, json_document
from mscol_cli.commands.log import log, stamped, timestamp
from mscol_cli.system.text import visible

if TYPE_CHECKING:
    from rich.table import Table

HANGING = "    "
"""Indent of continuation lines."""


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
    return Console(soft_wrap=True, highlight=False, emoji=False)


def terminal_width() -> int | None:
    """Width of the terminal in characters; None if stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr() -> Console:
    """Console for progress and problems."""
    return Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def print_error(message: str) -> None:
    """Print an error as one line on stderr, wrapped at words on a terminal."""
    print_text(stderr(), Text.assemble(("error: ", "bold red"), visible(" ".join(message.split()))))


def print_warning(message: str) -> None:
    """Print a warning in the same way."""
    text = visible(" ".join(message.split()))
    print_text(stderr(), Text.assemble(("warning: ", "yellow"), text))


def print_text(console: Console, text: Text) -> None:
    """Print a line on stderr, and append it to the log; on a terminal, wrapped at words."""
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
