"""`mscol cache`: list and prune the cache of embeddings."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import Json
from mscol_cli.commands.terminal import print_json, print_lines, print_table
from mscol_cli.errors import UsageError
from mscol_cli.system.units import format_bytes

if TYPE_CHECKING:
    from mscol_cli.cache.listing import CachedModel
    from mscol_cli.cache.prune import PruneResult

cache = typer.Typer(help="List or prune the cache of embeddings.", no_args_is_help=True)

UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
COLUMNS = ("model", "hash", "encoder", "files", "vectors", "size", "last used")


@cache.command()
def ls(json: Json = False) -> None:
    """List the cached embeddings of each model: files, vectors, size, and when they were used."""
    from mscol_cli.cache.listing import list_cache

    listing = list_cache()
    if json:
        print_json(listing)
        return
    if listing.models:
        print_table(COLUMNS, [_row(model) for model in listing.models])
    print_lines(f"{listing.folder}: {format_bytes(listing.bytes)}")


@cache.command()
def prune(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Remove the embeddings of a model: its name, its encoder or the first characters"
            " of its hash; repeat for more.",
            metavar="MODEL",
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(help="Remove embeddings not used for as long: 12h, 30d, 8w.", metavar="AGE"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Remove all embeddings.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and stop.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove cached embeddings, except those that another process uses.

    Without options, removes those of other versions of mscol, and those of files that do not exist
    any more. Embeddings that are needed again are computed again.
    """
    from mscol_cli.cache.prune import PruneRequest
    from mscol_cli.cache.prune import prune as remove

    age = None if older_than is None else _seconds(older_than)
    request = PruneRequest(tuple(model or ()), age, every, dry_run)
    if not (yes or json or dry_run) and sys.stdin.isatty() and sys.stderr.isatty():
        preview = remove(replace(request, dry_run=True))
        if preview.removed and not _confirm(preview):
            return
    result = remove(request)
    with TerminalProgress() as progress:
        for kept in result.in_use:
            progress.warn(f"{kept.folder} is in use by another process, and was kept.")
    if json:
        print_json(result)
    else:
        _print(result)


def _confirm(preview: PruneResult) -> bool:
    _print(preview)
    return typer.confirm("Remove?", err=True)


def _print(result: PruneResult) -> None:
    if result.removed:
        print_table(COLUMNS, [_row(model) for model in result.removed])
    verb = "would be removed" if result.dry_run else "removed"
    count = "one model" if len(result.removed) == 1 else f"{len(result.removed)} models"
    print_lines(f"{result.folder}: {verb}: {count}, {format_bytes(result.bytes)}")


def _row(model: CachedModel) -> tuple[str, ...]:
    name = model.model or "(of another version)"
    if model.corruption is not None:
        name += f", {model.corruption}"
    used = datetime.fromtimestamp(model.last_used).strftime("%Y-%m-%d %H:%M")
    counts = (f"{model.files:,}", f"{model.vectors:,}", format_bytes(model.bytes))
    return (name, (model.model_hash or "-")[:12], model.encoder or "-", *counts, used)


def _seconds(age: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([hdw])", age)
    if match is None:
        raise UsageError(
            f"--older-than takes a number of hours, days or weeks, as 30d; not '{age}'."
        )
    return int(match[1]) * UNITS[match[2]]
