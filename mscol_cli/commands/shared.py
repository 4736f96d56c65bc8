"""Options shared by several commands, and the exit code for skipped inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Protocol, TypeVar

import typer

from mscol_cli.commands.json_output import remember_command
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.terminal import print_json, print_lines
from mscol_cli.contracts.progress import Progress
from mscol_cli.errors import PartialFailure, UsageError
from mscol_cli.system.units import counted

Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result, or the error, as JSON on stdout.",
        callback=remember_command,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the configuration as TOML, and stop."),
]


class Damage(Protocol):
    """The problems of a verification."""

    @property
    def missing(self) -> Sequence[str]:
        """Missing files."""

    @property
    def damaged(self) -> Sequence[str]:
        """One line for each damaged file."""


Verified = TypeVar("Verified", bound=Damage)


def calls_another(context: typer.Context, json: bool) -> bool:
    """Whether a group of commands was called with one of them. Raises UsageError if `--json` comes
    before its name."""
    name = context.invoked_subcommand
    if name is not None and json:
        raise UsageError(f"--json comes after '{name}': put it there.")
    return name is not None


def format_done_before(inputs: int) -> str:
    """Words for inputs that an earlier run processed: `1 input was done before`."""
    return f"{counted(inputs, 'input')} {'was' if inputs == 1 else 'were'} done before"


def print_configurations(texts: Sequence[str], json: bool) -> None:
    """Print the TOML of `--dry-run` on stdout, or as JSON."""
    from mscol_cli.recipes.recipe import parse_toml

    if json:
        print_json({"configurations": [parse_toml(text) for text in texts]})
    else:
        print_lines(*(text.rstrip() for text in texts))


def warn_of_damage(progress: Progress, missing: Iterable[str], damaged: Iterable[str]) -> None:
    """Print a line for each missing file and for each damaged one."""
    for name in missing:
        progress.warn(f"{name}: is missing")
    for line in damaged:
        progress.warn(line)


def verify(
    check: Callable[[Progress], Verified],
    raise_if_damaged: Callable[[Verified], None],
    line: Callable[[Verified], str],
    json: bool,
    shorten: Callable[[Sequence[str]], Iterable[str]] = list,
) -> None:
    """Verify files: print what is missing or damaged, then the result, and raise its error.

    Args:
        check: Reads the files.
        raise_if_damaged: Raises the error of a result with problems.
        line: The line to print if there are none.
        json: Whether the result is printed as JSON.
        shorten: Leaves out lines on damage; JSON has all.
    """
    with TerminalProgress() as progress:
        result = check(progress)
        warn_of_damage(progress, result.missing, shorten(result.damaged))
    if json:
        print_json(result)
    raise_if_damaged(result)
    if not json:
        print_lines(line(result))


def finish(failures: Sequence[object]) -> None:
    """Raise PartialFailure (exit code 3) if inputs were skipped."""
    if failures:
        skipped = "one input" if len(failures) == 1 else f"{len(failures)} inputs"
        raise PartialFailure(f"finished, but skipped {skipped}, named above.")
