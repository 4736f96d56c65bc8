"""The Typer app, which turns exceptions into error lines and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mscol_cli import __version__
from mscol_cli.commands.cache import cache
from mscol_cli.commands.demo import demo
from mscol_cli.commands.download import download
from mscol_cli.commands.embed import embed
from mscol_cli.commands.export import export
from mscol_cli.commands.import_checkpoint import import_checkpoint
from mscol_cli.commands.json_output import documents, wants_json
from mscol_cli.commands.log import log, open_log
from mscol_cli.commands.map import draw_map
from mscol_cli.commands.plugins import plugins
from mscol_cli.commands.pretrain import pretrain, pretrain_worker
from mscol_cli.commands.probe import probe
from mscol_cli.commands.push import push
from mscol_cli.commands.recipes import recipes
from mscol_cli.commands.report import report
from mscol_cli.commands.reproduce import reproduce
from mscol_cli.commands.runs import runs
from mscol_cli.commands.separate import separate
from mscol_cli.commands.similar import similar
from mscol_cli.commands.store import store
from mscol_cli.commands.tag import tag
from mscol_cli.commands.terminal import print_error, print_error_json, print_lines
from mscol_cli.commands.vectors import vectors
from mscol_cli.errors import Interrupted, MscolError, PluginCallError, UsageError
from mscol_cli.system.launcher import reports_interruption
from mscol_cli.system.signals import is_interrupted

app = typer.Typer(
    name="mscol",
    help="Learn music representations by associating songs with their separated sources.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # In rich markup, the default, brackets in help texts are tags and vanish.
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(download)
app.command()(separate)
app.command()(pretrain)
app.command()(embed)
app.command()(similar)
app.command(name="map")(draw_map)
app.command()(probe)
app.command()(tag)
app.command(name="import")(import_checkpoint)
app.command()(push)
app.command()(export)
app.command()(report)
app.command()(reproduce)
app.command()(demo)
app.add_typer(store, name="store")
app.add_typer(vectors, name="vectors")
app.add_typer(runs, name="runs")
app.add_typer(cache, name="cache")
app.add_typer(plugins, name="plugins")
app.add_typer(recipes, name="recipes")
app.command(name="worker", hidden=True)(pretrain_worker)

VERBOSE = "MSCOL_VERBOSE"
INTERRUPTED = "interrupted."


def _show_version(value: bool) -> None:
    if value:
        print_lines(f"mscol {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the traceback of an error.")
    ] = False,
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file",
            help="Append progress, warnings and errors to a file, with times and tracebacks.",
            metavar="FILE",
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Learn music representations by associating songs with their separated sources."""
    # An environment variable, so that child processes print their tracebacks, too.
    if verbose:
        os.environ[VERBOSE] = "1"
    if log_file is not None:
        words = " ".join(sys.argv[1:])
        open_log(log_file, f"mscol {__version__}: {words or context.invoked_subcommand}")


@dataclass(frozen=True)
class _Problem:
    """What ended a command: its exit code, the exception and the line to print."""

    code: int
    error: BaseException
    message: str
    unexpected: bool = False


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every error is one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    before = documents()
    result = _call(arguments)
    if isinstance(result, int):
        return result
    if result.code != Interrupted.exit_code or reports_interruption():
        _report(result)
    if wants_json(arguments) and documents() == before:
        with suppress(BrokenPipeError):
            print_error_json(result.code, result.error, result.message)
    return result.code


def _call(arguments: Sequence[str]) -> int | _Problem:
    """Exit code of a command line, or what ended it."""
    try:
        _refuse_empty(arguments)
        # `obj` is for commands that run other command lines: they do not import this module.
        code = app(args=arguments, standalone_mode=False, obj=run)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _Problem(Interrupted.exit_code, error, INTERRUPTED)
    except PluginCallError as error:
        return _Problem(error.exit_code, error, f"{error}{_hint()}", unexpected=True)
    except MscolError as error:
        return _Problem(error.exit_code, error, str(error))
    except BrokenPipeError:
        return 1
    except Exception as error:
        return _unexpected(error)
    # Some versions of Typer turn Ctrl-C into this exit code without a message.
    if code == Interrupted.exit_code:
        return _Problem(code, Interrupted(INTERRUPTED), INTERRUPTED)
    return code if isinstance(code, int) else 0


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise UsageError for an empty argument: as a path it would be the current folder."""
    for position, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option.startswith("--") and equals and not value:
            raise UsageError(f"{option} is empty: give it a value, or omit it.")
        if not argument:
            before = arguments[position - 1] if position else ""
            name = before if before.startswith("-") and before != "--" else "an argument"
            raise UsageError(f"{name} is empty: give it a value, or omit it.")


def _unexpected(error: Exception) -> int | _Problem:
    if is_interrupted():
        return _Problem(Interrupted.exit_code, error, INTERRUPTED)
    # Typer's own errors (an unknown option, a bad value) carry their exit code and message.
    if hasattr(error, "format_message"):
        message = _misplaced(error) or error.format_message()
        return _Problem(2, error, message) if message else 2
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        problem = f"{named}{error.strerror}: check the path, its permissions and its disk"
        return _Problem(1, error, f"{problem}, or choose another path.", unexpected=not named)
    return _Problem(1, error, f"{type(error).__name__}: {error}{_hint()}", unexpected=True)


def _misplaced(error: Exception) -> str | None:
    """The message for an option of `mscol` itself that stands behind a command."""
    name = getattr(error, "option_name", None)
    if name not in {name for option in typer.main.get_command(app).params for name in option.opts}:
        return None
    return f"{name} is an option of mscol itself: put it before the command."


def _report(problem: _Problem) -> None:
    """Print the line of an error, with its traceback where that is asked for."""
    lines = "".join(traceback.format_exception(problem.error))
    if os.environ.get(VERBOSE):
        sys.stderr.write(lines)
    if os.environ.get(VERBOSE) or problem.unexpected:
        log(lines)
    print_error(problem.message)


def _hint() -> str:
    return "" if os.environ.get(VERBOSE) else " (mscol --verbose COMMAND shows where)"
