"""How run folders are named and laid out; read without torch, which is slow to load."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.system.files import leftovers, read_json, relative_to_here, replace_link, write_json

STAMP: Mapping[str, Any] = {"format": "mscol-run", "version": 1}
"""How a run.json begins."""
RUNS = Path("runs")
LATEST = "latest"
STEP_PREFIX = "step-"
RUN, RECIPE, CHECKPOINTS = "run.json", "recipe.toml", "checkpoints"
"""In a run: its settings, those that decide the result as a recipe, and its checkpoints."""
ENCODER, OBJECTIVE, OPTIMIZER = WEIGHTS = "encoder", "objective", "optimizer"
"""In a checkpoint: stems of the files of tensors."""
PROBES, PROBE_REPORT = "probes", "probe.json"
"""Results of probes, of a run in its folder: each in a folder of its own, and what says it all."""


def check_layout(folder: Path, info: Mapping[str, Any]) -> None:
    """Refuse a run.json of another layout. Raises UsageError."""
    stamp = {key: info.get(key) for key in STAMP}
    if stamp != STAMP:
        raise UsageError(
            f"{folder} has layout {' '.join(map(str, stamp.values()))}, this mscol reads"
            f" {' '.join(map(str, STAMP.values()))}: use the mscol that wrote it, or train again."
        )


def checkpoint_folders(run: Path) -> list[Path]:
    """The checkpoints of a run, by step."""
    return sorted((run / CHECKPOINTS).glob(f"{STEP_PREFIX}*"))


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / CHECKPOINTS / f"{STEP_PREFIX}{step:08d}"


def step_of(folder: Path) -> int | None:
    """The step of a checkpoint by its name; None for a folder of another name."""
    number = folder.name.removeprefix(STEP_PREFIX)
    return int(number) if folder.name.startswith(STEP_PREFIX) and number.isdecimal() else None


def follow_latest(run: Path) -> Path:
    """A run folder that the user named, with `latest` followed to the run itself."""
    return relative_to_here(run.resolve()) if run.name == LATEST else run


def find_named(name: str | Path) -> Path | None:
    """A folder that the user named: a path, or what lies below `runs/`, such as a run's name; None
    where there is neither."""
    found = next((path for path in (Path(name), RUNS / name) if path.is_dir()), None)
    return found and follow_latest(found)


def new_run(folder: Path, objective: str, encoder: str) -> Path:
    """Make the next free `FOLDER/<objective>-<encoder>-<n>`, even beside a rival."""
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
    """Let `FOLDER/latest` point at a run inside that folder; a run elsewhere leaves it alone."""
    target = run.resolve()
    if target.is_relative_to(folder.resolve()):
        # Relative: a folder of runs may be moved.
        replace_link(folder / LATEST, Path(os.path.relpath(target, folder.resolve())))


def latest_run(folder: Path, advice: str) -> Path:
    """What `FOLDER/latest` points at.

    Args:
        folder: A folder of runs.
        advice: What to do where there is no such link, for the error.

    Raises:
        MissingDataError: There is no run yet.
    """
    link = folder / LATEST
    if not link.exists():
        raise MissingDataError(f"{link} does not exist: {advice}")
    return relative_to_here(link.resolve())


def write_run(run: Path, settings: Mapping[str, Any]) -> None:
    """Write a run's settings as its run.json."""
    write_json(run / RUN, {**STAMP, **settings})


def read_run(run: Path) -> dict[str, Any]:
    """A run's settings.

    Raises:
        MissingDataError: The folder is no run.
        UsageError: It has a layout this version does not read.
    """
    settings = read_json(run / RUN, "run folder")
    check_layout(run, settings)
    return settings


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run: its settings, which are written last."""
    return (folder / RUN).is_file()


def refuse_used(run: Path, files: Mapping[str, str]) -> None:
    """Refuse a run folder that already holds something, but what a process left there that was
    killed before it had begun the same run.

    Args:
        run: The folder.
        files: Name and text of what is written there before the run's settings are.

    Raises:
        UsageError: It holds something else.
    """
    if run.exists() and any(not _left_behind(path, files) for path in run.iterdir()):
        raise UsageError(f"{run} already holds files: choose another -o, or add --resume.")


def _left_behind(path: Path, files: Mapping[str, str]) -> bool:
    if path.name in files:
        return path.read_text(encoding="utf-8") == files[path.name]
    return any(path in leftovers(path.with_name(name)) for name in files)
