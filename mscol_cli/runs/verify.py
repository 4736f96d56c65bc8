"""`mscol runs verify`: check the files of a run and the checksums of its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mscol_cli.contracts.progress import ByteMeter, Progress
from mscol_cli.errors import BadInputError, MissingDataError, MscolError
from mscol_cli.recipes.recipe import read_recipe
from mscol_cli.runs.layout import (
    CHECKPOINTS,
    CHECKSUMS,
    ENCODER,
    INITIAL,
    RECIPE,
    RUN,
    WEIGHTS,
    checkpoint_folder,
    checkpoint_folders,
    model_info_path,
    read_model_info,
    step_of,
)
from mscol_cli.runs.record import RunRecord, find_run_folder, read_run_folder
from mscol_cli.runs.state import FINISHED, RUNNING
from mscol_cli.system.files import has_changed, inside


@dataclass(frozen=True)
class VerifyResult:
    """Result of a verification.

    Attributes:
        run: The run folder.
        checkpoints: Steps of its checkpoints.
        files: Number of existing files with a checksum.
        bytes: Size of all weights.
        unhashed: Existing weights without a checksum, by their path in the run: of these only the
            structure was checked.
        missing: Missing files, by their path in the run.
        damaged: One line for each damaged file.
        seconds: Processing time.
    """

    run: Path
    checkpoints: list[int]
    files: int
    bytes: int
    unhashed: list[str]
    missing: list[str]
    damaged: list[str]
    seconds: float


@dataclass
class _Findings:
    files: int = 0
    unhashed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def run(name: str, progress: Progress) -> VerifyResult:
    """Read all weights of a run and report problems, also with its settings, metrics and probes.

    Args:
        name: A run folder, or its name under runs/.
        progress: Receives the bytes read, and a warning if the run is in progress.

    Raises:
        MissingDataError: The run does not exist.
    """
    begun = time.monotonic()
    folder = find_run_folder(name)
    record = read_run_folder(folder)
    if record.state.state == RUNNING:
        progress.warn(f"{folder} is being trained: its newest checkpoints may be incomplete.")
    findings = _Findings(damaged=list(record.problems))
    _check_settings(record, findings)
    weights = sorted(folder.glob("**/*.safetensors"))
    size = sum(path.stat().st_size for path in weights)
    meter = ByteMeter(progress, "checking", size)
    for checkpoint in _checkpoints(folder):
        _check_checkpoint(folder, checkpoint, findings, meter.add)
    progress.end()
    return VerifyResult(
        run=folder,
        checkpoints=record.checkpoints,
        bytes=size,
        seconds=round(time.monotonic() - begun, 3),
        **vars(findings),
    )


def raise_if_damaged(result: VerifyResult) -> None:
    """Raise MissingDataError if files are missing, MscolError if the run is damaged."""
    advice = "restore the files named above, or delete damaged checkpoints and add --resume"
    if result.missing:
        raise MissingDataError(f"{result.run} lacks files: {advice}")
    if result.damaged:
        raise MscolError(f"{result.run} is damaged: {advice}")


def _check_settings(record: RunRecord, findings: _Findings) -> None:
    """Check the recipe, the initial weights, the link to the best checkpoint, and that a finished
    run has its last checkpoint."""
    folder = record.folder
    if (folder / RECIPE).is_file():
        try:
            read_recipe(str(folder / RECIPE))
        except MscolError as error:
            findings.damaged.append(str(error))
    if "init" in record.info and not record.checkpoints:
        _check_weights(folder, folder / f"{INITIAL}.safetensors", None, findings, lambda _: None)
    for link in (path for path in (folder / CHECKPOINTS).glob("*") if path.is_symlink()):
        if not link.exists():
            findings.damaged.append(f"{link.relative_to(folder)}: points at a missing checkpoint")
    if record.state.state == FINISHED and record.steps > max(record.checkpoints, default=0):
        last = checkpoint_folder(folder, record.steps).relative_to(folder)
        findings.missing.append(str(last))


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a run; the folder itself if it holds weights, as an imported model does."""
    own = [folder] if (folder / f"{ENCODER}.safetensors").is_file() else []
    return own + checkpoint_folders(folder)


def _check_checkpoint(
    run: Path, folder: Path, findings: _Findings, watch: Callable[[int], None]
) -> None:
    info = _info(run, folder, findings)
    checksums = info.get(CHECKSUMS, {})
    own = folder == run
    names = checksums or {f"{stem}.safetensors": None for stem in ([ENCODER] if own else WEIGHTS)}
    for name, checksum in names.items():
        try:
            path = inside(folder, name)
        except BadInputError as error:
            findings.damaged.append(str(error))
            continue
        _check_weights(run, path, checksum, findings, watch)
    if not own and info and info.get("step") != step_of(folder):
        findings.damaged.append(
            f"{folder.relative_to(run) / RUN}: is of step {info.get('step')}, not of that folder"
        )


def _info(run: Path, folder: Path, findings: _Findings) -> Mapping[str, Any]:
    """Content of a checkpoint's run.json; empty if it cannot be read."""
    try:
        return read_model_info(folder)
    except MissingDataError:
        findings.missing.append(str(model_info_path(folder).relative_to(run)))
    except MscolError as error:
        if str(error) not in findings.damaged:
            findings.damaged.append(str(error))
    return {}


def _check_weights(
    run: Path,
    path: Path,
    checksum: str | None,
    findings: _Findings,
    watch: Callable[[int], None],
) -> None:
    """Compare a file of weights with its checksum; without one, only read its header."""
    name = str(path.relative_to(run))
    if not path.is_file():
        findings.missing.append(name)
        return
    if checksum is None:
        findings.unhashed.append(name)
        if problem := why_unreadable(path):
            findings.damaged.append(f"{name}: {problem}")
        watch(path.stat().st_size)
        return
    findings.files += 1
    if change := has_changed(path, str(checksum), watch):
        findings.damaged.append(f"{name}: {change}")


def why_unreadable(path: Path) -> str:
    """Why a safetensors file cannot be opened; empty if it can. Its size must match its header."""
    try:
        with safe_open(path, framework="numpy"):
            return ""
    except (SafetensorError, OSError) as error:
        return f"is damaged ({error})"
