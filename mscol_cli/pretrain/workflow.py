"""Pre-training: store -> plan -> crops -> front end -> augment -> encoder -> loss -> checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mscol_cli.contracts.progress import Progress, Silent
from mscol_cli.engine.devices import pick_device, process_group
from mscol_cli.engine.models import (
    build_encoder,
    build_objective,
    recorded_encoder,
    recorded_objective,
)
from mscol_cli.errors import Interrupted, MissingDataError, MscolError, UsageError
from mscol_cli.host import load_registry
from mscol_cli.pretrain.batches import CropSource
from mscol_cli.pretrain.finished import PretrainResult, finished_note, finished_result
from mscol_cli.pretrain.initial_weights import restore_initial
from mscol_cli.pretrain.online_probe import online_probe
from mscol_cli.pretrain.prepare import Parts, dry_run, prepare_run
from mscol_cli.pretrain.processes import decided_by_first, launch
from mscol_cli.pretrain.request import PretrainRequest
from mscol_cli.pretrain.settings import process_count
from mscol_cli.pretrain.training import Training, stopped
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.runs import checkpoint as checkpoints
from mscol_cli.runs import layout, state
from mscol_cli.runs.metrics import read_metrics
from mscol_cli.runs.record import read_run_folder
from mscol_cli.runs.tracks import chosen_tracks
from mscol_cli.store import Store
from mscol_cli.system import distributed
from mscol_cli.system.launcher import exit_with_parent, is_first, launched

__all__ = ["PretrainRequest", "PretrainResult", "dry_run", "run", "work_launched"]


def run(request: PretrainRequest, progress: Progress) -> PretrainResult:
    """Pre-train an encoder, in this process or in several new ones.

    Returns:
        The result. Only the first process of torchrun or srun knows loss and accuracy.

    Raises:
        UsageError: A name, option or number is invalid.
        MissingDataError: The store or the run to resume does not exist.
        Interrupted: A signal stopped the run, which was saved.
    """
    started = time.perf_counter()
    if launched() is not None:
        folder = _join(request, progress)
    else:
        folder, parts = prepare_run(request, progress)
        if not _is_finished(folder, progress):
            _train_here(folder, progress, parts)
    return _result(folder, round(time.perf_counter() - started, 2))


def work(folder: Path, progress: Progress, parts: Parts | None = None) -> None:
    """Train a prepared run in one process, with the settings in its run.json.

    Args:
        folder: The run folder.
        progress: Receives progress.
        parts: Encoder and objective as in run.json, newly built; None builds them.
    """
    info = layout.read_run(folder)
    device = pick_device(info["training"]["device"])
    with process_group(device):
        _train(folder, info, device, progress, parts)


def work_launched(folder: Path, progress: Progress) -> None:
    """Run `work` in a process started by `launch`; the process exits with its parent."""
    exit_with_parent()
    work(folder, progress)


def _is_finished(folder: Path, progress: Progress) -> bool:
    result = finished_result(read_run_folder(folder))
    if result is not None:
        progress.note(finished_note(result))
    return result is not None


def _train_here(folder: Path, progress: Progress, parts: Parts | None) -> None:
    training = layout.read_run(folder)["training"]
    if training["processes"] == 1:
        work(folder, progress, parts)
        return
    try:
        launch(training["processes"], ["worker", str(folder)])
    except Interrupted as error:
        raise _interrupted(folder, training["steps"]) from error
    except MscolError as error:
        # If another process than the first failed, the state was not recorded.
        recorded = state.read_state(folder)
        if recorded is None or recorded.state != state.FAILED:
            state.try_to_record(folder, state.FAILED, str(error))
        raise


def _interrupted(folder: Path, steps: int) -> MscolError:
    """The error for processes that were stopped: they have recorded it if they could save."""
    recorded = state.recorded_state(folder)
    if recorded is None or recorded.state != state.RUNNING:
        latest = checkpoints.latest_checkpoint(folder)
        return stopped(folder, latest.step if latest else 0, steps)
    hint = _where_to_resume(folder)
    error = MscolError(f"the processes of {folder} were killed before they saved: {hint}.")
    state.try_to_record(folder, state.FAILED, str(error))
    return error


def _where_to_resume(folder: Path) -> str:
    latest = checkpoints.latest_checkpoint(folder)
    return f"resume at step {latest.step} with --resume" if latest else "no checkpoint yet"


def _join(request: PretrainRequest, progress: Progress) -> Path:
    """Join a run started by torchrun or srun; the first process prepares it."""
    process_count(request)
    device = pick_device(request.options.get("device", "auto"))
    with process_group(device):
        first = distributed.rank() == 0
        name, parts = decided_by_first(partial(_prepare, request, progress), device)
        folder = Path(name)
        if not _is_finished(folder, progress if first else Silent()):
            _train(folder, layout.read_run(folder), device, progress, parts)
        return folder


def _prepare(request: PretrainRequest, progress: Progress) -> tuple[str, Parts | None]:
    folder, parts = prepare_run(request, progress)
    return str(folder), parts


def _train(
    folder: Path,
    info: Mapping[str, Any],
    device: torch.device,
    progress: Progress,
    parts: Parts | None,
) -> None:
    first = distributed.rank() == 0
    with state.track_state(folder, progress.warn) if first else nullcontext() as lock:
        progress = progress if first else Silent()
        training = _build(folder, info, device, progress, parts)
        training.lock = lock
        training.restore(progress)
        try:
            training.fit(progress)
        except RuntimeError as error:
            if not distributed.lost_another(error):
                raise
            hint = _where_to_resume(folder)
            raise MscolError(
                f"another process of {folder} was killed or has failed: {hint}."
            ) from error


def _build(
    folder: Path,
    info: Mapping[str, Any],
    device: torch.device,
    progress: Progress,
    parts: Parts | None,
) -> Training:
    registry = load_registry()
    settings = TrainingSettings(**info["training"])
    if parts is None:
        encoder = build_encoder(recorded_encoder(info, registry, folder), settings.seed)
        restore_initial(encoder, folder, info)
        recorded = recorded_objective(info, registry, folder)
        objective = build_objective(recorded, encoder, settings.seed)
    else:
        encoder, objective = parts
    store = Store.open(Path(info["store"]["path"]))
    if store.hash != info["store"]["hash"]:
        raise UsageError(f"{store.path} has changed since {folder} was started: train a new run.")
    source = CropSource(
        chosen_tracks(folder, store),
        objective,
        batch_size=settings.batch_size,
        crop_samples=encoder.crop_samples,
        level=encoder.level,
        seed=settings.seed,
        store_on=settings.store_on,
    )
    probe = online_probe(info, encoder, registry, progress)
    return Training(folder, info, settings, encoder, objective, source, device, probe)


def _result(folder: Path, seconds: float) -> PretrainResult:
    if not is_first():  # this process may not see yet what the first one has just written
        steps = layout.read_run(folder)["training"]["steps"]
        checkpoint = layout.checkpoint_folder(folder, steps)
        return PretrainResult(folder, checkpoint, steps, None, None, seconds)
    latest = checkpoints.latest_checkpoint(folder)
    if latest is None:
        raise MissingDataError(f"{folder} ended without a checkpoint.")
    last = (read_metrics(folder) or [{}])[-1]
    return PretrainResult(
        run=folder,
        checkpoint=latest.folder,
        steps=latest.step,
        loss=last.get("loss"),
        accuracy=last.get("accuracy"),
        seconds=seconds,
    )
