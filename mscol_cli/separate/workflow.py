"""separate: files -> decode -> separator -> 16 kHz mono -> store, sealed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from mscol_cli.audio import find_audio
from mscol_cli.contracts.progress import Progress, Silent
from mscol_cli.contracts.separator import Separator
from mscol_cli.errors import (
    MissingDataError,
    UsageError,
)
from mscol_cli.recipes.recipe import to_toml
from mscol_cli.separate import estimate as estimates
from mscol_cli.separate.copies import STEMS_MANIFEST, Copies, copies_folder, open_copies
from mscol_cli.separate.estimate import Estimate
from mscol_cli.separate.inputs import find_tracks
from mscol_cli.separate.jobs import (
    is_managed_worker,
    local_device,
    rank_and_workers,
    run_jobs,
    wanted_jobs,
)
from mscol_cli.separate.plan import PendingTracks, find_pending, make_plan
from mscol_cli.separate.separator import SeparateRequest, build_separator, resolve
from mscol_cli.separate.worker import Worker
from mscol_cli.store import Store, store_beside
from mscol_cli.store.joining import failures_so_far
from mscol_cli.store.plan import Plan
from mscol_cli.system.files import real_path
from mscol_cli.system.launcher import exit_with_parent
from mscol_cli.system.outcomes import MAKE_ROOM, Failures, nothing_usable, resumable, writing

__all__ = ["SeparateRequest", "SeparateResult", "dry_run", "run"]


@dataclass(frozen=True)
class SeparateResult:
    """What was made.

    Attributes:
        store: Folder of the store.
        tracks: Tracks in it.
        done_before: Tracks among the inputs that were in it already.
        failures: Inputs that could not be used, with the reason.
        hours: Of music in the store.
        active: By source, the share of segments in which it sounds (mean |x| above 0.01).
        seconds: How long it took.
        exported: Folder of the listening copies; None if none were asked for.
        sealed: Whether this process finished the store, or found it finished; of several workers
            one does.
    """

    store: Path
    tracks: int
    done_before: int
    failures: Failures = field(default_factory=list)
    hours: float = 0.0
    active: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    exported: Path | None = None
    sealed: bool = True


def configuration(request: SeparateRequest) -> str:
    """The configuration of a separation, as TOML. Raises UsageError."""
    part, model = resolve(request)
    content = {
        "separate": {"separator": part.name, "model": model},
        "separators": {part.name: asdict(part.options)},
    }
    return to_toml(content, "separate")


def run(
    request: SeparateRequest, progress: Progress, arguments: Sequence[str] = ()
) -> SeparateResult:
    """Separate the inputs into a sealed store, going on where an earlier run stopped.

    Args:
        request: What, and how.
        progress: Who watches.
        arguments: The command line that a worker gets, where several are asked for.

    Raises:
        UsageError: An option, or a store made otherwise.
        MissingDataError: No input, or no weights.
        BadInputError: Not one input could be used.
        Interrupted: Stopped by Ctrl-C; the same command goes on.
    """
    begun = time.monotonic()
    if is_managed_worker():
        exit_with_parent()
    jobs, ranks = wanted_jobs(request), rank_and_workers()
    spoken_for = is_managed_worker()
    request = replace(request, device=local_device(request.device))
    output = store_path(request)
    exported = copies_folder(request.export, request.export_dir, request.inputs, output)
    watch = Silent() if spoken_for else progress
    separator, identity = build_separator(request, watch)
    tracks = find_tracks(request.inputs, output, separator, watch)
    failures: Failures = []
    sealed = True
    copies = open_copies(exported, request.export, identity, separator.sources)
    found = find_pending(output, tracks, copies, request.retry_failed)
    if found.tracks and (ranks is None or ranks[0] == 0) and not spoken_for:
        _estimate(request, found, separator, output, exported, progress)
    with resumable(f"finished tracks are safe in {output}"), writing(output, MAKE_ROOM):
        if spoken_for:  # the process that started this one has made the plan
            plan, todo = Plan.read(output), found
        else:
            plan, todo = make_plan(output, tracks, separator, identity, copies, progress, found)
        if plan is not None and jobs > 1:
            run_jobs(jobs, arguments, output, plan, progress, todo.outside(plan))
            failures = _failures(output)
        elif plan is not None:
            worker = Worker(output, separator, identity, copies, progress)
            stored = todo.outside(plan)
            sealed = worker.run(plan, *(ranks or (0, 1)), stored) and not spoken_for
            # What an earlier process has tried is told, too.
            failures = _failures(output) or worker.failures
    _tell_scaled(copies, progress)
    if not output.exists():
        raise nothing_usable(failures, len(tracks))
    result = _summary(output, todo.done, failures, time.monotonic() - begun)
    return replace(result, exported=exported, sealed=sealed)


def dry_run(request: SeparateRequest, progress: Progress) -> tuple[str, Estimate]:
    """The configuration of a separation, as TOML, and what it will take, which is said, too.

    Raises:
        UsageError: An option.
        MissingDataError: No input.
        MscolError: The disk has no room for it.
    """
    text, output = configuration(request), store_path(request)
    exported = copies_folder(request.export, request.export_dir, request.inputs, output)
    silent = Silent()
    try:
        separator, identity = build_separator(replace(request, offline=True), silent)
        is_whole = True
    except MissingDataError as error:
        progress.note(f"how long it takes is known when the weights are here: {error}")
        separator, identity = build_separator(request, silent, plan_only=True)
        is_whole = False
    tracks = find_tracks(request.inputs, output, separator, progress)
    copies = open_copies(exported, request.export, identity, separator.sources)
    todo = find_pending(output, tracks, copies, request.retry_failed)
    speed = _speed(request, separator, todo) if is_whole else None
    estimate = estimates.estimate(todo, separator, output, exported, request.export, speed)
    estimates.say(estimate, progress)
    estimates.require_space(estimate)
    return text, estimate


def store_path(request: SeparateRequest) -> Path:
    """The store of a request. Raises UsageError, MissingDataError."""
    if request.output is not None:
        output = request.output
    elif len(request.inputs) == 1 and request.inputs[0].is_dir():
        output = store_beside(request.inputs[0])
    else:
        find_audio(request.inputs)  # a missing input deserves to be named before -o is asked for
        raise UsageError("name the store with -o STORE: only one input folder has a default.")
    if any(real_path(output) == real_path(source) for source in request.inputs):
        raise UsageError(f"{output} is an input too: name another place with -o.")
    return output


def _estimate(
    request: SeparateRequest,
    todo: PendingTracks,
    separator: Separator,
    output: Path,
    exported: Path | None,
    progress: Progress,
) -> None:
    """Say what it will take, and refuse what the disk has no room for."""
    speed = None
    if (todo.hours or 0.0) >= estimates.WORTH_A_TRIAL:
        # Processes that share the work load networks of their own: this one keeps none.
        alone = wanted_jobs(request) == 1
        trial = separator if alone else build_separator(request, Silent())[0]
        speed = _speed(request, trial, todo)
    estimate = estimates.estimate(todo, separator, output, exported, request.export, speed)
    estimates.say(estimate, progress)
    estimates.require_space(estimate)


def _speed(request: SeparateRequest, separator: Separator, todo: PendingTracks) -> float | None:
    if not todo.tracks:
        return None
    speed = estimates.measure_speed(separator, request.device, todo.music.channels)
    return None if speed is None else speed * (request.gpus or 1)


def _failures(output: Path) -> Failures:
    failures = {failure.input: failure.reason for failure in failures_so_far(output, None)}
    return [*failures.items()]


def _tell_scaled(copies: Copies | None, progress: Progress) -> None:
    if copies is not None and copies.scaled:
        progress.note(
            f"{copies.scaled} tracks would have clipped: all their sources were turned down alike,"
            f" by the gain in {copies.folder / STEMS_MANIFEST}"
        )


def _summary(output: Path, done_before: int, failures: Failures, seconds: float) -> SeparateResult:
    store = Store.open(output)
    return SeparateResult(
        store=output,
        tracks=store.header.tracks,
        done_before=done_before,
        failures=failures,
        hours=store.header.hours,
        active=store.active_shares(),
        seconds=seconds,
    )
