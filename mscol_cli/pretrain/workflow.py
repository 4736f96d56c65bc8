"""pretrain: store -> plan -> crops -> front end -> augment -> encoder -> loss -> checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from mscol_cli.contracts.progress import Progress, Silent
from mscol_cli.engine.devices import is_launched, pick_device, process_group
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
from mscol_cli.pretrain.online_probe import online_probe
from mscol_cli.pretrain.prepare import Parts, dry_run, prepare_run
from mscol_cli.pretrain.processes import launch
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
from mscol_cli.system.launcher import exit_with_parent

__all__ = ["PretrainRequest", "PretrainResult", "dry_run", "run", "work_launched"]


def run(request: PretrainRequest, progress: Progress) -> PretrainResult | None:
    """Pre-train an encoder, in this process or in several that are started for it.

    Returns:
        The result; None in a process of torchrun or srun that is not the first, so that one of
        them speaks for all.

    Raises:
        UsageError: A name, option or number that cannot be used.
        MissingDataError: No store, or no run to resume.
        Interrupted: Stopped by a signal, and saved.
    """
    started = time.perf_counter()
    if is_launched():
        folder = _join(request, progress)
    else:
        folder, parts = prepare_run(request, progress)
        if not _is_finished(folder, progress):
            _train_here(folder, progress, parts)
    return _result(folder, time.perf_counter() - started) if folder else None


def work(folder: Path, progress: Progress, parts: Parts | None = None) -> None:
    """Do one process's part of a run that is prepared: everything it needs is in its run.json.

    Args:
        folder: Of the run.
        progress: Told how far it is.
        parts: Encoder and objective, freshly built as run.json says; None builds them.
    """
    info = layout.read_run(folder)
    device = pick_device(info["training"]["device"])
    with process_group(device):
        _train(folder, info, device, progress, parts)


def work_launched(folder: Path, progress: Progress) -> None:
    """`work` in a process that `launch` started, and that does not outlive what started it."""
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
        found = checkpoints.latest_checkpoint(folder)
        raise stopped(folder, found.step if found else 0, training["steps"]) from error
    except MscolError as error:
        # A process other than the first may have failed, which then had no time to say anything.
        told = state.read_state(folder)
        if told is None or told.state != state.FAILED:
            state.record(folder, state.FAILED, str(error))
        raise


def _join(request: PretrainRequest, progress: Progress) -> Path | None:
    """Take part in a run that torchrun or srun started: the first process prepares it."""
    process_count(request)
    device = pick_device(request.options.get("device", "auto"))
    with process_group(device):
        first = distributed.rank() == 0
        prepared, parts = prepare_run(request, progress) if first else ("", None)
        folder = Path(distributed.broadcast_text(str(prepared), device))
        if not _is_finished(folder, progress if first else Silent()):
            _train(folder, layout.read_run(folder), device, progress, parts)
        return folder if first else None


def _train(
    folder: Path,
    info: Mapping[str, Any],
    device: torch.device,
    progress: Progress,
    parts: Parts | None,
) -> None:
    first = distributed.rank() == 0
    with state.track_state(folder) if first else nullcontext():
        shown = progress if first else Silent()
        training = _build(folder, info, device, shown, parts)
        training.restore(shown)
        try:
            training.fit(shown)
        except RuntimeError as error:
            if distributed.lost_another(error):
                raise _left_alone(folder) from error
            raise


def _left_alone(folder: Path) -> MscolError:
    found = checkpoints.latest_checkpoint(folder)
    kept = f"--resume goes on from step {found.step}" if found else "there is no checkpoint yet"
    return MscolError(f"another process of {folder} was killed or has failed: {kept}.")


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
        built = build_encoder(recorded_encoder(info, registry), settings.seed)
        parts = built, build_objective(recorded_objective(info, registry), built, settings.seed)
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
        place=settings.store_on,
    )
    probe = online_probe(info, encoder, registry, progress)
    return Training(folder, info, settings, encoder, objective, source, device, probe)


def _result(folder: Path, seconds: float) -> PretrainResult:
    found = checkpoints.latest_checkpoint(folder)
    if found is None:
        raise MissingDataError(f"{folder} ended without a checkpoint.")
    last = read_metrics(folder)[-1:]
    return PretrainResult(
        run=folder,
        checkpoint=found.folder,
        steps=found.step,
        loss=last[0].get("loss") if last else None,
        accuracy=last[0].get("accuracy") if last else None,
        seconds=round(seconds, 2),
    )
