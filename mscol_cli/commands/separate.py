"""`mscol separate`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mscol_cli.commands.options import OUTPUT, PROCESSES, with_request
from mscol_cli.commands.progress import TerminalProgress
from mscol_cli.commands.shared import DryRun, Json, finish, format_done_before
from mscol_cli.commands.terminal import print_result
from mscol_cli.errors import UsageError
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.system.units import counted, format_duration

if TYPE_CHECKING:
    from mscol_cli.separate.workflow import SeparateResult

_OF_STORES = ("output", "export", "export_dir", "retry_failed", "jobs", "gpus")
"""Options that only matter if a store is written."""


@with_request(
    {
        OUTPUT: ("output", "export", "export_dir", "retry_failed", "dry_run", "json"),
        "Separator": (
            "recipe",
            "separator",
            "model",
            "offline",
            "options",
            "precision",
            "check_chunking",
        ),
        PROCESSES: ("jobs", "gpus", "device"),
    }
)
def separate(
    request: SeparateRequest,
    check_chunking: Annotated[
        bool,
        typer.Option(
            "--check-chunking",
            help="Separate one long file at once and in chunks and print the difference, without"
            " writing a store.",
        ),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Separate music into sources and write them to a store for pre-training.

    A store holds the mixture and its stems as 16 kHz mono. The same command resumes an interrupted
    run; a file that cannot be used is reported and skipped (exit code 3).
    """
    if check_chunking:
        _refuse_unused(request, dry_run)
        _check_chunking(request, json)
        return
    if dry_run:
        _dry_run(request, json)
        return
    from mscol_cli.separate.workflow import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    print_result(result, json, _format_result(result))
    # Only one of several workers fails: torchrun ends the others as soon as one does.
    finish(result.failures if result.sealed else [])


def _format_result(result: SeparateResult) -> Iterator[str]:
    if not result.sealed:
        yield f"{result.store}: all tracks are done, another worker seals the store"
        return
    before = f" ({format_done_before(result.done_before)})" if result.done_before else ""
    yield (
        f"{result.store}: {counted(result.tracks, 'track')},"
        f" {format_duration(3600 * result.hours)} of music{before},"
        f" in {format_duration(result.seconds)}"
    )
    active = ", ".join(f"{name} {share:.0%}" for name, share in result.active.items())
    if active:
        yield f"segments in which a source sounds: {active}"
    if result.exported:
        yield f"listening copies: {result.exported}"


def _dry_run(request: SeparateRequest, json: bool) -> None:
    from mscol_cli.separate.workflow import dry_run

    with TerminalProgress() as progress:
        configuration, estimate = dry_run(request, progress)
    print_result(estimate, json, [configuration.rstrip()])


def _refuse_unused(request: SeparateRequest, dry_run: bool) -> None:
    """Raise UsageError for options that `--check-chunking` does not use."""
    options = {name: getattr(request, name) for name in _OF_STORES} | {"dry_run": dry_run}
    unused = [name for name, value in options.items() if value not in (None, False)]
    if unused:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise UsageError(f"--check-chunking writes no store: leave out {names}.")


def _check_chunking(request: SeparateRequest, json: bool) -> None:
    from mscol_cli.separate.check_chunking import run

    with TerminalProgress() as progress:
        result = run(request, progress)
    ratios = ", ".join(
        f"{name} no difference" if ratio is None else f"{name} {ratio:.1f} dB"
        for name, ratio in result.snr_db.items()
    )
    lines = [
        f"{result.track}: {result.seconds:.1f} s in {result.chunks} chunks of"
        f" {result.chunk_seconds:.1f} s with {result.overlap_seconds:.1f} s overlap",
        f"SNR of chunks against separation at once: {ratios}",
        f"took {result.seconds_whole:.1f} s at once, {result.seconds_chunked:.1f} s in chunks",
    ]
    print_result(result, json, lines)
