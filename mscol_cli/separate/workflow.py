"""separate: files -> decode -> separator -> 16 kHz mono -> sealed store."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from mscol_cli.audio import find_audio
from mscol_cli.contracts.plans import MIXTURE
from mscol_cli.contracts.progress import Progress, Silent
from mscol_cli.contracts.separator import Separator
from mscol_cli.engine.devices import release_memory
from mscol_cli.engine.jobs import (
    is_managed_worker,
    local_device,
    rank_and_workers,
    wanted_jobs,
    worker_arguments,
)
from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.recipes.recipe import to_toml
from mscol_cli.separate import estimate as estimates
from mscol_cli.separate.copies import STEMS_MANIFEST, Copies, copies_folder, open_copies
from mscol_cli.separate.estimate import Estimate
from mscol_cli.separate.inputs import find_tracks
from mscol_cli.separate.jobs import run_jobs
from mscol_cli.separate.pending import PendingTracks, find_pending, has_only_retries
from mscol_cli.separate.plan import make_plan
from mscol_cli.separate.request import SeparateRequest
from mscol_cli.separate.separator import build_separator, resolve
from mscol_cli.separate.worker import Worker
from mscol_cli.store import Store, store_beside
from mscol_cli.store.header import HEADER
from mscol_cli.store.joining import failures_so_far
from mscol_cli.store.plan import Plan
from mscol_cli.store.writer import find_header
from mscol_cli.system.files import real_path
from mscol_cli.system.launcher import exit_with_parent, launched_at
from mscol_cli.system.outcomes import MAKE_ROOM, Failures, nothing_usable, resumable, writing
from mscol_cli.system.units import counted

__all__ = ["SeparateRequest", "SeparateResult", "dry_run", "run"]


@dataclass(frozen=True)
class SeparateResult:
    """Result of a separation.

    Attributes:
        store: Folder of the store.
        tracks: Number of tracks in the store.
        done_before: Number of inputs that were already in the store.
        failures: Inputs that could not be used, with reasons.
        hours: Duration of the music in the store.
        active: Share of active segments (mean |x| above 0.01), by source.
        seconds: Processing time.
        exported: Folder of the listening copies; None without.
        sealed: Whether this process sealed the store, or found it sealed; one of several workers
            does.
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
    """Configuration of a separation as TOML. Raises UsageError."""
    part, model = resolve(request)
    content = {
        "separate": {"separator": part.name, "model": model},
        "separators": {part.name: asdict(part.options)},
    }
    return to_toml(content, "separate")


def run(request: SeparateRequest, progress: Progress) -> SeparateResult:
    """Separate the inputs into a sealed store, resuming an earlier run.

    Raises:
        UsageError: An option is invalid, or the store was made with other settings.
        MissingDataError: The inputs or the weights do not exist.
        BadInputError: No input could be used.
        Interrupted: Stopped by Ctrl-C; the same command resumes.
    """
    begun = time.monotonic()
    managed = is_managed_worker()
    if managed:
        exit_with_parent()
    jobs, ranks = wanted_jobs(request.jobs, request.gpus), rank_and_workers()
    arguments = worker_arguments("separate", request)
    request = replace(request, device=local_device(request.device))
    output = store_path(request)
    exported = copies_folder(request.export, request.export_dir, request.inputs, output)
    # One of several processes prints what concerns all inputs.
    is_first = not managed and (ranks is None or ranks[0] == 0)
    notes = progress if is_first else Silent()
    separator, identity = build_separator(request, notes)
    tracks = find_tracks(request.inputs, output, separator, notes)
    failures: Failures = []
    earlier: Failures = []
    sealed = True
    copies = open_copies(exported, request.export, identity, separator.sources)
    find_header(output, (MIXTURE, *separator.sources), identity)  # refuses other settings
    pending = find_pending(output, tracks, copies, request.retry_failed)
    late = partial(_is_late, output, ranks)
    if pending.tracks and is_first and not late(pending):
        speed = _try_speed(request, separator, pending)
        _print_estimate(pending, separator, output, copies, speed, progress)
    with resumable(f"finished tracks are saved in {output}"), writing(output, MAKE_ROOM):
        if managed:  # the parent process has made the plan
            plan = pending.plan
            if plan is None:
                return SeparateResult(output, 0, pending.done, sealed=False)
        else:
            changes = progress if is_first else None
            plan, pending = make_plan(
                output, tracks, separator, identity, copies, changes, pending, late
            )
            sealed = plan is not None or not late(pending)
        if plan is not None:
            worker = Worker(output, separator, identity, copies, progress, tracks)
            share, stored = ranks or (0, 1), pending.outside(plan)
            if jobs > 1:
                earlier = _failures(output, plan)
                run_jobs(jobs, arguments, output, plan, progress, stored)
            else:
                worker.fill(plan, *share, stored)
            if managed:  # the parent process seals the store
                return SeparateResult(output, 0, pending.done, worker.failures, sealed=False)
            sealed = worker.seal(*share)
            progress.end()
            failures = _failures(output) or worker.sealed_failures or worker.failures
            if jobs == 1:
                own = set(worker.failures)
                earlier = [failure for failure in failures if failure not in own]
    _note_scaled(copies, progress)
    if not output.exists():
        raise nothing_usable(failures, len(tracks))
    if sealed:  # other processes have printed these, perhaps on another day
        for _, reason in earlier:
            progress.warn(f"skipped {reason}")
    store = Store.open(output)
    return SeparateResult(
        store=output,
        tracks=store.header.tracks,
        done_before=pending.done,
        failures=failures,
        hours=store.header.hours,
        active=store.active_shares(),
        seconds=time.monotonic() - begun,
        exported=exported,
        sealed=sealed,
    )


def dry_run(request: SeparateRequest, progress: Progress) -> tuple[str, Estimate]:
    """Configuration of a separation as TOML, and its estimate, which is also printed.

    Raises:
        UsageError: An option is invalid, or the store was made with other settings.
        MissingDataError: An input does not exist.
        MscolError: The disk has too little free space.
    """
    text, output = configuration(request), store_path(request)
    exported = copies_folder(request.export, request.export_dir, request.inputs, output)
    silent = Silent()
    try:
        separator, identity = build_separator(replace(request, offline=True), silent)
        has_weights = True
    except MissingDataError as error:
        progress.note(f"the expected time is unknown without the weights: {error}")
        separator, identity = build_separator(request, silent, plan_only=True)
        has_weights = False
    tracks = find_tracks(request.inputs, output, separator, progress)
    copies = open_copies(exported, request.export, identity, separator.sources)
    find_header(output, (MIXTURE, *separator.sources), identity, shared=not has_weights)
    pending = find_pending(output, tracks, copies, request.retry_failed)
    speed = _speed(request, separator, pending) if has_weights else None
    return text, _print_estimate(pending, separator, output, copies, speed, progress)


def store_path(request: SeparateRequest) -> Path:
    """Folder of the requested store. Raises UsageError, MissingDataError."""
    if request.output is not None:
        output = request.output
    elif len(request.inputs) == 1 and request.inputs[0].is_dir():
        output = store_beside(request.inputs[0])
    else:
        find_audio(request.inputs)  # reports a missing input before the missing -o
        if len(request.inputs) > 1:
            raise UsageError("name the store with -o STORE: several inputs have no default.")
        output = store_beside(request.inputs[0].with_suffix(""))
    if any(real_path(output) == real_path(source) for source in request.inputs):
        raise UsageError(f"{output} is an input too: choose another -o.")
    return output


def _is_late(output: Path, ranks: tuple[int, int] | None, pending: PendingTracks) -> bool:
    """Whether a worker comes after the seal, and leaves the inputs that failed to others: to those
    that tried them in this job, or else to the first one, which tries them again. Only one may end
    with 3, as torchrun ends the others then."""
    if ranks is None or not has_only_retries(output, pending):
        return False
    return ranks[0] > 0 or (output / HEADER).stat().st_mtime >= launched_at()


def _try_speed(
    request: SeparateRequest, separator: Separator, pending: PendingTracks
) -> float | None:
    """Speed of the separator; None for little music, which is not worth a trial."""
    if (pending.music.hours or 0.0) < estimates.MIN_TRIAL_HOURS:
        return None
    if wanted_jobs(request.jobs, request.gpus) == 1:
        return _speed(request, separator, pending)
    # Worker processes load their own networks: the trial must leave none in this process.
    speed = _speed(request, build_separator(request, Silent())[0], pending)
    release_memory()
    return speed


def _print_estimate(
    pending: PendingTracks,
    separator: Separator,
    output: Path,
    copies: Copies | None,
    speed: float | None,
    progress: Progress,
) -> Estimate:
    music, new_music = pending.music, pending.new_music
    estimate = estimates.estimate(music, new_music, pending.done, separator, output, copies, speed)
    estimates.print_estimate(estimate, progress)
    estimates.check_disk_space(estimate)
    return estimate


def _speed(request: SeparateRequest, separator: Separator, pending: PendingTracks) -> float | None:
    if not pending.tracks:
        return None
    speed = estimates.measure_speed(separator, request.device, pending.music.channels)
    return None if speed is None else speed * (request.gpus or 1)


def _failures(output: Path, plan: Plan | None = None) -> Failures:
    failures = {failure.input: failure.reason for failure in failures_so_far(output, plan)}
    return [*failures.items()]


def _note_scaled(copies: Copies | None, progress: Progress) -> None:
    if copies is not None and copies.scaled:
        progress.note(
            f"{counted(copies.scaled, 'track')} would have clipped: all sources were attenuated by"
            f" the gain in {copies.folder / STEMS_MANIFEST}"
        )
