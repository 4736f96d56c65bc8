"""embed: model -> audio or store -> windows -> encoder -> folder of vectors -> file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mscol_cli.contracts.progress import Progress
from mscol_cli.embed.inputs import Inputs, find_inputs, is_silent
from mscol_cli.embed.pending import KnownContent, Pending, failures_of
from mscol_cli.embed.request import EmbedRequest
from mscol_cli.embed.target import Target, check_output, resolve_target
from mscol_cli.embed.worker import Worker
from mscol_cli.engine.devices import pick_device
from mscol_cli.engine.jobs import (
    is_managed_worker,
    local_device,
    no_worker_finished,
    rank_and_workers,
    run_workers,
    wanted_jobs,
    worker_arguments,
)
from mscol_cli.engine.models import Model, resolve_model
from mscol_cli.engine.vector_header import vector_header
from mscol_cli.errors import MscolError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.system.launcher import exit_with_parent
from mscol_cli.system.outcomes import (
    MAKE_ROOM,
    Failures,
    nothing_usable,
    resumable,
    silence_note,
    writing,
)
from mscol_cli.system.units import counted
from mscol_cli.vectors import VectorFolder, VectorHeader, is_vector_folder
from mscol_cli.vectors.header import POOLS, PRECISIONS

MAX_HOP_S = 1e6


@dataclass(frozen=True)
class EmbedResult:
    """Result of `mscol embed`.

    Attributes:
        output: The folder or file.
        model: Name of the model.
        model_hash: SHA-256 of its weights.
        clips: Number of clips with vectors in the output.
        windows: Number of embedded windows, also if they were pooled.
        dim: Size of a vector.
        done_before: Number of inputs that were embedded by an earlier command.
        removed: Number of vanished files that were removed from the listing.
        failures: Inputs that could not be used, with the reason.
        seconds: Elapsed time.
        finished: Whether this process wrote the result; one of several workers does.
    """

    output: Path
    model: str
    model_hash: str
    clips: int
    windows: int
    dim: int
    done_before: int = 0
    removed: int = 0
    failures: Failures = field(default_factory=list)
    seconds: float = 0.0
    finished: bool = True


def run(request: EmbedRequest, progress: Progress) -> EmbedResult:
    """Embed the inputs that the output lacks.

    Raises:
        UsageError: An option is invalid, two clips have the same name, or the folder has vectors of
            another model or with other settings.
        MissingDataError: The model or an input does not exist, or the inputs hold no audio.
        BadInputError: No input could be used; a file is not written.
        MscolError: The output cannot be written.
        Interrupted: Stopped by Ctrl-C; the same command resumes.
    """
    begun = time.monotonic()
    managed, ranks = is_managed_worker(), rank_and_workers()
    if managed:
        exit_with_parent()
    jobs = wanted_jobs(request.jobs, request.gpus)
    _check(request)
    for path in filter(is_vector_folder, request.inputs):
        raise UsageError(
            f"{path} is a folder of vectors: 'mscol vectors export {path} -o FILE' exports it."
        )
    inputs = find_inputs(request.inputs, request.source)
    device = pick_device("cpu" if jobs > 1 else local_device(request.device))
    model = resolve_model(request.model, request.encoder, load_registry(), device)
    header = _header(request, model)
    target = resolve_target(request.output, header)
    is_first = not managed and (ranks is None or ranks[0] == 0)
    if is_first:
        progress.note(model.describe())
    if target.is_file and ranks is not None and not managed:
        raise UsageError(
            f"processes of torchrun or srun fill a folder: use -o {request.output.stem}, then"
            f" 'mscol vectors export {request.output.stem} -o {request.output}'."
        )
    with writing(request.output):
        folder = target.create(header)
    _check_paths(folder, inputs)
    with resumable(f"finished files are saved in {target.folder}"):
        with writing(target.folder, MAKE_ROOM):
            # Of several processes the first one retries: another may just have found the failure.
            pending = Pending(folder, inputs.clips, retry=is_first)
            done = len(inputs.clips) - len(pending)
            progress.begin("embedding", len(inputs.clips), "clips")
            progress.skip(done)
            if jobs > 1:
                pinned = replace(_pinned(request, model), output=target.folder)
                _run_jobs(jobs, worker_arguments("embed", pinned), folder, pending, progress)
            else:
                known = KnownContent(folder, inputs.clips)
                worker = Worker(folder, model, device, pending, known.find, progress)
                worker.run(inputs.clips, *(ranks or (0, 1)))
            progress.end()
            if done < len(inputs.clips):
                _check_kept(target, folder, inputs)
        if not is_first:
            return _result(request, folder, [], done, 0, begun, finished=False)
        return _finish(request, target, folder, inputs, done, begun, progress)


def _finish(
    request: EmbedRequest,
    target: Target,
    folder: VectorFolder,
    inputs: Inputs,
    done: int,
    begun: float,
    progress: Progress,
) -> EmbedResult:
    """Remove vanished files and export."""
    with writing(target.folder, MAKE_ROOM):
        removed, others = target.remove_vanished(folder, inputs)
    if others:
        progress.note(f"{target.folder} keeps {counted(others, 'file')} of other inputs")
    for _, reason in inputs.unlisted:
        progress.warn(f"skipped {reason}")
    silent = sum(map(is_silent, folder.entries))
    if silent:
        progress.note(f"no vector for {counted(silent, 'track')}: {request.source} is silent")
    if short := sum(entry.shortfall is not None for entry in folder.entries):
        where = "" if target.is_file else f": see 'mscol vectors ls {target.folder}'"
        progress.note(f"a part of the audio is missing in {counted(short, 'file')}{where}")
    if names := [entry.id for entry in folder.entries if entry.silent]:
        progress.note(silence_note(names))
    failures = failures_of(folder, inputs)
    names = [clip.id for clip in inputs.clips]
    if not any(entry.rows for name in names if (entry := folder.find(name)) is not None):
        target.discard()
        raise nothing_usable(failures, len(names) + len(inputs.unlisted))
    with writing(target.output):
        target.finish(folder)
    return _result(request, folder, failures, done, removed, begun)


def _check_kept(target: Target, folder: VectorFolder, inputs: Inputs) -> None:
    """Raise MscolError if lines that this process has read are gone: another one has overwritten
    them, as locks of some file systems do not hold between hosts."""
    now = target.open()
    lost = sum(now.next_revision(clip.id) < folder.next_revision(clip.id) for clip in inputs.clips)
    if lost:
        raise MscolError(
            f"{target.folder} has lost the vectors of {counted(lost, 'file')} to another process:"
            " locks do not hold between hosts; delete the shards that 'mscol vectors verify"
            f" {target.folder}' names, then run the command in one process"
        )


def _result(
    request: EmbedRequest,
    folder: VectorFolder,
    failures: Failures,
    done: int,
    removed: int,
    begun: float,
    finished: bool = True,
) -> EmbedResult:
    header = folder.header
    return EmbedResult(
        output=request.output,
        model=header.model,
        model_hash=header.model_hash,
        clips=sum(entry.rows > 0 for entry in folder.entries),
        windows=sum(entry.windows for entry in folder.entries),
        dim=header.dim,
        done_before=done,
        removed=removed,
        failures=failures,
        seconds=time.monotonic() - begun,
        finished=finished,
    )


def _check(request: EmbedRequest) -> None:
    if request.windows and request.pool not in (None, "none"):
        raise UsageError(f"--windows means --pool none: omit it, or omit --pool {request.pool}.")
    for option, value, choices in (
        ("--pool", request.pooling, POOLS),
        ("--precision", request.precision, tuple(PRECISIONS)),
    ):
        if value not in choices:
            raise UsageError(f"{option} is '{value}': use {', '.join(choices)}.")
    check_output(request.output)


def _header(request: EmbedRequest, model: Model) -> VectorHeader:
    hop, rate = None, model.encoder.sample_rate
    if request.hop is not None:
        hop = round(request.hop * rate) if 0 < request.hop < MAX_HOP_S else 0
        if hop < 1:
            raise UsageError(
                f"--hop takes seconds, from {1 / rate:.6f} to {MAX_HOP_S:,.0f}, not {request.hop}."
            )
    return vector_header(
        model, hop=hop, pool=request.pooling, precision=request.precision, source=request.source
    )


def _check_paths(folder: VectorFolder, inputs: Inputs) -> None:
    """Raise UsageError if an input has the id of another file that still exists."""
    for clip in inputs.clips:
        entry = folder.find(clip.id)
        if entry is None or clip.version is None or entry.path in ("", clip.version.path):
            continue
        if Path(entry.path).exists() and not clip.path.samefile(entry.path):
            raise UsageError(
                f"{folder.path} already holds vectors of '{clip.id}' from {entry.path}, but this"
                f" input is {clip.path}: embed a folder that contains both, or choose another -o."
            )


def _pinned(request: EmbedRequest, model: Model) -> EmbedRequest:
    """The request with this model, even if another run becomes `runs/latest` meanwhile."""
    if model.folder is None:
        return request
    return replace(request, model=str(model.folder), encoder=None)


def _run_jobs(
    count: int,
    arguments: Sequence[str],
    folder: VectorFolder,
    pending: Pending,
    progress: Progress,
) -> None:
    if not pending:
        return
    pending.forget_failures()
    kept = f"finished files are saved in {folder.path}"
    codes = run_workers(count, arguments, progress, lambda: progress.advance(pending.update()))
    progress.advance(pending.update())
    if pending:
        raise no_worker_finished(codes, kept)
