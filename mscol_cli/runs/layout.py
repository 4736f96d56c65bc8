"""Names and layout of run folders. Does not import torch, which is slow to load."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.recipes.options import TrainingSettings
from mscol_cli.runs.schema import RecordedRun
from mscol_cli.system.files import relative_to_here, replace_link, write_json
from mscol_cli.system.json_files import parsing, read_json
from mscol_cli.system.temporary import is_temporary
from mscol_cli.system.values import as_json, from_json

STAMP: Mapping[str, Any] = {"format": "mscol-run", "version": 1}
"""Format and version of a run.json."""
RUNS = Path("runs")
LATEST = "latest"
STEP_PREFIX = "step-"
RUN, RECIPE, CHECKPOINTS = "run.json", "recipe.toml", "checkpoints"
"""Files of a run: its settings, the settings that affect the result as a recipe, checkpoints."""
CONFIG = "config.json"
"""Name of run.json in a model repository, where tools expect it."""
ENCODER, OBJECTIVE, OPTIMIZER = WEIGHTS = "encoder", "objective", "optimizer"
"""Stems of the safetensors files of a checkpoint."""
CHECKSUMS = "checksums"
"""Key of a checkpoint's run.json: SHA-256 of its safetensors files, by name."""
INITIAL = "init"
"""Stem of the safetensors file with the initial weights of a run that starts from a model."""
PROBES, PROBE_REPORT = "probes", "probe.json"
"""Folder of a run's probe results, one folder each, and the report in each."""

_DECISIVE = {
    item.name
    for item in fields(TrainingSettings)
    if item.metadata["role"] in ("result", "length") and not item.metadata["later"]
}


def _checked(folder: Path, info: dict[str, Any]) -> dict[str, Any]:
    """Check layout and structure of a run.json; returns it with complete training settings, or
    without. Raises UsageError, also for settings without which a run would resume as another."""
    stamp = {key: info.get(key) for key in STAMP}
    if stamp != STAMP:
        raise UsageError(
            f"{folder} has layout {' '.join(map(str, stamp.values()))}, this mscol reads"
            f" {' '.join(map(str, STAMP.values()))}: use the mscol that wrote it, or train again."
        )
    with parsing(folder / RUN):
        training = from_json(RecordedRun, info).training
        if training is not None and (missing := _DECISIVE - info["training"].keys()):
            raise ValueError(f"training has no {', '.join(sorted(missing))}")
    if training is None:
        return {key: value for key, value in info.items() if key != "training"}
    return {**info, "training": as_json(training)}


def checkpoint_folders(run: Path) -> list[Path]:
    """The checkpoints of a run, sorted by step; folders with other names, such as copies, are not
    among them."""
    paths = (run / CHECKPOINTS).glob(f"{STEP_PREFIX}*")
    by_step = sorted((step, path) for path in paths if (step := step_of(path)) is not None)
    return [path for _, path in by_step]


def checkpoint_folder(run: Path, step: int) -> Path:
    """Folder of the checkpoint at a step."""
    return run / CHECKPOINTS / f"{STEP_PREFIX}{step:08d}"


def step_of(folder: Path) -> int | None:
    """Step in the name of a checkpoint folder; None for other names."""
    number = folder.name.removeprefix(STEP_PREFIX)
    return int(number) if folder.name.startswith(STEP_PREFIX) and number.isdecimal() else None


def follow_latest(run: Path) -> Path:
    """Resolve the link `latest` to the run it points at; other paths are returned unchanged."""
    return relative_to_here(run.resolve()) if run.name == LATEST else run


def find_named(name: str | Path) -> Path | None:
    """Find a folder by its path, or by its path below `runs/`, such as the name of a run; None if
    there is neither."""
    folder = next((path for path in (Path(name), RUNS / name) if path.is_dir()), None)
    return folder and follow_latest(folder)


def new_run(folder: Path, objective: str, encoder: str) -> Path:
    """Create the next free `FOLDER/<objective>-<encoder>-<n>`; safe with concurrent processes."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{objective}-{encoder}"
    taken = [
        int(match[1])
        for path in folder.iterdir()
        if (match := re.fullmatch(rf"{re.escape(stem)}-(\d+)", path.name))
    ]
    number = max(taken, default=0) + 1
    while True:
        try:
            (folder / f"{stem}-{number}").mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder / f"{stem}-{number}"


def point_latest(folder: Path, run: Path) -> None:
    """Point `FOLDER/latest` at a run inside that folder; a run elsewhere is ignored."""
    target = run.resolve()
    if target.is_relative_to(folder.resolve()):
        # A relative link survives moving the folder.
        replace_link(folder / LATEST, Path(os.path.relpath(target, folder.resolve())))


def latest_run(folder: Path, advice: str) -> Path:
    """The run that `FOLDER/latest` points at.

    Raises:
        MissingDataError: The link does not exist.
    """
    link = folder / LATEST
    if not link.exists():
        raise MissingDataError(f"{link} does not exist: {advice}")
    return relative_to_here(link.resolve())


def write_run(run: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a run to its run.json."""
    write_json(run / RUN, {**STAMP, **settings})


def read_run(run: Path) -> dict[str, Any]:
    """Read the settings of a run.

    Raises:
        MissingDataError: The folder is not a run.
        UsageError: The layout is not supported.
    """
    return _checked(run, read_json(run / RUN, "run folder"))


def model_info_path(folder: Path) -> Path:
    """The run.json of a checkpoint, or the config.json of a model repository."""
    has_config = (folder / CONFIG).is_file() and not (folder / RUN).is_file()
    return folder / (CONFIG if has_config else RUN)


def read_model_info(folder: Path) -> dict[str, Any]:
    """Read the run.json of a checkpoint, or the config.json of a model repository.

    Raises:
        MissingDataError: The folder is not a checkpoint.
        UsageError: The layout is not supported.
    """
    return _checked(folder, read_json(model_info_path(folder), "checkpoint"))


def is_run(folder: Path) -> bool:
    """Whether a folder is a run: it contains the settings, which are written last."""
    return (folder / RUN).is_file()


def refuse_used(run: Path, files: Mapping[str, bytes]) -> None:
    """Check that a run folder is new. Files of an interrupted start of the same run are allowed.

    Args:
        run: The folder.
        files: Names and contents of the files written before the settings.

    Raises:
        UsageError: The folder contains other files.
    """
    if run.exists() and any(not _left_behind(path, files) for path in run.iterdir()):
        raise UsageError(f"{run} already contains files: choose another -o, or add --resume.")


def _left_behind(path: Path, files: Mapping[str, bytes]) -> bool:
    if path.name in files:
        return path.read_bytes() == files[path.name]
    return is_temporary(path.name)
